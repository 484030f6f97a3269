using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.IO;
using LowRank.Kernels;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Pairs in the form of a singular value decomposition; training gives more directions to the layers where
/// they matter.</summary>
internal sealed record AdaLoraMethod : IAdapterMethod
{
    public string Name => "adalora";

    public string Title => "AdaLoRA";

    public string Paper => "arXiv 2303.10512";

    public string Summary =>
        "Pairs in the form of a singular value decomposition; training gives more directions to the layers where " +
        "they matter.";

    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.TargetKeys, "rank", "alpha", "dropout", "bias"];

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        Of("initial_rank", config => config.InitialRank ?? 0,
            (config, value) => config with { InitialRank = value > 0 ? value : null },
            "rank of every layer at the start; 0 for one and a half times the rank") with { Most = int.MaxValue },
        Of("start_steps", config => config.StartSteps, (config, value) => config with { StartSteps = value },
            "steps before directions are dropped") with { Most = int.MaxValue },
        Of("final_steps", config => config.FinalSteps, (config, value) => config with { FinalSteps = value },
            "number of last steps, in which the directions no longer change") with { Most = int.MaxValue },
        Of("interval", config => config.Interval, (config, value) => config with { Interval = value },
            "steps between two selections of directions") with { Least = 1, Most = int.MaxValue },
        Of("beta1", config => config.Beta1, (config, value) => config with { Beta1 = value },
            "smoothing of a weight's importance") with { Least = 1e-6, Most = 0.999999 },
        Of("beta2", config => config.Beta2, (config, value) => config with { Beta2 = value },
            "smoothing of the uncertainty of its importance") with { Least = 1e-6, Most = 0.999999 },
        Of("orthogonal_weight", config => config.OrthogonalWeight,
            (config, value) => config with { OrthogonalWeight = value },
            "weight of the penalty that keeps A and B orthogonal"),
    ];

    /// <summary>The config with the method's own settings.</summary>
    public AdaLoraConfig Config { get; init; } = new();

    public double DefaultLearningRate => 1e-3;

    ITrainingHooks IAdapterMethod.Hooks(Adapter adapter) => new AdaLoraHooks(adapter);

    public AdapterConfig Configure(LoraConfig shared) => (Config with
    {
        Rank = shared.Rank,
        Alpha = shared.Alpha,
        Dropout = shared.Dropout,
        Bias = shared.Bias,
        AlphaPattern = shared.AlphaPattern,
        UseRsLora = shared.UseRsLora,
        EnsureWeightTying = shared.EnsureWeightTying,
        InitLoraWeights = shared.InitLoraWeights,
    }).WithModulesOf(shared);

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is AdaLoraConfig own ? this with { Config = own } : null;

    private static MethodOption Of<T>(
        string name, Func<AdaLoraConfig, T> get, Func<AdaLoraConfig, T, AdaLoraConfig> set, string doc) =>
        MethodOption.Create<AdaLoraMethod, T>(
            name, method => get(method.Config),
            (method, value) => method with { Config = set(method.Config, value) }, doc);
}

/// <summary>Settings of AdaLoRA (arXiv 2303.10512).</summary>
public sealed record AdaLoraConfig : LowRankConfig
{
    /// <inheritdoc/>
    public override IAdapterType Type => AdaLoraType.Instance;

    /// <summary>The average final rank per layer (<c>target_r</c>), 1 to <see cref="InitialRank"/>; null uses
    /// <see cref="LowRankConfig.Rank"/>.</summary>
    public int? TargetRank { get; init; }

    /// <summary>The initial rank of every layer (<c>init_r</c>); null uses one and a half times
    /// <see cref="LowRankConfig.Rank"/>.</summary>
    public int? InitialRank { get; init; }

    /// <summary>Number of steps before directions are dropped (<c>tinit</c>); 0.</summary>
    public int StartSteps { get; init; }

    /// <summary>Number of final steps in which the directions stay fixed (<c>tfinal</c>); 0.</summary>
    public int FinalSteps { get; init; }

    /// <summary>Number of steps between two selections of directions (<c>deltaT</c>); 1.</summary>
    public int Interval { get; init; } = 1;

    /// <summary>Smoothing of a weight's importance (<c>beta1</c>), above 0 and below 1; 0.85.</summary>
    public double Beta1 { get; init; } = 0.85;

    /// <summary>Smoothing of the uncertainty of its importance (<c>beta2</c>), above 0 and below 1; 0.85.</summary>
    public double Beta2 { get; init; } = 0.85;

    /// <summary>The weight of the penalty that keeps A and B orthogonal (<c>orth_reg_weight</c>); 0.5.</summary>
    public double OrthogonalWeight { get; init; } = 0.5;

