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

namespace LowRank.Adapters;

/// <summary>The change is the Kronecker product of two small matrices, one of which has low rank.</summary>
internal sealed record LoKrMethod : IAdapterMethod
{
    public string Name => "lokr";

    public string Title => "LoKr";

    public string Paper => "arXiv 2309.14859";

    public string Summary => "The change is the Kronecker product of two small matrices, one of which has low rank.";

    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.TargetKeys, "rank", "alpha", "rank_pattern", "alpha_pattern"];

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        Of("decompose_both", config => config.DecomposeBoth,
            (config, value) => config with { DecomposeBoth = value },
            "whether the smaller matrix has low rank too"),
        Of("decompose_factor", config => config.DecomposeFactor,
            (config, value) => config with { DecomposeFactor = value },
            "size of the smaller matrix; -1 makes both as similar in size as possible")
            with { Least = -1, Most = int.MaxValue },
        Of("rank_dropout", config => config.RankDropout, (config, value) => config with { RankDropout = value },
            "share of the change's outputs that a step drops") with { Most = 0.999 },
        Of("rank_dropout_scale", config => config.RankDropoutScale,
            (config, value) => config with { RankDropoutScale = value },
            "whether the remaining outputs are then scaled up") with
        {
            Unless = method => ((LoKrMethod)method).Config is { RankDropoutScale: true, RankDropout: 0 }
                ? "has no effect without rank_dropout; add that or remove this" : null,
        },
        Of("module_dropout", config => config.ModuleDropout,
            (config, value) => config with { ModuleDropout = value },
            "probability that a step drops a whole change")
            with { Most = 0.999 },
    ];

    /// <summary>The config with the method's own settings.</summary>
    public LoKrConfig Config { get; init; } = new();

    public AdapterConfig Configure(LoraConfig shared) => (Config with
    {
        Rank = shared.Rank,
        Alpha = shared.Alpha,
        RankPattern = shared.RankPattern,
        AlphaPattern = shared.AlphaPattern,
        InitWeights = shared.InitLoraWeights,
    }).WithModulesOf(shared);

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoKrConfig own ? this with { Config = own } : null;

    private static MethodOption Of<T>(
        string name, Func<LoKrConfig, T> get, Func<LoKrConfig, T, LoKrConfig> set, string doc) =>
        MethodOption.Create<LoKrMethod, T>(
            name, method => get(method.Config),
            (method, value) => method with { Config = set(method.Config, value) }, doc);
}

/// <summary>Settings of LoKr (PEFT's LOKR; KronA, arXiv 2212.10650; LyCORIS, arXiv 2309.14859).</summary>
public sealed record LoKrConfig : LowRankConfig
{
    /// <inheritdoc/>
    public override IAdapterType Type => LoKrType.Instance;

    /// <summary>Whether the smaller matrix also has low rank (<c>decompose_both</c>); false.</summary>
    public bool DecomposeBoth { get; init; }

    /// <summary>The size of the smaller matrix (<c>decompose_factor</c>), at least 1; −1, which makes both as equal in
    /// size as possible.</summary>
    public int DecomposeFactor { get; init; } = -1;

    /// <summary>Fraction of the change's outputs that a step drops (<c>rank_dropout</c>), 0 to 1; 0.</summary>
    public double RankDropout { get; init; }

    /// <summary>Whether the remaining outputs are then scaled up (<c>rank_dropout_scale</c>); false.</summary>
    public bool RankDropoutScale { get; init; }

    /// <summary>Probability that a step drops a whole change (<c>module_dropout</c>), 0 to 1; 0.</summary>
    public double ModuleDropout { get; init; }

    /// <summary>How the matrices are initialised (<c>init_weights</c>): true, false or "lycoris"; true.</summary>
    public InitialWeights InitWeights { get; init; } = InitialWeights.True;
}

/// <summary>PEFT's LOKR: low-rank Kronecker products (KronA, arXiv 2212.10650; LyCORIS, arXiv 2309.14859).</summary>
internal sealed class LoKrType : IAdapterType
{
    /// <summary>The single instance.</summary>
    public static LoKrType Instance { get; } = new();

    public string PeftType => "LOKR";

    public string Label => "LoKr";

