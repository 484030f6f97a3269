using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A low-rank pair beside each frozen weight: y = Wx + s·B(Ax).</summary>
internal sealed record LoraMethod : IAdapterMethod
{
    public string Name => "lora";

    public string Title => "LoRA";

    public string Paper => "arXiv 2106.09685";

    public string Summary => "A low-rank pair beside each frozen weight: y = Wx + s·B(Ax).";

    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys, "lora_bias", "init_lora_weights"];

    public AdapterConfig Configure(LoraConfig shared) => shared;

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoraConfig { UseDora: false, InitLoraWeights.Name: "true" or "false" or "gaussian" } ? this : null;
}

/// <summary>Settings of LoRA (arXiv 2106.09685) and its variants: rsLoRA, DoRA, other initialisations, trained
/// tokens.</summary>
public sealed record LoraConfig : LowRankConfig
{
    /// <inheritdoc/>
    public override IAdapterType Type => LoraType.Instance;

    /// <summary>Dropout on the input of A while training (<c>lora_dropout</c>), 0 to 1; 0.</summary>
    public double Dropout { get; init; }

    /// <summary>Which biases of the base are trained (<c>bias</c>); none.</summary>
    public BiasTraining Bias { get; init; }

    /// <summary>Whether the scale is alpha/√rank instead of alpha/rank (<c>use_rslora</c>, arXiv 2312.03732);
    /// false.</summary>
    public bool UseRsLora { get; init; }

    /// <summary>Whether B has a bias (<c>lora_bias</c>); false.</summary>
    public bool LoraBias { get; init; }

    /// <summary>Whether a magnitude per output is trained in addition to the direction (<c>use_dora</c>, arXiv
    /// 2402.09353); false.</summary>
    public bool UseDora { get; init; }

    /// <summary>Whether an embedding and the output head that shares its weight are changed alike if one of them is
    /// adapted or saved whole (<c>ensure_weight_tying</c>); false changes only the named one.</summary>
    public bool EnsureWeightTying { get; init; }

    /// <summary>Embedding rows that are trained directly (<c>trainable_token_indices</c>): token ids by the embedding's
    /// name, or under null for the model's token embedding; null trains none.</summary>
    public IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? TrainableTokenIndices { get; init; }

    /// <summary>How the pairs are initialised (<c>init_lora_weights</c>): true, false, "gaussian", "pissa", "olora",
    /// "orthogonal", "eva", …; true.</summary>
    public InitialWeights InitLoraWeights { get; init; } = InitialWeights.True;

    /// <summary>EVA's settings (<c>eva_config</c>), only with that initialisation; null.</summary>
    public EvaConfig? EvaConfig { get; init; }

    /// <summary>CorDA's settings (<c>corda_config</c>), only with that initialisation; null.</summary>
    public CordaConfig? CordaConfig { get; init; }

    /// <summary>LoRA-GA's settings (<c>lora_ga_config</c>), only with that initialisation; null.</summary>
    public LoraGaConfig? LoraGaConfig { get; init; }

    internal override BiasTraining TrainedBiases => Bias;

    internal override bool TiesWeights => EnsureWeightTying;

    internal override IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? TrainedTokens => TrainableTokenIndices;

    /// <inheritdoc/>
    public override double Scale(int rank, double alpha) => UseRsLora ? alpha / Math.Sqrt(rank) : alpha / rank;
}

/// <summary>PEFT's LORA: low-rank pairs, with DoRA's magnitudes, biases on B and trained tokens if the config requests
/// them.</summary>
internal sealed class LoraType : IAdapterType
{
    /// <summary>The single instance.</summary>
    public static LoraType Instance { get; } = new();

    public string PeftType => "LORA";

    public string Label => "LoRA";

    public IReadOnlyList<ConfigKey> Keys => LoraKeys.All;

    public AdapterConfig Create() => new LoraConfig();

    public string? RefusesEmbeddings(AdapterConfig any)
    {
        var config = (LoraConfig)any;
        return config.UseDora ? "DoRA adapts linear layers only here"
            : config.LoraBias ? "lora_bias has no meaning on an embedding"
            : LoraInitializers.Find(config.InitLoraWeights.Name) is RandomInitializer ? null
            : $"init_lora_weights \"{config.InitLoraWeights.Text}\" works on linear layers only";
    }