    /// <summary>Total training steps (<c>total_step</c>), set by training; null.</summary>
    public int? TotalSteps { get; init; }

    /// <summary>The directions that each layer keeps (<c>rank_pattern</c>), by the name of its values, set by training;
    /// null before.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<bool>>? KeptDirections { get; init; }

    /// <summary>Dropout on the input of A while training (<c>lora_dropout</c>), 0 to 1; 0.</summary>
    public double Dropout { get; init; }

    /// <summary>Which biases of the base are trained (<c>bias</c>); none.</summary>
    public BiasTraining Bias { get; init; }

    /// <summary>Kept for PEFT (<c>use_rslora</c>): AdaLoRA uses its own scale; false.</summary>
    public bool UseRsLora { get; init; }

    /// <summary>As in LoRA (<c>ensure_weight_tying</c>); false.</summary>
    public bool EnsureWeightTying { get; init; }

    /// <summary>How the pairs are initialised (<c>init_lora_weights</c>): true or false; true.</summary>
    public InitialWeights InitLoraWeights { get; init; } = InitialWeights.True;

    /// <summary>The initial rank in training.</summary>
    internal int FirstRank => InitialRank ?? (Rank * 3 + 1) / 2;

    /// <summary>The average rank at the end of training.</summary>
    internal int LastRank => TargetRank ?? Rank;

    internal override BiasTraining TrainedBiases => Bias;

    internal override bool TiesWeights => EnsureWeightTying;

    /// <inheritdoc/>
    public override double Scale(int rank, double alpha) => UseRsLora ? alpha / Math.Sqrt(rank) : alpha / rank;
}

/// <summary>PEFT's ADALORA (arXiv 2303.10512).</summary>
internal sealed class AdaLoraType : IAdapterType
{
    /// <summary>The single instance.</summary>
    public static AdaLoraType Instance { get; } = new();

    private const string Ending = ".lora_E";

    public string PeftType => "ADALORA";

    public string Label => "AdaLoRA";

    public IReadOnlyList<ConfigKey> Keys { get; } =
    [
        .. LoraKeys.Inherited<AdaLoraConfig>(
            (config => config.Dropout, (config, value) => config with { Dropout = value }),
            (config => config.Bias, (config, value) => config with { Bias = value }),
            (config => config.UseRsLora, (config, value) => config with { UseRsLora = value }),
            (config => config.EnsureWeightTying, (config, value) => config with { EnsureWeightTying = value })),
        ConfigKey.Number<AdaLoraConfig>(
            "beta1", 0.85, config => config.Beta1, (config, value) => config with { Beta1 = value }),
        ConfigKey.Number<AdaLoraConfig>(
            "beta2", 0.85, config => config.Beta2, (config, value) => config with { Beta2 = value }),
        ConfigKey.Whole<AdaLoraConfig>(
            "deltaT", 1, config => config.Interval, (config, value) => config with { Interval = value }),
        PeftKeys.Start<AdaLoraConfig>(
            "init_lora_weights", JsonShape.Boolean | Text | Null, config => config.InitLoraWeights,
            (config, value) => config with { InitLoraWeights = value },
            new((value, _) => value.ValueKind is JsonValueKind.True or JsonValueKind.False, "true or false",
                "AdaLoRA begins in its own way")),
        ConfigKey.Whole<AdaLoraConfig>(
            "init_r", 12, config => config.FirstRank, (config, value) => config with { InitialRank = value }),
        new("lora_bias", "false", JsonShape.Boolean, new(
            (value, _) => value.ValueKind == JsonValueKind.False, "false", "AdaLoRA has no bias on B; use LoRA")),
        ConfigKey.Number<AdaLoraConfig>(
            "orth_reg_weight", 0.5, config => config.OrthogonalWeight,
            (config, value) => config with { OrthogonalWeight = value }),
        ConfigKey.Create<AdaLoraConfig>(
            "rank_pattern", "null", FlagListMap | Null,
            config => config.KeptDirections is { } kept ? JsonValues.Map(
                kept.Select(layer => KeyValuePair.Create(layer.Key, JsonValues.Flags(layer.Value)))) : JsonValues.Null,
            (config, value) => config with { KeptDirections = ReadKept(value) }),
        ConfigKey.Whole<AdaLoraConfig>(
            "target_r", 8, config => config.LastRank, (config, value) => config with { TargetRank = value }),
        ConfigKey.Whole<AdaLoraConfig>(
            "tfinal", 0, config => config.FinalSteps, (config, value) => config with { FinalSteps = value }),
        ConfigKey.Whole<AdaLoraConfig>(
            "tinit", 0, config => config.StartSteps, (config, value) => config with { StartSteps = value }),
        ConfigKey.WholeOrNull<AdaLoraConfig>(
            "total_step", config => config.TotalSteps, (config, value) => config with { TotalSteps = value }),
        new("trainable_token_indices", "null", IntegerList | Map | Null, new(
            (value, _) => value.ValueKind == JsonValueKind.Null, "null", "AdaLoRA trains no tokens; use LoRA")),
        new("use_dora", "false", JsonShape.Boolean, new(
            (value, _) => value.ValueKind == JsonValueKind.False, "false", "AdaLoRA has no magnitudes; use DoRA")),
    ];

