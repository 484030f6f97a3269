using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.IO;
using LowRank.Kernels;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The change is the elementwise product of two low-rank matrices: the square of the rank for twice the
/// weights.</summary>
internal sealed record LoHaMethod : IAdapterMethod
{
    public string Name => "loha";

    public string Title => "LoHa";

    public string Paper => "arXiv 2108.06098";

    public string Summary =>
        "The change is the entry-by-entry product of two low-rank matrices: the square of the rank from twice the " +
        "weights.";

    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.TargetKeys, "rank", "alpha", "rank_pattern", "alpha_pattern"];

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        MethodOption.Create<LoHaMethod, double>(
            "rank_dropout", method => method.Config.RankDropout,
            (method, value) => method with { Config = method.Config with { RankDropout = value } },
            "share of the change's outputs that a step drops") with { Most = 0.999 },
        MethodOption.Create<LoHaMethod, double>(
            "module_dropout", method => method.Config.ModuleDropout,
            (method, value) => method with { Config = method.Config with { ModuleDropout = value } },
            "probability that a step drops a whole change") with { Most = 0.999 },
    ];

    /// <summary>The config with the method's own settings.</summary>
    public LoHaConfig Config { get; init; } = new();

    public AdapterConfig Configure(LoraConfig shared) => (Config with
    {
        Rank = shared.Rank,
        Alpha = shared.Alpha,
        RankPattern = shared.RankPattern,
        AlphaPattern = shared.AlphaPattern,
        InitWeights = shared.InitLoraWeights == InitialWeights.True,
    }).WithModulesOf(shared);

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoHaConfig own ? this with { Config = own } : null;
}

/// <summary>Settings of LoHa (PEFT's LOHA; FedPara, arXiv 2108.06098).</summary>
public sealed record LoHaConfig : LowRankConfig
{
    /// <inheritdoc/>
    public override IAdapterType Type => LoHaType.Instance;

    /// <summary>Fraction of the change's outputs that a step drops (<c>rank_dropout</c>), 0 to 1; 0.</summary>
    public double RankDropout { get; init; }

    /// <summary>Probability that a step drops a whole change (<c>module_dropout</c>), 0 to 1; 0.</summary>
    public double ModuleDropout { get; init; }

    /// <summary>Whether the change starts as zero (<c>init_weights</c>); true.</summary>
    public bool InitWeights { get; init; } = true;
}

/// <summary>PEFT's LOHA: low-rank Hadamard products (FedPara, arXiv 2108.06098).</summary>
internal sealed class LoHaType : IAdapterType
{
    /// <summary>The single instance.</summary>
    public static LoHaType Instance { get; } = new();

    public string PeftType => "LOHA";

    public string Label => "LoHa";

    public IReadOnlyList<ConfigKey> Keys { get; } =
    [
        .. PeftKeys.Layered,
        .. PeftKeys.LowRank("alpha"),
        ConfigKey.Flag<LoHaConfig>(
            "init_weights", true, config => config.InitWeights,
            (config, value) => config with { InitWeights = value }),
        ConfigKey.Number<LoHaConfig>(
            "module_dropout", 0, config => config.ModuleDropout,
            (config, value) => config with { ModuleDropout = value }),
        ConfigKey.Number<LoHaConfig>(
            "rank_dropout", 0, config => config.RankDropout,
            (config, value) => config with { RankDropout = value }),
        new("use_effective_conv2d", "false", JsonShape.Boolean),
    ];

    public AdapterConfig Create() => new LoHaConfig();