    public IEnumerable<string> Problems(AdapterConfig any)
    {
        var config = (LoraConfig)any;
        return
        [
            .. ConfigRules.OfLora(config, config.Dropout, config.UseDora && config.LoraBias
                ? ["lora_bias: found true beside use_dora; PEFT has no bias on B with DoRA. Choose one"] : null),
            .. LoraInitializers.Find(config.InitLoraWeights.Name).Problems(config), .. Together(config),
        ];
    }

    public IEnumerable<string> WithoutEffect(AdapterConfig config) =>
        LoraKeys.OfOtherStarts(config, ((LoraConfig)config).InitLoraWeights.Name);

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig any, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        var config = (LoraConfig)any;
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (AdapterTarget target in targets)
        {
            ModuleInfo module = byPath[target.Path];
            bool isEmbedding = module.Kind == ModuleKind.Embedding;
            yield return Tensor(target.Path, isEmbedding ? AdapterTensorPart.EmbeddingA
                : AdapterTensorPart.LinearA, [target.Rank, module.InputSize]);
            yield return Tensor(target.Path, isEmbedding ? AdapterTensorPart.EmbeddingB
                : AdapterTensorPart.LinearB, [module.OutputSize, target.Rank]);
            if (isEmbedding) continue;
            if (config.UseDora) yield return Tensor(target.Path, AdapterTensorPart.Magnitude, [module.OutputSize]);
            if (config.LoraBias) yield return Tensor(target.Path, AdapterTensorPart.OutputBias, [module.OutputSize]);
        }
        if (TiedHead(config, targets, modules) is { } head
            && targets.First(target => target.Path == Table(modules)?.Path) is { } table)
        {
            yield return Tensor(
                head.Path, AdapterTensorPart.LinearA,
                [table.Rank, head.InputSize]) with { Part = AdapterTensorPart.Duplicate, IsRequired = false };
            yield return Tensor(
                head.Path, AdapterTensorPart.LinearB,
                [head.OutputSize, table.Rank]) with { Part = AdapterTensorPart.Duplicate, IsRequired = false };
        }
        foreach ((string path, IReadOnlyList<int> tokens) in TrainedTokens.From(config, modules))
            yield return Tensor(path, AdapterTensorPart.TokenRows, [tokens.Count, TrainedTokens.Width(byPath[path])]);
    }

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        ILoraInitializer start = LoraInitializers.Find(((LoraConfig)build.Config).InitLoraWeights.Name);
        IReadOnlyDictionary<string, LoraPair>? first = build.IsNew || start.StartsFromBase ? start.Draw(build) : null;
        List<IAdapterPart> parts = [];
        foreach (AdapterTarget target in build.Targets)
            parts.Add(
                new AdaptedLayer(
                    build.Layers[target.Path],
                    Layer(build, target, first?.GetValueOrDefault(target.Path), start.StartsFromBase)));
        foreach (AdaptedLayer table in parts.OfType<AdaptedLayer>()
            .Where(module => module.Layer is LoraEmbedding { CoversTie: true }).ToList())
            parts.Add(
                new AdaptedLayer(
                    build.Layers.Values.First(layer => layer.IsTiedHead),
                    new LoraTiedHead((LoraEmbedding)table.Layer, ((LoraConfig)build.Config).Dropout)));
        parts.AddRange(TrainedTokens.Build(build));
        return parts;
    }

    /// <summary>The output head that follows the embedding's pair (<c>ensure_weight_tying</c>); null if none
    /// does.</summary>
    internal static ModuleInfo? TiedHead(
        AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules) =>
        config.TiesWeights && targets.Any(target => target.Path == Table(modules)?.Path)
            ? modules.FirstOrDefault(module => module.IsTied) : null;

    private static ModuleInfo? Table(IReadOnlyList<ModuleInfo> modules) =>
        modules.FirstOrDefault(module => module.IsInputEmbedding);

    public AdapterExport Export(AdapterConfig any, IReadOnlyList<IAdapterPart> parts)
    {
        var config = (LoraConfig)any;
        return LoraConversion.Export(LoraInitializers.Find(config.InitLoraWeights.Name).IsSpent
            ? config with { InitLoraWeights = InitialWeights.True } : config, parts);
    }

    // The magnitude would refer to the whole weight, while the pair would start as a part taken out of it.
    private static IEnumerable<string> Together(LoraConfig config)
    {
        if (config.UseDora && LoraInitializers.Find(config.InitLoraWeights.Name) is { StartsFromBase: true })
            yield return $"init_lora_weights: found \"{config.InitLoraWeights.Text}\" beside use_dora; DoRA cannot " +
                "begin as a part of the base here. Choose one";
    }

    private static IAdapterLayer Layer(AdapterBuild build, AdapterTarget target, LoraPair? first, bool startsFromBase)
    {
        var config = (LoraConfig)build.Config;
        string path = target.Path;
        AdaptableLayer layer = build.Layers[path];
        using var scope = NewDisposeScope();
        LoraPair Draw() => first ?? throw new InvalidOperationException($"{path} has no first values.");
        if (layer.Kind == ModuleKind.Embedding)
            return new LoraEmbedding(
                build.LoadOrInitialize(path, ".lora_embedding_A", () => Draw().A),
                build.LoadOrInitialize(path, ".lora_embedding_B", () => Draw().B), target.Scale,
                config.EnsureWeightTying
                && build.Layers.Values.Any(other => other.IsTiedHead && other.Parameter == layer.Parameter));
        Tensor a = build.LoadOrInitialize(path, ".lora_A.weight", () => Draw().A),
            b = build.LoadOrInitialize(path, ".lora_B.weight", () => Draw().B);
        double dropout = config.Dropout;
        if (config.UseDora)
            return new DoraLayer(
                layer, a, b,
                build.IsNew ? null : build.LoadOrInitialize(path, ".lora_magnitude_vector", () => Draw().B),
                target.Scale, dropout);
        Tensor? bias = config.LoraBias
            ? build.LoadOrInitialize(path, ".lora_B.bias", () => zeros(layer.OutputSize)) : null;
        return new LoraLayer(
            a, b, target.Scale, dropout, bias, startsFromBase ? (build.Own(Draw().A), build.Own(Draw().B)) : null);
    }

    private static AdapterTensor Tensor(string path, AdapterTensorPart part, long[] shape) =>
        new(PeftTensorKeys.Key(path, part), shape, path, part);
}