    public AdapterConfig Create() => new AdaLoraConfig();

    public IEnumerable<string> WithoutEffect(AdapterConfig config) => LoraKeys.OfOtherStarts(config, start: null);

    public IEnumerable<string> Problems(AdapterConfig any)
    {
        var config = (AdaLoraConfig)any;
        foreach (string problem in ConfigRules.OfLora(config, config.Dropout)) yield return problem;
        if (config.RankPattern.Count > 0)
            yield return "rank_pattern: AdaLoRA gives each layer its rank itself; leave it out";
        foreach ((string key, double beta) in new[] { ("beta1", config.Beta1), ("beta2", config.Beta2) })
            if (beta is not (> 0 and < 1)) yield return $"{key}: found {beta}, expected more than 0 and less than 1";
        if (config.OrthogonalWeight < 0)
            yield return $"orth_reg_weight: found {config.OrthogonalWeight}, expected at least 0";
        if (config.FirstRank < 1) yield return $"init_r: found {config.FirstRank}, expected at least 1";
        if (config.LastRank < 1 || config.LastRank > config.FirstRank)
            yield return $"target_r: found {config.LastRank}, expected 1 to init_r, {config.FirstRank}";
        foreach ((string key, int steps) in new[] { ("tinit", config.StartSteps), ("tfinal", config.FinalSteps) })
            if (steps < 0) yield return $"{key}: found {steps}, expected at least 0";
        if (config.Interval < 1) yield return $"deltaT: found {config.Interval}, expected at least 1";
        if (config.TotalSteps is { } total && total <= config.StartSteps + config.FinalSteps)
            yield return $"total_step: found {total}, expected more than tinit and tfinal together, " +
                $"{config.StartSteps + config.FinalSteps}";
    }

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig any, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        var config = (AdaLoraConfig)any;
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (AdapterTarget target in targets)
        {
            int rank = Kept(config, target.Path)?.Count(kept => kept) ?? config.FirstRank;
            string key = PeftTensorKeys.Prefix + target.Path;
            yield return new AdapterTensor(
                key + ".lora_A", [rank, byPath[target.Path].InputSize], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(
                key + ".lora_B", [byPath[target.Path].OutputSize, rank], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(key + Ending, [rank, 1], target.Path, AdapterTensorPart.Own);
        }
    }

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdaptableLayer layer = build.Layers[target.Path];
        using var scope = NewDisposeScope();
        var config = (AdaLoraConfig)build.Config;
        int rank = config.FirstRank;
        bool changes = config.InitLoraWeights.Name != "true";
        Tensor Normal(int rows, int columns) => empty(rows, columns).normal_(0, changes ? 1 : 0.02, build.Random);
        double alpha = config.Alpha.Value;
        // The scale keeps the initial rank, however many directions are left (SVDLinear.ranknum).
        return new AdaptedLayer(layer, new AdaLoraLayer(
            build.LoadOrInitialize(target.Path, ".lora_A", () => Normal(rank, layer.InputSize)),
            build.LoadOrInitialize(target.Path, ".lora_B", () => Normal(layer.OutputSize, rank)),
            build.LoadOrInitialize(target.Path, Ending, () => changes ? Normal(rank, 1) : zeros(rank, 1)),
            (alpha > 0 ? alpha : rank) / (rank + 1e-5), config.Dropout));
    })];

    public IEnumerable<ModuleSummary> Summarize(AdapterConfig any, SafeTensorsFile file) =>
        PeftKeys.ModulesOf(file, ".lora_A").Select(path =>
    {
        var config = (AdaLoraConfig)any;
        using var scope = NewDisposeScope();
        Tensor Read(string ending) => file.Map(PeftTensorKeys.Prefix + path + ending);
        Tensor a = Read(".lora_A"), b = Read(".lora_B");
        int first = config.FirstRank;
        double alpha = config.Alpha.Value, scale = (alpha > 0 ? alpha : first) / (first + 1e-5);
        DeltaSpectrum delta = a.shape[0] == 0 ? DeltaSpectrum.From(zeros(1, 1))
            : DeltaSpectrum.From(a * Read(Ending), b, scale);
        return new ModuleSummary(
            path, (int)a.shape[0], alpha, scale, b.shape[0], a.shape[1],
            delta) { Parameters = a.shape[0] * (a.shape[1] + b.shape[0] + 1) };
    });

    /// <summary>Removes the masked directions, as PEFT does when it saves.</summary>
    public AdapterExport Export(AdapterConfig config, IReadOnlyList<IAdapterPart> parts)
    {
        using var noGradient = no_grad();
        List<KeyValuePair<string, Tensor>> weights = [];
        foreach (IAdapterPart part in parts)
        {
            bool[]? kept = part is AdaptedLayer { Layer: AdaLoraLayer layer } module
                && Kept((AdaLoraConfig)config, module.Base.Path) is { } mask
                && mask.Count == layer.A.shape[0] && mask.Contains(false) ? [.. mask] : null;
            weights.AddRange(
                kept is null ? part.Weights
                : part.Weights.Select(weight => KeyValuePair.Create(weight.Key, Masked(weight, kept))));
        }
        return new AdapterExport(config, weights);
    }

    /// <summary>The directions that a layer keeps; null if the config does not say.</summary>
    public static IReadOnlyList<bool>? Kept(AdaLoraConfig config, string path) =>
        (config.KeptDirections ?? new Dictionary<string, IReadOnlyList<bool>>())
        .FirstOrDefault(layer => Normal(layer.Key) == path).Value;

    /// <summary>A config that records the directions that each layer keeps.</summary>
    public static AdaLoraConfig WithKept(
        AdaLoraConfig config, IEnumerable<KeyValuePair<string, IReadOnlyList<bool>>> kept) => config with
    {
        KeptDirections = kept.ToDictionary(layer => layer.Key + Ending, layer => layer.Value),
    };

    private static OrderedDictionary<string, IReadOnlyList<bool>>? ReadKept(JsonElement value) =>
        value.ValueKind == JsonValueKind.Null ? null : JsonValues.ReadMap(
            value, IReadOnlyList<bool> (list) => [.. list.EnumerateArray().Select(kept => kept.GetBoolean())]);

    private static Tensor Masked(KeyValuePair<string, Tensor> weight, bool[] kept)
    {
        long[] places = [.. Enumerable.Range(0, kept.Length).Where(place => kept[place]).Select(place => (long)place)];
        return weight.Value.index_select(weight.Key.EndsWith(".lora_B", StringComparison.Ordinal) ? 1
            : 0, tensor(places, device: weight.Value.device));
    }

    // PEFT writes "model.….q_proj.lora_E", in some versions followed by the adapter's name or preceded by
    // "base_model.model.".
    private static string Normal(string name)
    {
        string plain = name.EndsWith(".default", StringComparison.Ordinal) ? name[..^".default".Length] : name;
        if (plain.EndsWith(Ending, StringComparison.Ordinal)) plain = plain[..^Ending.Length];
        return plain.StartsWith(PeftTensorKeys.Prefix, StringComparison.Ordinal)
            ? plain[PeftTensorKeys.Prefix.Length..] : plain;
    }
}

