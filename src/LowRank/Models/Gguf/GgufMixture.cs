using System.Globalization;
using LowRank.IO.Gguf;

namespace LowRank.Models.Gguf;

/// <summary>The types of files: which type each tensor of a model gets, as llama-quantize chooses it.</summary>
/// <remarks>Source: llama.cpp's <c>llama-quant.cpp</c>, without an importance matrix and without overrides.</remarks>
internal sealed class GgufMixture
{
    private static readonly Dictionary<string, (GgufType Type, uint Code)> Files = new(StringComparer.Ordinal)
    {
        ["f32"] = (GgufType.F32, 0), ["f16"] = (GgufType.F16, 1), ["bf16"] = (GgufType.BF16, 32),
        ["q8_0"] = (GgufType.Q8_0, 7), ["q4_0"] = (GgufType.Q4_0, 2), ["q4_k_m"] = (GgufType.Q4K, 15),
        ["q6_k"] = (GgufType.Q6K, 18),
    };

    private static readonly string[] KeptWide =
        ["_norm.weight", "ffn_gate_inp.weight", "attn_rel_b.weight", "position_embd.weight", "token_types.weight",
            "cls.weight", "cls.output.weight"];

    private readonly string file;
    private readonly GgufArchitecture architecture;
    private readonly bool tiesHead;
    private readonly Dictionary<string, int> values, downs; // the place of each among those of its kind

    /// <param name="file">One of <see cref="Names"/>.</param>
    /// <param name="architecture">The model.</param>
    /// <param name="tensors">The names of all tensors of the file.</param>
    public GgufMixture(string file, GgufArchitecture architecture, IReadOnlyCollection<string> tensors)
    {
        (this.file, this.architecture) = (file, architecture);
        tiesHead = !tensors.Contains("output.weight");
        values = Places(tensors.Where(IsLikeValues));
        downs = Places(tensors.Where(name => name.EndsWith("ffn_down.weight", StringComparison.Ordinal)));
    }

    /// <summary>The types of files.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Files.Keys];

    /// <summary>The number of the file's type, as <c>general.file_type</c> has it.</summary>
    public uint Code => Files[file].Code;

    /// <summary>Whether values are stored one by one.</summary>
    public bool IsPlain => Files[file].Type.IsPlain;

    /// <summary>The type of a tensor.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">Its shape, the outermost dimension first.</param>
    public GgufType TypeOf(string name, long[] shape)
    {
        if (shape.Length < 2 || !name.EndsWith(".weight", StringComparison.Ordinal)
            || KeptWide.Any(end => name.EndsWith(end, StringComparison.Ordinal))) return GgufType.F32;
        GgufType asked = Files[file].Type;
        return asked.IsPlain ? asked : Fitting(Chosen(asked, name, shape[^1]), shape[^1]);
    }

    private GgufType Chosen(GgufType asked, string name, long width)
    {
        if (name == "output.weight" || (tiesHead && name == "token_embd.weight"))
            return width % asked.BlockValues != 0 || asked == GgufType.Q8_0 ? GgufType.Q8_0 : GgufType.Q6K;
        bool isMedium = file == "q4_k_m", hasEight = architecture.Experts == 8;
        if (values.TryGetValue(name, out int number))
        {
            GgufType type = isMedium && TakesMoreBits(number, values.Count) ? GgufType.Q6K : asked;
            // Eight heads share the values of the 70-billion models: more bits cost little.
            if (architecture is { Layers: 80, Name: "llama" or "qwen2" } && type == GgufType.Q4K) type = GgufType.Q5K;
            return hasEight ? GgufType.Q8_0 : type;
        }
        if (hasEight && name.Contains("attn_k.weight", StringComparison.Ordinal)) return GgufType.Q8_0;
        if (name.Contains("ffn_down", StringComparison.Ordinal) && isMedium
            && TakesMoreBits(downs.GetValueOrDefault(name, Block(name)), architecture.Layers)) return GgufType.Q6K;
        return hasEight && isMedium && name.Contains("attn_output.weight", StringComparison.Ordinal) ? GgufType.Q5K
            : asked;
    }

    private static Dictionary<string, int> Places(IEnumerable<string> names) =>
        names.OrderBy(Block).ThenBy(name => name, StringComparer.Ordinal)
            .Select((name, number) => (name, number)).ToDictionary(each => each.name, each => each.number);

    // A type whose blocks fill the rows.
    private static GgufType Fitting(GgufType type, long width)
    {
        if (width % type.BlockValues == 0) return type;
        GgufType? small = type == GgufType.Q4K ? GgufType.Q5_0 : type == GgufType.Q5K ? GgufType.Q5_1
            : type == GgufType.Q6K ? GgufType.Q8_0 : null;
        return small is not null && width % small.BlockValues == 0 ? small : GgufType.F16;
    }

    private static bool TakesMoreBits(int layer, int layers) =>
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;

    private static bool IsLikeValues(string name) => name.Contains("attn_qkv.weight", StringComparison.Ordinal)
        || name.Contains("attn_v.weight", StringComparison.Ordinal);

    // The number of a tensor's block; -1 for others, and for T5's, which are named otherwise.
    private static int Block(string name) => name.StartsWith("blk.", StringComparison.Ordinal)
        && int.TryParse(name.Split('.')[1], CultureInfo.InvariantCulture, out int block) ? block : -1;
}
