using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.Adapters.Matching;
using LowRank.IO;
using LowRank.Kernels;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>The change is the Kronecker product of two small matrices, one of which has low rank.</summary>
public sealed class LoKrMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lokr";

    /// <inheritdoc/>
    public string Title => "LoKr";

    /// <inheritdoc/>
    public string Paper => "arXiv 2309.14859";

    /// <inheritdoc/>
    public string Summary => "The change is the Kronecker product of two small matrices, one of which has low rank.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.TargetKeys, "rank", "alpha", "rank_pattern", "alpha_pattern"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("decompose_both", false, "whether the smaller matrix has low rank too"),
        new("decompose_factor", -1, "size of the smaller matrix; -1 makes both as similar in size as " +
            "possible") { Least = -1,
        Most = int.MaxValue },
        new("rank_dropout", 0.0, "share of the change's outputs that a step drops") { Most = 0.999 },
        new("rank_dropout_scale", false, "whether the remaining outputs are then scaled up")
        {
            Unless = options => options.Flag("rank_dropout_scale") && options.Number("rank_dropout") == 0
                ? "has no effect without rank_dropout; add that or remove this" : null,
        },
        new("module_dropout", 0.0, "probability that a step drops a whole change") { Most = 0.999 },
    ];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "LOKR",
        OtherKeys = OwnKeys.With(
            shared, ("decompose_both", options.Flag("decompose_both")),
            ("decompose_factor", options.Whole("decompose_factor")),
            ("rank_dropout", options.Number("rank_dropout")),
            ("rank_dropout_scale", options.Flag("rank_dropout_scale")),
            ("module_dropout", options.Number("module_dropout"))),
    };
}

/// <summary>PEFT's LOKR: low-rank Kronecker products (KronA, arXiv 2212.10650; LyCORIS, arXiv 2309.14859).</summary>
internal sealed class LoKrType : IAdapterType
{
    public string PeftType => "LOKR";

    public string Label => "LoKr";

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. KindKeys.Layered,
        new("alpha", "8", Number),
        new("alpha_pattern", "{}", NumberMap | Null),
        new("decompose_both", "false", JsonShape.Boolean),
        new("decompose_factor", "-1", Integer),
        new("init_weights", "true", JsonShape.Boolean | Text),
        new("module_dropout", "0.0", Number),
        new("r", "8", Integer),
        new("rank_dropout", "0.0", Number),
        new("rank_dropout_scale", "false", JsonShape.Boolean),
        new("rank_pattern", "{}", IntegerMap | Null),
        new("use_effective_conv2d", "false", JsonShape.Boolean),
    ];

    public IEnumerable<string> Problems(LoraConfig config)
    {
        foreach (string problem in LoraConfigRules.Ranks(config)) yield return problem;
        foreach (string key in new[] { "rank_dropout", "module_dropout" })
            foreach (string problem in KindKeys.Range(config, key, 0, 1)) yield return problem;
        if (config.Whole("decompose_factor") is < 1 and not -1)
            yield return $"decompose_factor: found {config.Whole("decompose_factor")}, expected −1 or at least 1";
        if (config.InitialWeights.Name is not ("true" or "false" or "lycoris"))
            yield return $"init_weights: found \"{config.InitialWeights.Text}\", expected true, false or \"lycoris\"";
    }

    public IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            ModuleInfo module = byPath[target.Path];
            KroneckerShape shape =
                KroneckerShape.Of(config, target.Rank, (int)module.OutputSize, (int)module.InputSize);
            foreach ((string ending, int rows, int columns) in shape.Tensors)
                yield return new AdapterTensor(
                    PeftTensorKeys.Prefix + target.Path + ending, [rows, columns], target.Path, AdapterTensorPart.Own);
        }
    }

    /// <remarks>The singular values of a Kronecker product are the products of its factors'.</remarks>
    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) =>
        KindKeys.ModulesOf(file, ".lokr_w1").Concat(KindKeys.ModulesOf(file, ".lokr_w1_a")).Select(path =>
        {
            using var scope = NewDisposeScope();
            string key = PeftTensorKeys.Prefix + path;
            Tensor Whole(string part) => file.Entries.ContainsKey(key + part) ? file.Map(key + part)
                : matmul(file.Map(key + part + "_a"), file.Map(key + part + "_b"));
            Tensor first = Whole(".lokr_w1"), second = Whole(".lokr_w2");
            int rank = new PatternValues<int>(config.RankPattern, "rank_pattern").All(path) is [var own, ..] ? own.Value
                : config.Rank;
            double alpha = KindKeys.AlphaOf(config, path), scale = alpha / rank;
            DeltaSpectrum one = DeltaSpectrum.Of(first), two = DeltaSpectrum.Of(second);
            double[] values =
                [.. one.SingularValues.SelectMany(x => two.SingularValues.Select(y => x * y * Math.Abs(scale)))
                .OrderDescending()];
            return new ModuleSummary(
                path, rank, alpha, scale, first.shape[0] * second.shape[0], first.shape[1] * second.shape[1],
                DeltaSpectrum.From(values))
            {
                Parameters = file.Entries.Values.Where(
                    entry => entry.Name.StartsWith(key + ".lokr_", StringComparison.Ordinal))
                    .Sum(entry => entry.ElementCount),
            };
        });

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdaptableLayer site = build.Sites[target.Path];
        using var scope = NewDisposeScope();
        KroneckerShape shape = KroneckerShape.Of(build.Config, target.Rank, site.OutputSize, site.InputSize);
        string zero = shape.ZeroAtStart(build.Config.InitialWeights.Name);
        var tensors = shape.Tensors.ToDictionary(tensor => tensor.Ending,
            tensor => build.Take(target.Path, tensor.Ending, () => tensor.Ending == zero
                ? zeros(tensor.Rows, tensor.Columns) : build.Kaiming(tensor.Rows, tensor.Columns)));
        return new AdaptedLayer(site, new LoKrLayer(tensors, target.Scale, build.Config.Number("rank_dropout"),
            build.Config.Flag("rank_dropout_scale"), build.Config.Number("module_dropout")));
    })];
}