/// <summary>The keys of a LoRA config as in PEFT 0.20.1 (peft/tuners/lora/config.py).</summary>
/// <remarks>Supporting a feature widens or removes the limit of its key here; nothing else decides what is
/// rejected.</remarks>
internal static class LoraKeys
{
    private const string Merge = "merge that adapter in PEFT and load the merged model instead";

    private static readonly Dictionary<string, string> Starts = new()
    {
        ["corda_config"] = "corda", ["eva_config"] = "eva", ["lora_ga_config"] = "lora_ga",
    };

    /// <summary>All keys.</summary>
    public static IReadOnlyList<ConfigKey> All { get; } =
    [
        .. Inherited<LoraConfig>(
            (config => config.Dropout, (config, value) => config with { Dropout = value }),
            (config => config.Bias, (config, value) => config with { Bias = value }),
            (config => config.UseRsLora, (config, value) => config with { UseRsLora = value }),
            (config => config.EnsureWeightTying, (config, value) => config with { EnsureWeightTying = value }))
            .Where(key => !Starts.ContainsKey(key.Name)),
        ConfigKey.Settings<LoraConfig, CordaConfig>(
            "corda_config", config => config.CordaConfig, (config, value) => config with { CordaConfig = value },
            CordaConfig.Parse, settings => settings.Write()),
        ConfigKey.Settings<LoraConfig, EvaConfig>(
            "eva_config", config => config.EvaConfig, (config, value) => config with { EvaConfig = value },
            EvaConfig.Parse, settings => settings.Write()),
        PeftKeys.Start<LoraConfig>(
            "init_lora_weights", JsonShape.Boolean | Text | Null, config => config.InitLoraWeights,
            (config, value) => config with { InitLoraWeights = value }, new(
                SupportsStart, LoraInitializers.Names,
                "for a new adapter choose one of these; an adapter that took a part of the base away that cannot be " +
                "found again (corda, loftq, lora_ga, pissa_niter_N) has to be saved by PEFT with " +
                "path_initial_model_for_weight_conversion first; where loftq's base is at hand, quantised as it was " +
                "then, set true")),
        ConfigKey.Flag<LoraConfig>(
            "lora_bias", false, config => config.LoraBias, (config, value) => config with { LoraBias = value }),
        ConfigKey.Settings<LoraConfig, LoraGaConfig>(
            "lora_ga_config", config => config.LoraGaConfig, (config, value) => config with { LoraGaConfig = value },
            LoraGaConfig.Parse, settings => settings.Write()),
        PeftKeys.LowRank("lora_alpha").Single(key => key.Name == "rank_pattern"),
        ConfigKey.Create<LoraConfig>(
            "trainable_token_indices", "null", IntegerList | Map | Null,
            config => WriteTokens(config.TrainableTokenIndices),
            (config, value) => config with { TrainableTokenIndices = ReadTokens(value) }),
        ConfigKey.Flag<LoraConfig>(
            "use_dora", false, config => config.UseDora, (config, value) => config with { UseDora = value }),
    ];

