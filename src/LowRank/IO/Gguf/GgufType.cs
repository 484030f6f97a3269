namespace LowRank.IO.Gguf;

/// <summary>Expands whole blocks to float32.</summary>
/// <param name="blocks">The blocks.</param>
/// <param name="values">Receives their values.</param>
internal delegate void BlockDecoder(ReadOnlySpan<byte> blocks, Span<float> values);

/// <summary>Packs float32 values into whole blocks.</summary>
/// <param name="values">The values.</param>
/// <param name="blocks">Receives the blocks.</param>
internal delegate void BlockEncoder(ReadOnlySpan<float> values, Span<byte> blocks);

/// <summary>Gives bytes of a tensor's data.</summary>
/// <param name="offset">Where they begin.</param>
/// <param name="length">How many.</param>
internal delegate ReadOnlySpan<byte> BlockBytes(long offset, int length);

/// <summary>A type of tensors in GGUF: how many values share a block, and how they are packed.</summary>
/// <param name="Name">Its name, as llama.cpp prints it.</param>
/// <param name="Code">Its number in files.</param>
/// <param name="BlockValues">Values of a block; the width of a row is a multiple of it.</param>
/// <param name="BlockBytes">Bytes of a block.</param>
/// <param name="Decode">Expands blocks; null for a type that is known by name and size alone.</param>
/// <param name="Encode">Packs values; null for a type that is only read.</param>
/// <remarks>Source: ggml's <c>ggml-common.h</c> and <c>ggml-quants.c</c>.</remarks>
internal sealed record GgufType(
    string Name, uint Code, int BlockValues, int BlockBytes, BlockDecoder? Decode = null, BlockEncoder? Encode = null)
{
    public static GgufType F32 { get; } = new("f32", 0, 1, 4, PlainBlocks.DecodeF32, PlainBlocks.EncodeF32);

    public static GgufType F16 { get; } = new("f16", 1, 1, 2, PlainBlocks.DecodeF16, PlainBlocks.EncodeF16);

    public static GgufType BF16 { get; } = new("bf16", 30, 1, 2, PlainBlocks.DecodeBF16, PlainBlocks.EncodeBF16);

    public static GgufType Q4_0 { get; } =
        new("q4_0", 2, 32, 18, SmallBlocks.DecodeQ4_0, SmallBlockEncoders.EncodeQ4_0);

    public static GgufType Q5_0 { get; } =
        new("q5_0", 6, 32, 22, SmallBlocks.DecodeQ5_0, SmallBlockEncoders.EncodeQ5_0);

    public static GgufType Q5_1 { get; } =
        new("q5_1", 7, 32, 24, SmallBlocks.DecodeQ5_1, SmallBlockEncoders.EncodeQ5_1);

    public static GgufType Q8_0 { get; } =
        new("q8_0", 8, 32, 34, SmallBlocks.DecodeQ8_0, SmallBlockEncoders.EncodeQ8_0);

    public static GgufType Q4K { get; } =
        new("q4_K", 12, 256, 144, LargeBlocks.DecodeQ4, LargeBlockEncoders.EncodeQ4);

    public static GgufType Q5K { get; } =
        new("q5_K", 13, 256, 176, LargeBlocks.DecodeQ5, LargeBlockEncoders.EncodeQ5);

    public static GgufType Q6K { get; } =
        new("q6_K", 14, 256, 210, LargeBlocks.DecodeQ6, LargeBlockEncoders.EncodeQ6);

    /// <summary>All types that a file may name. Types without a decoder are checked for size and refused by name where
    /// their values are asked for.</summary>
    public static IReadOnlyList<GgufType> All { get; } =
    [
        F32, F16, Q4_0, new("q4_1", 3, 32, 20, SmallBlocks.DecodeQ4_1), Q5_0, Q5_1, Q8_0, new("q8_1", 9, 32, 36),
        new("q2_K", 10, 256, 84), new("q3_K", 11, 256, 110), Q4K, Q5K, Q6K, new("q8_K", 15, 256, 292),
        new("iq2_xxs", 16, 256, 66), new("iq2_xs", 17, 256, 74), new("iq3_xxs", 18, 256, 98),
        new("iq1_s", 19, 256, 50), new("iq4_nl", 20, 32, 18), new("iq3_s", 21, 256, 110),
        new("iq2_s", 22, 256, 82), new("iq4_xs", 23, 256, 136), new("i8", 24, 1, 1), new("i16", 25, 1, 2),
        new("i32", 26, 1, 4), new("i64", 27, 1, 8), new("f64", 28, 1, 8), new("iq1_m", 29, 256, 56), BF16,
        new("tq1_0", 34, 256, 54), new("tq2_0", 35, 256, 66),
        new("mxfp4", 39, 32, 17, SmallBlocks.DecodeMxfp4), new("nvfp4", 40, 64, 36),
    ];

    /// <summary>The types whose values can be read, for messages.</summary>
    public static string ReadableNames { get; } =
        string.Join(", ", All.Where(type => type.Decode is not null).Select(type => type.Name));

    /// <summary>Whether values are stored one by one, without a block's scale.</summary>
    public bool IsPlain => BlockValues == 1;

    /// <summary>The type with a number; null if it is unknown.</summary>
    public static GgufType? Find(uint code) => All.FirstOrDefault(type => type.Code == code);

    /// <summary>The bytes of a number of values, which must fill whole blocks.</summary>
    public long Bytes(long values) => values / BlockValues * BlockBytes;

    /// <summary>Writes values as float32; only those of whole blocks must be there.</summary>
    /// <param name="data">The data.</param>
    /// <param name="first">Index of the first value.</param>
    /// <param name="target">Receives as many values as it has room for.</param>
    public void Expand(BlockBytes data, long first, Span<float> target)
    {
        const int Piece = 1 << 20; // values, so that the bytes of any type fit an int
        Span<float> block = stackalloc float[LargeBlocks.Size];
        while (!target.IsEmpty)
        {
            int skipped = (int)(first % BlockValues);
            long begin = first / BlockValues * BlockBytes;
            int count = Math.Min(Piece, target.Length / BlockValues * BlockValues);
            if (skipped == 0 && count > 0) Decode!(data(begin, (int)Bytes(count)), target[..count]);
            else
            {
                Span<float> whole = block[..BlockValues];
                Decode!(data(begin, BlockBytes), whole);
                count = Math.Min(BlockValues - skipped, target.Length);
                whole.Slice(skipped, count).CopyTo(target);
            }
            first += count;
            target = target[count..];
        }
    }
}