    public IReadOnlyList<ConfigKey> Keys { get; } =
    [
        .. PeftKeys.Layered,
        .. PeftKeys.LowRank("alpha"),
        ConfigKey.Flag<LoKrConfig>(
            "decompose_both", false, config => config.DecomposeBoth,
            (config, value) => config with { DecomposeBoth = value }),
        ConfigKey.Whole<LoKrConfig>(
            "decompose_factor", -1, config => config.DecomposeFactor,
            (config, value) => config with { DecomposeFactor = value }),
        PeftKeys.Start<LoKrConfig>(
            "init_weights", JsonShape.Boolean | Text, config => config.InitWeights,
            (config, value) => config with { InitWeights = value }),
        ConfigKey.Number<LoKrConfig>(
            "module_dropout", 0, config => config.ModuleDropout,
            (config, value) => config with { ModuleDropout = value }),
        ConfigKey.Number<LoKrConfig>(
            "rank_dropout", 0, config => config.RankDropout,
            (config, value) => config with { RankDropout = value }),
        ConfigKey.Flag<LoKrConfig>(
            "rank_dropout_scale", false, config => config.RankDropoutScale,
            (config, value) => config with { RankDropoutScale = value }),
        new("use_effective_conv2d", "false", JsonShape.Boolean),
    ];

    public AdapterConfig Create() => new LoKrConfig();

    public IEnumerable<string> Problems(AdapterConfig any)
    {
        var config = (LoKrConfig)any;
        foreach (string problem in ConfigRules.Ranks(config)) yield return problem;
        foreach (string problem in ConfigRules.Fraction("rank_dropout", config.RankDropout)) yield return problem;
        foreach (string problem in ConfigRules.Fraction("module_dropout", config.ModuleDropout)) yield return problem;
        if (config.DecomposeFactor is < 1 and not -1)
            yield return $"decompose_factor: found {config.DecomposeFactor}, expected −1 or at least 1";
        if (config.InitWeights.Name is not ("true" or "false" or "lycoris"))
            yield return $"init_weights: found \"{config.InitWeights.Text}\", expected true, false or \"lycoris\"";
    }

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (AdapterTarget target in targets)
        {
            ModuleInfo module = byPath[target.Path];
            KroneckerShape shape =
                KroneckerShape.From((LoKrConfig)config, target.Rank, (int)module.OutputSize, (int)module.InputSize);
            foreach ((string ending, int rows, int columns) in shape.Tensors)
                yield return new AdapterTensor(
                    PeftTensorKeys.Prefix + target.Path + ending, [rows, columns], target.Path, AdapterTensorPart.Own);
        }
    }

    /// <remarks>The singular values of a Kronecker product are the products of its factors' singular values.</remarks>
    public IEnumerable<ModuleSummary> Summarize(AdapterConfig any, SafeTensorsFile file) =>
        PeftKeys.ModulesOf(file, ".lokr_w1").Concat(PeftKeys.ModulesOf(file, ".lokr_w1_a")).Select(path =>
        {
            var config = (LoKrConfig)any;
            using var scope = NewDisposeScope();
            string key = PeftTensorKeys.Prefix + path;
            Tensor Whole(string part) => file.Entries.ContainsKey(key + part) ? file.Map(key + part)
                : matmul(file.Map(key + part + "_a"), file.Map(key + part + "_b"));
            Tensor first = Whole(".lokr_w1"), second = Whole(".lokr_w2");
            int rank = new PatternValues<int>(config.RankPattern, "rank_pattern").All(path) is [var own, ..] ? own.Value
                : config.Rank;
            double alpha = PeftKeys.AlphaOf(config, path), scale = alpha / rank;
            DeltaSpectrum one = DeltaSpectrum.From(first), two = DeltaSpectrum.From(second);
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
        AdaptableLayer layer = build.Layers[target.Path];
        using var scope = NewDisposeScope();
        var config = (LoKrConfig)build.Config;
        KroneckerShape shape = KroneckerShape.From(config, target.Rank, layer.OutputSize, layer.InputSize);
        string zero = shape.ZeroAtStart(config.InitWeights.Name);
        var tensors = shape.Tensors.ToDictionary(tensor => tensor.Ending,
            tensor => build.LoadOrInitialize(target.Path, tensor.Ending, () => tensor.Ending == zero
                ? zeros(tensor.Rows, tensor.Columns) : build.Kaiming(tensor.Rows, tensor.Columns)));
        return new AdaptedLayer(layer, new LoKrLayer(
            tensors, target.Scale, config.RankDropout, config.RankDropoutScale, config.ModuleDropout));
    })];
}

