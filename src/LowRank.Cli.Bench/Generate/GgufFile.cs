using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Quantization;

namespace LowRank.Cli.Bench.Generate;

/// <summary>GGUF files (version 3) with random weights, for llama-bench and llama-server: a llama model, and adapters
/// of it.</summary>
internal static class GgufFile
{
    private const int Alignment = 32;
    // the types of values: uint32, int32, float32, string, array
    private const uint Number = 4, Whole = 5, Real = 6, Text = 8, Several = 9;

    // What a tensor's name holds of the name of the module.
    private static readonly Dictionary<string, string> Modules = new(StringComparer.Ordinal)
    {
        ["q_proj"] = "attn_q", ["k_proj"] = "attn_k", ["v_proj"] = "attn_v", ["o_proj"] = "attn_output",
        ["gate_proj"] = "ffn_gate", ["up_proj"] = "ffn_up", ["down_proj"] = "ffn_down",
    };

    /// <summary>Writes a file.</summary>
    /// <param name="path">Where.</param>
    /// <param name="config">The model's <c>config.json</c>.</param>
    /// <param name="type">The type of its matrices; norms are in float32.</param>
    /// <param name="hasVocabulary">Whether it has a word for each token, as llama-server needs.</param>
    public static void Write(string path, JsonObject config, GgufType type, bool hasVocabulary = false) =>
        Write(path, [.. Keys(config), .. hasVocabulary ? Words((int)Value(config, "vocab_size"))
            : [("tokenizer.ggml.model", "no_vocab")]], Tensors(config), type);

    /// <summary>Writes an adapter of random pairs, in float32, as llama.cpp's convert_lora_to_gguf names
    /// them.</summary>
    /// <param name="path">Where.</param>
    /// <param name="config">The base's <c>config.json</c>.</param>
    /// <param name="modules">The names of the adapted modules, such as q_proj.</param>
    /// <param name="rank">The rank.</param>
    public static void WriteAdapter(string path, JsonObject config, IReadOnlyList<string> modules, int rank)
    {
        string[] adapted = [.. modules.Select(module => $".{Modules[module]}.weight")];
        Write(path,
            [
                ("general.architecture", "llama"), ("general.type", "adapter"), ("adapter.type", "lora"),
                ("adapter.lora.alpha", 2f * rank),
            ],
            [.. Tensors(config)
                .Where(tensor => adapted.Any(name => tensor.Name.EndsWith(name, StringComparison.Ordinal)))
                .SelectMany(tensor => new (string, long[])[]
                {
                    (tensor.Name + ".lora_a", [tensor.Size[0], rank]),
                    (tensor.Name + ".lora_b", [rank, tensor.Size[1]]),
                })], GgufType.Float32);
    }

    private static void Write(
        string path, (string Key, object Value)[] keys, (string Name, long[] Size)[] tensors, GgufType type)
    {
        using FileStream file = File.Create(path);
        using var writer = new BinaryWriter(file);
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
        ("llama.vocab_size", (uint)Value(config, "vocab_size")),
    ];

    // The first three are special, as in llama's own vocabulary: unknown (type 2), begin and end (type 3).
    private static (string Key, object Value)[] Words(int count) =>
    [
        ("tokenizer.ggml.model", "llama"),
        ("tokenizer.ggml.tokens", (string[])["<unk>", "<s>", "</s>",
            .. Enumerable.Range(3, count - 3).Select(token => $"\u2581w{token}")]),
        ("tokenizer.ggml.scores", new float[count]),
        ("tokenizer.ggml.token_type", (int[])[2, 3, 3, .. Enumerable.Repeat(1, count - 3)]),
        ("tokenizer.ggml.bos_token_id", 1u), ("tokenizer.ggml.eos_token_id", 2u),
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
        if (value is Array several)
        {
            writer.Write(Several);
            writer.Write(TypeOf(several.GetValue(0)!));
            writer.Write((ulong)several.Length);
            foreach (object each in several) WriteValue(writer, each);
            return;
        }
        writer.Write(TypeOf(value));
        WriteValue(writer, value);
    }

    private static uint TypeOf(object value) => value switch { uint => Number, int => Whole, float => Real, _ => Text };

    private static void WriteValue(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case uint number:
                writer.Write(number);
                break;
            case int number:
                writer.Write(number);
                break;
            case float real:
                writer.Write(real);
                break;
            default:
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