    public IEnumerable<string> Problems(AdapterConfig any)
    {
        var config = (LoHaConfig)any;
        return
        [
            .. ConfigRules.Ranks(config), .. ConfigRules.Fraction("rank_dropout", config.RankDropout),
            .. ConfigRules.Fraction("module_dropout", config.ModuleDropout),
        ];
    }

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (AdapterTarget target in targets)
        {
            foreach (string half in new[] { ".hada_w1", ".hada_w2" })
            {
                string key = PeftTensorKeys.Prefix + target.Path + half;
                yield return new AdapterTensor(
                    key + "_a", [byPath[target.Path].OutputSize, target.Rank], target.Path, AdapterTensorPart.Own);
                yield return new AdapterTensor(
                    key + "_b", [target.Rank, byPath[target.Path].InputSize], target.Path, AdapterTensorPart.Own);
            }
        }
    }

    public IEnumerable<ModuleSummary> Summarize(AdapterConfig config, SafeTensorsFile file) =>
        PeftKeys.ModulesOf(file, ".hada_w1_a").Select(path =>
    {
        using var scope = NewDisposeScope();
        Tensor Read(string ending) => file.Map(PeftTensorKeys.Prefix + path + ending);
        Tensor firstA = Read(".hada_w1_a"), firstB = Read(".hada_w1_b");
        int rank = (int)firstA.shape[1];
        double alpha = PeftKeys.AlphaOf((LoHaConfig)config, path), scale = alpha / rank;
        Tensor delta = matmul(firstA, firstB) * matmul(Read(".hada_w2_a"), Read(".hada_w2_b")) * Number(scale);
        return new ModuleSummary(
            path, rank, alpha, scale, delta.shape[0], delta.shape[1],
            DeltaSpectrum.From(delta)) { Parameters = 2 * rank * (delta.shape[0] + delta.shape[1]) };
    });

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdaptableLayer layer = build.Layers[target.Path];
        using var scope = NewDisposeScope();
        var config = (LoHaConfig)build.Config;
        Tensor Load(string ending, int rows, int columns, bool zero = false) =>
            build.LoadOrInitialize(
                target.Path, ending, () => zero ? zeros(rows, columns) : build.Kaiming(rows, columns));
        return new AdaptedLayer(layer, new LoHaLayer(
            (Load(".hada_w1_a", layer.OutputSize, target.Rank), Load(".hada_w1_b", target.Rank, layer.InputSize)),
            (Load(".hada_w2_a", layer.OutputSize, target.Rank),
            Load(".hada_w2_b", target.Rank, layer.InputSize, zero: config.InitWeights)),
            target.Scale, config.RankDropout, config.ModuleDropout));
    })];
}

/// <summary>LoHa on a linear layer: the change is s·(A₁B₁) ∘ (A₂B₂), with a rank of up to the square of each product's
/// rank (FedPara, arXiv 2108.06098, section 2.1).</summary>
/// <param name="first">A₁ [out, rank] and B₁ [rank, in], float32.</param>
/// <param name="second">A₂ and B₂, with the same shapes.</param>
/// <param name="scale">s = alpha / rank.</param>
/// <param name="rankDropout">Fraction of the change's rows dropped while training; the others are scaled up.</param>
/// <param name="moduleDropout">Probability of dropping the whole change while training.</param>
internal sealed class LoHaLayer(
    (Tensor A, Tensor B) first, (Tensor A, Tensor B) second, double scale, double rankDropout,
    double moduleDropout) : IAdapterLayer
{
    public double Weight { get; set; } = 1;

    public bool IsAdditive => true;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
    [
        KeyValuePair.Create(".hada_w1_a", first.A), KeyValuePair.Create(".hada_w1_b", first.B),
        KeyValuePair.Create(".hada_w2_a", second.A), KeyValuePair.Create(".hada_w2_b", second.B),
    ];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        if (LycorisDropout.SkipsModule(moduleDropout, dropout)) return inner.Forward(input);
        Tensor change = LycorisDropout.Apply(LinearProduct.Apply(input, Product()), rankDropout, rescales: true,
            dropout);
        return inner.Forward(input).add(change, Number(scale * Weight));
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(Product(), Number(scale * Weight)), bias);
    }

    public void Dispose()
    {
        foreach (Tensor tensor in new[] { first.A, first.B, second.A, second.B }) tensor.Dispose();
    }

    private Tensor Product() => matmul(first.A, first.B) * matmul(second.A, second.B); // [out, in]
}