    /// <summary>LoRA's keys that AdaLoRA inherits with their meaning.</summary>
    public static IEnumerable<ConfigKey> Inherited<T>(
        (Func<T, double> Get, Func<T, double, T> Set) dropout,
        (Func<T, BiasTraining> Get, Func<T, BiasTraining, T> Set) bias,
        (Func<T, bool> Get, Func<T, bool, T> Set) rsLora, (Func<T, bool> Get, Func<T, bool, T> Set) ties)
        where T : LowRankConfig =>
    [
        .. PeftKeys.Layered,
        .. PeftKeys.LowRank("lora_alpha").Where(key => key.Name != "rank_pattern"),
        PeftKeys.FanInFanOut,
        PeftKeys.Bias(bias.Get, bias.Set),
        ConfigKey.Number("lora_dropout", 0, dropout.Get, dropout.Set),
        ConfigKey.Flag("use_rslora", false, rsLora.Get, rsLora.Set),
        ConfigKey.Flag("ensure_weight_tying", false, ties.Get, ties.Set),
        new("alora_invocation_tokens", "null", IntegerList | Null,
            ConfigKeyLimit.OnlyNull("activated LoRA (aLoRA)", "train the adapter without it")),
        new("arrow_config", "null", Map | Null,
            ConfigKeyLimit.OnlyNull("Arrow routing between adapters", "load one of the adapters alone")),
        new("corda_config", "null", Map | Null),
        new("eva_config", "null", Map | Null),
        new("kasa_config", "null", Map | Null, ConfigKeyLimit.OnlyNull("KaSA, which changes the base", Merge)),
        new("layer_replication", "null", List | Null, ConfigKeyLimit.OnlyNull("repeated layers", Merge)),
        new("loftq_config", "{}", Map | Null, new(
            (value, use) => use == AdapterUse.Load || IsEmpty(value), "{}",
            "settings of LoftQ's quantisation; here the base is opened quantised, and init_lora_weights \"loftq\" " +
            "takes it as it is")),
        new("lora_ga_config", "null", Map | Null),
        new("megatron_config", "null", Map | Null,
            ConfigKeyLimit.OnlyNull("Megatron's parallel layers", "save the adapter for a plain model")),
        new("megatron_core", "\"megatron.core\"", Text | Null),
        new("monteclora_config", "null", Map | Null, ConfigKeyLimit.OnlyNull("MonteCLoRA's sampled weights", Merge)),
        new("qalora_group_size", "16", Integer),
        new("target_parameters", "null", TextList | Null, new(
            (value, _) => IsEmpty(value), "null",
            "adapters on bare parameters (mixture-of-experts weights); use target_modules")),
        new("use_bdlora", "null", Map | Null, ConfigKeyLimit.OnlyNull("block-diagonal LoRA", Merge)),
        new("use_qalora", "false", JsonShape.Boolean,
            ConfigKeyLimit.OnlyFalse("QALoRA on a GPTQ base", "train the adapter without it")),
        new("velora_config", "null", Map | Null, new(
            (value, use) => use == AdapterUse.Load || value.ValueKind == JsonValueKind.Null, "null",
            "VeLoRA's compressed backward pass; set it to null")),
    ];

    /// <summary>The settings of initialisations that are not selected and would have no effect, one line
    /// each.</summary>
    /// <param name="config">The config.</param>
    /// <param name="start">The selected initialisation; null for none of these.</param>
    public static IEnumerable<string> OfOtherStarts(AdapterConfig config, string? start)
    {
        IReadOnlyDictionary<string, JsonElement> values = config.Values();
        return from setting in Starts
               where setting.Value != start && values[setting.Key].ValueKind != JsonValueKind.Null
               select $"{setting.Key}: found {JsonShapes.Brief(values[setting.Key])}, which has no effect without " +
                   $"init_lora_weights \"{setting.Value}\"; set it to null";
    }