/// <summary>LoKr on a linear layer: the change is s·W₁ ⊗ W₂ (KronA, arXiv 2212.10650, equation 5), either of them
/// possibly a product of low rank.</summary>
/// <remarks>The [out, in] product is never formed: with x as [i₁, i₂], (W₁ ⊗ W₂)x = W₁·x·W₂ᵀ.</remarks>
/// <param name="tensors">lokr_w1, or lokr_w1_a and lokr_w1_b, and the same of w2; float32, owned.</param>
/// <param name="scale">s = alpha / rank.</param>
/// <param name="rankDropout">Share of the change's rows left out while training.</param>
/// <param name="rescales">Whether the others are then scaled up.</param>
/// <param name="moduleDropout">How often the whole change is left out while training.</param>
public sealed class LoKrLayer(IReadOnlyDictionary<string, Tensor> tensors, double scale, double rankDropout,
    bool rescales, double moduleDropout) : IAdapterLayer
{
    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [.. tensors];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        if (LycorisDropout.SkipsModule(moduleDropout, dropout)) return inner.Forward(input);
        Tensor first = Whole(".lokr_w1");
        long rows = Rows(".lokr_w2"), columns = Columns(".lokr_w2");
        Tensor grid = input.reshape(-1, first.shape[1], columns); // [tokens, i₁, i₂]
        Tensor mixed = tensors.TryGetValue(".lokr_w2", out Tensor? second) // [tokens, i₁, o₂]
            ? nn.functional.linear(grid, second)
            : nn.functional.linear(nn.functional.linear(grid, tensors[".lokr_w2_b"]), tensors[".lokr_w2_a"]);
        Tensor change = matmul(first, mixed).reshape([.. input.shape[..^1], first.shape[0] * rows]); // [tokens, o₁, o₂]
        return inner.Forward(input).add(LycorisDropout.Apply(change, rankDropout, rescales, dropout), scale * Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(kron(Whole(".lokr_w1").contiguous(), Whole(".lokr_w2").contiguous()), scale * Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in tensors.Values) tensor.Dispose();
    }

    private Tensor Whole(string part) => tensors.TryGetValue(part, out Tensor? whole) ? whole
        : matmul(tensors[part + "_a"], tensors[part + "_b"]);

    private long Rows(string part) =>
        (tensors.TryGetValue(part, out Tensor? whole) ? whole : tensors[part + "_a"]).shape[0];

    private long Columns(string part) =>
        (tensors.TryGetValue(part, out Tensor? whole) ? whole : tensors[part + "_b"]).shape[1];
}

/// <summary>How a weight [out, in] is split into the Kronecker product of W₁ [o₁, i₁] and W₂ [o₂, i₂], with out = o₁·o₂
/// and in = i₁·i₂, and which of the two are products of low rank.</summary>
/// <param name="Tensors">The tensors by what follows the module's path in their keys.</param>
internal sealed record KroneckerShape(IReadOnlyList<(string Ending, int Rows, int Columns)> Tensors)
{
    /// <summary>The split that PEFT makes (LoKrLayer.update_layer).</summary>
    public static KroneckerShape Of(LoraConfig config, int rank, int outputs, int inputs)
    {
        int factor = config.Whole("decompose_factor");
        (int o1, int o2) = Factors(outputs, factor);
        (int i1, int i2) = Factors(inputs, factor);
        bool splitsFirst = config.Flag("decompose_both") && rank < Math.Max(o1, i1) / 2.0,
            splitsSecond = rank < Math.Max(o2, i2) / 2.0;
        return new KroneckerShape(
        [
            .. Part(".lokr_w1", o1, i1, rank, splitsFirst),
            .. Part(".lokr_w2", o2, i2, rank, splitsSecond),
        ]);
    }

    /// <summary>Which tensor begins as zero, so that nothing changes: W₁, or with "lycoris" W₂; none with
    /// false.</summary>
    public string ZeroAtStart(string initial)
    {
        if (initial is "false" or "null") return "";
        string part = initial == "lycoris" ? ".lokr_w2" : ".lokr_w1";
        bool isSplit = Tensors.Any(tensor => tensor.Ending == part + "_a");
        if (!isSplit) return part;
        return initial == "lycoris" ? part + "_b" : part + "_a";
    }

    // The two factors of a number that are nearest to each other, the first at most `most`; most −1 sets no limit.
    internal static (int Small, int Large) Factors(int number, int most)
    {
        if (most > 0 && number % most == 0) return (most, number / most);
        if (most == -1) most = number;
        int small = 1;
        for (int candidate = 2; (long)candidate * candidate <= number && candidate <= most; candidate++)
            if (number % candidate == 0) small = candidate;
        return (small, number / small);
    }

    private static IEnumerable<(string, int, int)> Part(string ending, int rows, int columns, int rank, bool isSplit) =>
        isSplit ? [(ending + "_a", rows, rank), (ending + "_b", rank, columns)] : [(ending, rows, columns)];
}