/// <summary>LoKr on a linear layer: the change is s·W₁ ⊗ W₂ (KronA, arXiv 2212.10650, equation 5), where each may be a
/// low-rank product.</summary>
/// <remarks>The [out, in] product is never formed: with x as [i₁, i₂], (W₁ ⊗ W₂)x = W₁·x·W₂ᵀ.</remarks>
/// <param name="tensors">lokr_w1, or lokr_w1_a and lokr_w1_b, and the same for w2; float32, owned.</param>
/// <param name="scale">s = alpha / rank.</param>
/// <param name="rankDropout">Fraction of the change's rows dropped while training.</param>
/// <param name="rescales">Whether the remaining rows are then scaled up.</param>
/// <param name="moduleDropout">Probability of dropping the whole change while training.</param>
internal sealed class LoKrLayer(IReadOnlyDictionary<string, Tensor> tensors, double scale, double rankDropout,
    bool rescales, double moduleDropout) : IAdapterLayer
{
    public double Weight { get; set; } = 1;

    public bool IsAdditive => true;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [.. tensors];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        if (LycorisDropout.SkipsModule(moduleDropout, dropout)) return inner.Forward(input);
        Tensor first = Whole(".lokr_w1");
        long rows = Rows(".lokr_w2"), columns = Columns(".lokr_w2");
        Tensor grid = input.reshape(-1, first.shape[1], columns); // [tokens, i₁, i₂]
        Tensor mixed = tensors.TryGetValue(".lokr_w2", out Tensor? second) // [tokens, i₁, o₂]
            ? LinearProduct.Apply(grid, second)
            : LinearProduct.Apply(LinearProduct.Apply(grid, tensors[".lokr_w2_b"]), tensors[".lokr_w2_a"]);
        Tensor change = matmul(first, mixed).reshape([.. input.shape[..^1], first.shape[0] * rows]); // [tokens, o₁, o₂]
        return inner.Forward(input).add(
            LycorisDropout.Apply(change, rankDropout, rescales, dropout), Number(scale * Weight));
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor change = kron(Whole(".lokr_w1").contiguous(), Whole(".lokr_w2").contiguous());
        return (weight.add(change, Number(scale * Weight)), bias);
    }

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
/// and in = i₁·i₂, and which of the two are low-rank products.</summary>
/// <param name="Tensors">The tensors by key suffix after the module's path.</param>
internal sealed record KroneckerShape(IReadOnlyList<(string Ending, int Rows, int Columns)> Tensors)
{
    /// <summary>The split as in PEFT (LoKrLayer.update_layer).</summary>
    public static KroneckerShape From(LoKrConfig config, int rank, int outputs, int inputs)
    {
        (int o1, int o2) = Factors(outputs, config.DecomposeFactor);
        (int i1, int i2) = Factors(inputs, config.DecomposeFactor);
        bool splitsFirst = config.DecomposeBoth && rank < Math.Max(o1, i1) / 2.0,
            splitsSecond = rank < Math.Max(o2, i2) / 2.0;
        return new KroneckerShape(
        [
            .. Part(".lokr_w1", o1, i1, rank, splitsFirst),
            .. Part(".lokr_w2", o2, i2, rank, splitsSecond),
        ]);
    }

    /// <summary>The tensor that starts as zero, so that nothing changes: W₁, or W₂ with "lycoris"; none with
    /// false.</summary>
    public string ZeroAtStart(string initial)
    {
        if (initial is "false" or "null") return "";
        string part = initial == "lycoris" ? ".lokr_w2" : ".lokr_w1";
        bool isSplit = Tensors.Any(tensor => tensor.Ending == part + "_a");
        if (!isSplit) return part;
        return initial == "lycoris" ? part + "_b" : part + "_a";
    }

    // The two factors of a number that are closest to each other, the first at most `most`; most −1 sets no limit.
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