    private static bool SupportsStart(JsonElement value, AdapterUse use) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => true,
        JsonValueKind.Null => use == AdapterUse.Load,
        _ => LoraInitializers.Supports(value.GetString()!.ToLowerInvariant(), use)
        || (use == AdapterUse.Load && value.GetString() == "mica"),
    };

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };

    private static JsonElement WriteTokens(IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? tokens) =>
        tokens switch
        {
            null => JsonValues.Null,
            [{ Key: null, Value: var only }] => JsonValues.Wholes(only),
            _ => JsonValues.Map(tokens.Select(table =>
                KeyValuePair.Create(table.Key ?? "embed_tokens", JsonValues.Wholes(table.Value)))),
        };

    private static IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? ReadTokens(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.Array =>
                [KeyValuePair.Create<string?, IReadOnlyList<int>>(null, JsonValues.ReadWholes(value))],
            JsonValueKind.Object =>
            [
                .. value.EnumerateObject().Select(table =>
                    KeyValuePair.Create<string?, IReadOnlyList<int>>(table.Name, JsonValues.ReadWholes(table.Value))),
            ],
            _ => null,
        };
}

/// <summary>The low-rank pair of one linear layer: y = Wx + b + s·B(A·dropout(x)) (LoRA, arXiv 2106.09685, section
/// 4.1).</summary>
/// <remarks>If the pair started as a part of W (PiSSA, OLoRA, …), that part is subtracted: y += −s·B₀(A₀x). W itself
/// stays unchanged, so that all other adapters and the saved base remain valid.</remarks>
internal sealed class LoraLayer : IAdapterLayer, ILowRankAdapter
{
    private readonly double probability;

    /// <summary>Takes ownership of the float32 tensors.</summary>
    /// <param name="a">A, [rank, in].</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="scale">s: alpha / rank, or alpha / √rank with rsLoRA.</param>
    /// <param name="dropout">Dropout on the input of A while training, in [0, 1).</param>
    /// <param name="outputBias">A bias on B (<c>lora_bias</c>), [out], scaled like B; null for none.</param>
    /// <param name="initialPair">A₀ and B₀ if they are to be subtracted from the base; otherwise null.</param>
    public LoraLayer(
        Tensor a, Tensor b, double scale, double dropout, Tensor? outputBias = null,
        (Tensor A, Tensor B)? initialPair = null)
    {
        (A, B, Scale, OutputBias, InitialPair) = (a, b, scale, outputBias, initialPair);
        probability = dropout;
    }

    /// <summary>A, [rank, in].</summary>
    public Tensor A { get; }

    /// <summary>B, [out, rank].</summary>
    public Tensor B { get; }

    /// <summary>The bias on B, [out]; null for none.</summary>
    public Tensor? OutputBias { get; }

    /// <summary>A₀ and B₀, the part of the base that the pair started as; null if it did not start as a
    /// part of it.</summary>
    public (Tensor A, Tensor B)? InitialPair { get; }

    /// <summary>The scale s.</summary>
    public double Scale { get; }

    public double Weight { get; set; } = 1;

    (Tensor A, Tensor B, double Scale)? ILowRankAdapter.Pair =>
        OutputBias is null && InitialPair is null ? (A, B, Scale) : null;

    public bool IsAdditive => true;

    public bool ChangesBias => OutputBias is not null;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
    [
        KeyValuePair.Create(".lora_A.weight", A),
        KeyValuePair.Create(".lora_B.weight", B),
        .. OutputBias is { } bias ? [KeyValuePair.Create(".lora_B.bias", bias)]
        : Array.Empty<KeyValuePair<string, Tensor>>(),
    ];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        double s = Scale * Weight;
        Tensor? kept = Dropout.Kept(input, probability, dropout);
        Tensor output = LowRankLinear.Apply(input, inner, A, B, s, kept, OutputBias);
        return InitialPair is { } initial ? LowRankLinear.Add(output, input, initial.A, initial.B, -s) : output;
    }

    /// <summary>The full change s·B·A, [out, in], in float32; the caller owns it.</summary>
    public Tensor Delta()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor delta = matmul(B, A);
        if (InitialPair is { } initial) delta = delta.sub_(matmul(initial.B, initial.A));
        return delta.mul_(Number(Scale * Weight)).MoveToOuterDisposeScope();
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        if (OutputBias is null) return (weight.Plus(Delta()), bias);
        if (bias is null)
            throw new InputException(
                "lora_bias: the adapter has a bias on B, but the layer has no bias that could take it. Use the " +
                "adapter unmerged.");
        return (weight.Plus(Delta()), bias.Plus(OutputBias.detach() * Number(Scale * Weight)));
    }

    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
        OutputBias?.Dispose();
        InitialPair?.A.Dispose();
        InitialPair?.B.Dispose();
    }
}
