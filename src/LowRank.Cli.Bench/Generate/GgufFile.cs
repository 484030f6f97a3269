using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Quantization;

namespace LowRank.Cli.Bench.Generate;

/// <summary>A GGUF file (version 3) of a llama model with random weights and no vocabulary, for llama-bench.</summary>
internal static class GgufFile
{
    private const int Alignment = 32;
    private const uint Number = 4, Real = 6, Text = 8; // the types of values: uint32, float32, string

    /// <summary>Writes a file.</summary>
    /// <param name="path">Where.</param>
    /// <param name="config">The model's <c>config.json</c>.</param>
    /// <param name="type">The type of its matrices; norms are in float32.</param>
    public static void Write(string path, JsonObject config, GgufType type)
    {
        using FileStream file = File.Create(path);
        using var writer = new BinaryWriter(file);
        (string Name, long[] Size)[] tensors = Tensors(config);
        (string Key, object Value)[] keys = Keys(config);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((ulong)tensors.Length);
        writer.Write((ulong)keys.Length);
        foreach ((string key, object value) in keys) WriteKey(writer, key, value);
        long offset = 0;
        foreach ((string name, long[] size) in tensors)
        {
            GgufType own = TypeOf(size, type);
            WriteText(writer, name);
            writer.Write(size.Length);
            foreach (long width in size) writer.Write(width);
            writer.Write(own.Code);
            writer.Write(offset);
            offset += Aligned(own.Bytes(Elements(size)));
        }
        byte[] block = type.Random();
        foreach ((string _, long[] size) in tensors)
        {
            Pad(writer);
            GgufType own = TypeOf(size, type);
            byte[] values = own == type ? block : own.Random();
            for (long left = own.Bytes(Elements(size)); left > 0; left -= values.Length)
                writer.Write(values.AsSpan(0, (int)Math.Min(left, values.Length)));
        }
        Pad(writer);
    }

    // The innermost width first.
    private static (string Name, long[] Size)[] Tensors(JsonObject config)
    {
        long hidden = Value(config, "hidden_size"), between = Value(config, "intermediate_size"),
            words = Value(config, "vocab_size"), width = HeadWidth(config),
            query = Value(config, "num_attention_heads") * width, pair = Value(config, "num_key_value_heads") * width;
        return
        [
            ("token_embd.weight", [hidden, words]), ("output_norm.weight", [hidden]),
            ("output.weight", [hidden, words]),
            .. Enumerable.Range(0, (int)Value(config, "num_hidden_layers"))
            .SelectMany(layer => new (string, long[])[]
            {
                ("attn_norm", [hidden]), ("attn_q", [hidden, query]), ("attn_k", [hidden, pair]),
                ("attn_v", [hidden, pair]), ("attn_output", [query, hidden]), ("ffn_norm", [hidden]),
                ("ffn_gate", [hidden, between]), ("ffn_up", [hidden, between]), ("ffn_down", [between, hidden]),
            }.Select(tensor => ($"blk.{layer}.{tensor.Item1}.weight", tensor.Item2))),
        ];
    }

    private static (string Key, object Value)[] Keys(JsonObject config) =>
    [
        ("general.architecture", "llama"), ("general.name", "random"),
        ("llama.context_length", (uint)Value(config, "max_position_embeddings")),
        ("llama.embedding_length", (uint)Value(config, "hidden_size")),
        ("llama.block_count", (uint)Value(config, "num_hidden_layers")),
        ("llama.feed_forward_length", (uint)Value(config, "intermediate_size")),
        ("llama.attention.head_count", (uint)Value(config, "num_attention_heads")),
        ("llama.attention.head_count_kv", (uint)Value(config, "num_key_value_heads")),
        ("llama.attention.key_length", (uint)HeadWidth(config)),
        ("llama.attention.value_length", (uint)HeadWidth(config)),
        ("llama.rope.dimension_count", (uint)HeadWidth(config)),
        ("llama.attention.layer_norm_rms_epsilon", (float)config["rms_norm_eps"]!.GetValue<double>()),
        ("llama.vocab_size", (uint)Value(config, "vocab_size")), ("tokenizer.ggml.model", "no_vocab"),
    ];

    private static long Value(JsonObject config, string key) => config[key]!.GetValue<long>();

    private static long HeadWidth(JsonObject config) => config["head_dim"]?.GetValue<long>()
        ?? Value(config, "hidden_size") / Value(config, "num_attention_heads");

    private static GgufType TypeOf(long[] size, GgufType type) => size.Length == 1 ? GgufType.Float32 : type;

    private static long Elements(long[] size) => size.Aggregate(1L, (product, width) => product * width);

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Pad(BinaryWriter writer)
    {
        writer.Flush();
        long at = writer.BaseStream.Position;
        writer.Write(new byte[Aligned(at) - at]);
    }

    private static void WriteKey(BinaryWriter writer, string key, object value)
    {
        WriteText(writer, key);
        switch (value)
        {
            case uint number:
                writer.Write(Number);
                writer.Write(number);
                break;
            case float real:
                writer.Write(Real);
                writer.Write(real);
                break;
            default:
                writer.Write(Text);
                WriteText(writer, (string)value);
                break;
        }
    }

    private static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }
}

/// <summary>A type of tensors in GGUF.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Code">Its number in the file.</param>
/// <param name="BlockValues">Values of a block.</param>
/// <param name="BlockBytes">Bytes of a block.</param>
internal sealed record GgufType(string Name, uint Code, int BlockValues, int BlockBytes)
{
    private const int Blocks = 1 << 15;

    /// <summary>float32.</summary>
    public static GgufType Float32 { get; } = new("f32", 0, 1, sizeof(float));

    /// <summary>The types that store weights as one of our formats does, by the format's name. Q8_0 is int8 with a
    /// scale for each 32 values.</summary>
    public static IReadOnlyDictionary<string, GgufType> ByFormat { get; } = new Dictionary<string, GgufType>
    {
        [WeightFormats.Float32] = Float32,
        [new BFloat16Format().Name] = new("bf16", 30, 1, sizeof(ushort)),
        [new Int8Format().Name] = new("q8_0", 8, 32, sizeof(ushort) + 32),
    };

    /// <summary>Bytes of a number of values.</summary>
    public long Bytes(long values) => values / BlockValues * BlockBytes;

    /// <summary>Some blocks of random values of a weight's size, around 0.02.</summary>
    public byte[] Random()
    {
        var random = new StableRandom(1);
        byte[] bytes = new byte[Blocks * BlockBytes];
        for (int block = 0; block < Blocks; block++)
        {
            Span<byte> to = bytes.AsSpan(block * BlockBytes, BlockBytes);
            float value = (float)(0.04 * random.NextDouble() - 0.02);
            if (BlockValues > 1)
            {
                BinaryPrimitives.WriteHalfLittleEndian(to, (Half)(0.02f / 127));
                foreach (ref sbyte each in MemoryMarshal.Cast<byte, sbyte>(to[sizeof(ushort)..]))
                    each = (sbyte)(254 * random.NextDouble() - 127);
            }
            else if (BlockBytes == sizeof(float)) BinaryPrimitives.WriteSingleLittleEndian(to, value);
            else BinaryPrimitives.WriteUInt16LittleEndian(to, (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        }
        return bytes;
    }
}