/// <summary>AdaLoRA on a linear layer: the change is s·B·diag(E)·A, in the form of a singular value decomposition,
/// whose least important values E are set to zero (arXiv 2303.10512, equation 3).</summary>
/// <param name="a">A, [rank, in], float32.</param>
/// <param name="b">B, [out, rank].</param>
/// <param name="values">E, [rank, 1].</param>
/// <param name="scale">s.</param>
/// <param name="probability">Dropout on the input while training, in [0, 1).</param>
internal sealed class AdaLoraLayer(Tensor a, Tensor b, Tensor values, double scale, double probability) : IAdapterLayer
{
    /// <summary>A, [rank, in].</summary>
    public Tensor A => a;

    /// <summary>B, [out, rank].</summary>
    public Tensor B => b;

    /// <summary>E, [rank, 1].</summary>
    public Tensor Values => values;

    public double Weight { get; set; } = 1;

    public bool IsAdditive => true;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".lora_A", a), KeyValuePair.Create(".lora_B", b), KeyValuePair.Create(".lora_E", values)];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor reduced = LinearProduct.Apply(Dropout.Apply(input, probability, dropout), a * values);
        return inner.Forward(input).add(LinearProduct.Apply(reduced, b), Number(scale * Weight));
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(matmul(b, a * values), Number(scale * Weight)), bias);
    }

    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
        values.Dispose();
    }
}
