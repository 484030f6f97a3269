using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.Adapters.Matching;
using LowRank.IO;
using LowRank.Models;
using LowRank.Models.Layers;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>All adapter types: the library's own, in one list, and those that a program registers.</summary>
public static class AdapterTypes
{
    private static readonly Registry<IAdapterType> Types = new("type of adapter", type => type.PeftType,
    [
        AdaLoraType.Instance, Ia3Type.Instance, LoHaType.Instance, LoKrType.Instance, LoraType.Instance,
        PrefixTuningType.Instance, PromptTuningType.Instance, VeraType.Instance,
    ]);

    /// <summary>The supported values of <c>peft_type</c>, sorted.</summary>
    public static IReadOnlyList<string> PeftTypes => Types.Names;

    /// <summary>Adds your own type for every folder that is read afterwards. Thread-safe.</summary>
    /// <exception cref="ArgumentException">Its <c>peft_type</c> is taken; types cannot be replaced.</exception>
    public static void Register(IAdapterType type) => Types.Register(type);

    /// <summary>The type with a <c>peft_type</c>; null if it is not supported.</summary>
    public static IAdapterType? Find(string peftType) => Types.Find(peftType);
}

/// <summary>An adapter type: a value of PEFT's <c>peft_type</c>, with its config, its tensors and its layers.</summary>
/// <remarks>Listed in <see cref="AdapterTypes"/>. Each has a record derived from <see cref="AdapterConfig"/>, and every
/// config passed to its members is of that record.</remarks>
public interface IAdapterType
{
    /// <summary>The value of <c>peft_type</c>.</summary>
    string PeftType { get; }

    /// <summary>Its name in messages.</summary>
    string Label { get; }

    /// <summary>The keys of its config, as in PEFT: <see cref="PeftKeys"/> contains shared ones.</summary>
    IReadOnlyList<ConfigKey> Keys { get; }

    /// <summary>A config of its record with default values.</summary>
    AdapterConfig Create();

    /// <summary>Whether it adapts layers selected by <c>target_modules</c>.</summary>
    bool HasTargets => true;

    /// <summary>Why it does not adapt embeddings; null if it does.</summary>
    string? RefusesEmbeddings(AdapterConfig config) => $"{Label} adapts linear layers only";

    /// <summary>The default modules if a config lists none; null if there is no default for the model type.</summary>
    IReadOnlyList<string>? DefaultTargets(string modelType) => Adapters.DefaultTargets.Find(modelType);

    /// <summary>A config completed from the model, as PEFT does for a new adapter.</summary>
    AdapterConfig Fill(AdapterConfig config, PretrainedModel model) => config;

    /// <summary>A config completed with the type's defaults for the model type, if a file omits them.</summary>
    AdapterConfig Complete(AdapterConfig config, string modelType) => config;

    /// <summary>The problems of a config, one line each, starting with the key.</summary>
    IEnumerable<string> Problems(AdapterConfig config) => [];

    /// <summary>The settings of a new adapter's config that have no effect together with the rest, one line each,
    /// starting with the key.</summary>
    IEnumerable<string> WithoutEffect(AdapterConfig config) => [];

    /// <summary>The tensors in an adapter's file for the adapted modules.</summary>
    /// <param name="config">The config.</param>
    /// <param name="targets">The adapted modules with their ranks.</param>
    /// <param name="modules">All modules of the model.</param>
    IEnumerable<AdapterTensor> Tensors(
        AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules);

    /// <summary>Builds the adapter's changes to the model's layers.</summary>
    IReadOnlyList<IAdapterPart> Build(AdapterBuild build);

    /// <summary>The changes of each module in a file of this type, without its base.</summary>
    IEnumerable<ModuleSummary> Summarize(AdapterConfig config, SafeTensorsFile file) => [];

    /// <summary>Number of trained values in a file.</summary>
    long TrainedCount(SafeTensorsFile file) => file.Entries.Values.Sum(entry => entry.ElementCount);

    /// <summary>What to write for an adapter: its config and tensors, adjusted if saving them directly would be wrong
    /// for the unchanged base.</summary>
    internal AdapterExport Export(AdapterConfig config, IReadOnlyList<IAdapterPart> parts) =>
        new(config, [.. parts.SelectMany(part => part.Weights)]);
}

/// <summary>Config keys that several adapter types share (peft/config.py and the tuners' config.py).</summary>
public static class PeftKeys
{
    /// <summary>The keys of every PEFT adapter type.</summary>
    public static IReadOnlyList<ConfigKey> Common { get; } =
    [
        new("auto_mapping", "null", Map | Null),
        ConfigKey.Text<AdapterConfig>(
            "base_model_name_or_path", null, config => config.BaseModel,
            (config, value) => config with { BaseModel = value }),
        // PEFT sets it whenever it saves.
        ConfigKey.Create<AdapterConfig>(
            "inference_mode", "true", JsonShape.Boolean, _ => JsonValues.Flag(true), (config, _) => config),
        ConfigKey.Create<AdapterConfig>(
            "peft_type", "\"\"", Text, config => JsonValues.Text(config.PeftType), (config, _) => config),
        ConfigKey.Text<AdapterConfig>(
            "peft_version", null, config => config.PeftVersion,
            (config, value) => config with { PeftVersion = value ?? AdapterConfig.FormatVersion }),
        ConfigKey.Text<AdapterConfig>(
            "revision", null, config => config.Revision, (config, value) => config with { Revision = value }),
        ConfigKey.Text<AdapterConfig>(
            "task_type", null, config => config.TaskType, (config, value) => config with { TaskType = value }),
    ];

    /// <summary><c>modules_to_save</c>.</summary>
    public static ConfigKey ModulesToSave { get; } = ConfigKey.Create<AdapterConfig>(
        "modules_to_save", "null", TextList | Null, config => JsonValues.Texts(config.ModulesToSave),
        (config, value) => config with
        {
            ModulesToSave = value.ValueKind == JsonValueKind.Array ? JsonValues.ReadTexts(value) : null,
        });

    /// <summary><c>fan_in_fan_out</c>.</summary>
    public static ConfigKey FanInFanOut { get; } = ConfigKey.Flag<AdapterConfig>(
        "fan_in_fan_out", false, config => config.FanInFanOut,
        (config, value) => config with { FanInFanOut = value });

    /// <summary><see cref="Common"/> with the keys that select modules.</summary>
    public static IReadOnlyList<ConfigKey> Targeted { get; } =
    [
        .. Common,
        ConfigKey.Modules<AdapterConfig>(
            "exclude_modules", config => config.ExcludeModules,
            (config, value) => config with { ExcludeModules = value }),
        ModulesToSave,
        ConfigKey.Modules<AdapterConfig>(
            "target_modules", config => config.TargetModules,
            (config, value) => config with { TargetModules = value }),
    ];

    /// <summary><see cref="Targeted"/> with the keys that select layers.</summary>
    public static IReadOnlyList<ConfigKey> Layered { get; } =
    [
        .. Targeted,
        ConfigKey.Modules<AdapterConfig>(
            "layers_pattern", config => config.LayersPattern,
            (config, value) => config with { LayersPattern = value }),
        ConfigKey.Create<AdapterConfig>(
            "layers_to_transform", "null", Integer | IntegerList | Null,
            config => config.LayersToTransform is { } layers ? JsonElement.Parse(layers.ToString()) : JsonValues.Null,
            (config, value) => config with { LayersToTransform = ReadLayers(value) }),
    ];

    /// <summary>The keys of a rank and an alpha, which can be set per module.</summary>
    /// <param name="alpha">The name of alpha's key.</param>
    public static IReadOnlyList<ConfigKey> LowRank(string alpha) =>
    [
        ConfigKey.Create<LowRankConfig>(
            alpha, "8", JsonShape.Number, config => JsonElement.Parse(config.Alpha.ToString()),
            (config, value) => config with { Alpha = ReadNumber(value) }),
        AlphaPattern,
        Rank,
        ConfigKey.Create<LowRankConfig>(
            "rank_pattern", "{}", IntegerMap | Null,
            config => JsonValues.Map(
                config.RankPattern.Select(rank => KeyValuePair.Create(rank.Key, JsonValues.Whole(rank.Value)))),
            (config, value) => config with
            {
                RankPattern = JsonValues.ReadMap(value, rank => rank.GetInt32()),
            }),
    ];

    /// <summary><c>bias</c>, for types that train any.</summary>
    internal static ConfigKey Bias<T>(Func<T, BiasTraining> get, Func<T, BiasTraining, T> set)
        where T : AdapterConfig => ConfigKey.Create<T>(
            "bias", "\"none\"", Text,
            config => JsonValues.Text(
                get(config) switch { BiasTraining.All => "all", BiasTraining.Adapted => "lora_only", _ => "none" }),
            (config, value) => set(config, value.GetString() switch
            {
                "all" => BiasTraining.All, "lora_only" => BiasTraining.Adapted, _ => BiasTraining.None,
            }));

    /// <summary>A key for how weights are initialised.</summary>
    internal static ConfigKey Start<T>(
        string name, JsonShape shape, Func<T, InitialWeights> get, Func<T, InitialWeights, T> set,
        ConfigKeyLimit? limit = null) where T : AdapterConfig => ConfigKey.Create<T>(
            name, "true", shape,
            config => get(config) is { Text: { } text } ? JsonValues.Text(text) : JsonElement.Parse(get(config).Name),
            (config, value) => set(config, value.ValueKind switch
            {
                JsonValueKind.True => InitialWeights.True,
                JsonValueKind.False => InitialWeights.False,
                JsonValueKind.Null => InitialWeights.Null,
                _ => InitialWeights.Parse(value.GetString()!),
            }), limit);

    /// <summary>The paths of the modules that have a tensor with a suffix in a file.</summary>
    internal static IEnumerable<string> ModulesOf(SafeTensorsFile file, string ending) => file.Entries.Keys
        .Where(key => key.StartsWith(PeftTensorKeys.Prefix, StringComparison.Ordinal)
        && key.EndsWith(ending, StringComparison.Ordinal))
        .Select(key => key[PeftTensorKeys.Prefix.Length..^ending.Length]);

    /// <summary>The alpha of a module.</summary>
    internal static double AlphaOf(LowRankConfig config, string path) =>
        (new PatternValues<ConfigNumber>(config.AlphaPattern, "alpha_pattern").All(path) is [var own, ..] ? own.Value
            : config.Alpha).Value;

    /// <summary><c>r</c>.</summary>
    internal static ConfigKey Rank { get; } = ConfigKey.Whole<LowRankConfig>(
        "r", 8, config => config.Rank, (config, value) => config with { Rank = value });

    /// <summary><c>alpha_pattern</c>.</summary>
    internal static ConfigKey AlphaPattern { get; } = ConfigKey.Create<LowRankConfig>(
        "alpha_pattern", "{}", NumberMap | Null,
        config => JsonValues.Map(config.AlphaPattern.Select(
            alpha => KeyValuePair.Create(alpha.Key, JsonElement.Parse(alpha.Value.ToString())))),
        (config, value) => config with { AlphaPattern = JsonValues.ReadMap(value, ReadNumber) });

    private static ConfigNumber ReadNumber(JsonElement value) => ConfigNumber.Parse(value.GetRawText())!.Value;

    private static LayerSelection? ReadLayers(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Array => [.. JsonValues.ReadWholes(value)],
        _ => LayerSelection.One(value.GetInt32()),
    };
}

/// <summary>What an adapter is built from: a file's tensors or newly drawn initial values.</summary>
public sealed class AdapterBuild : IDisposable
{
    private readonly List<Tensor> owned = [];
    private readonly INetwork network;
    private readonly Func<string, Tensor>? read;
    private readonly Func<string, bool> has;
    private readonly Generator random;

    internal AdapterBuild(AdapterConfig config, IReadOnlyList<AdapterTarget> targets, INetwork network,
        Func<string, Tensor>? read, Func<string, bool> has, Generator random)
    {
        (Config, Targets) = (config, targets);
        (this.network, this.read, this.has, this.random) = (network, read, has, random);
        Layers = AdaptableLayer.From(network);
    }

    /// <summary>The config.</summary>
    public AdapterConfig Config { get; private set; }

    /// <summary>The adapted modules.</summary>
    public IReadOnlyList<AdapterTarget> Targets { get; private set; }

    /// <summary>The base's folder.</summary>
    public required string ModelFolder { get; init; }

    /// <summary>Data for initialisations that need it; null for none.</summary>
    internal ICalibration? Calibration { get; init; }

    /// <summary>The model.</summary>
    public INetwork Network => network;

    /// <summary>Its layers by path.</summary>
    public IReadOnlyDictionary<string, AdaptableLayer> Layers { get; }

    /// <summary>Whether the adapter is new: its tensors are initialised, not read.</summary>
    public bool IsNew => read is null;

    /// <summary>The random generator for initial values.</summary>
    public Generator Random => random;

    /// <summary>The data, for an initialisation that requires it.</summary>
    /// <exception cref="InputException">There is no data.</exception>
    internal ICalibration RequireCalibration() => Calibration ?? throw new InputException(
        $"init_lora_weights \"{(Config as LoraConfig)?.InitLoraWeights.Text}\" looks at data before training, and " +
            "none was given. Pass a calibration.");

    /// <summary>Changes ranks and the config accordingly, for an initialisation that determines ranks from
    /// data.</summary>
    public void Revise(AdapterConfig config, IReadOnlyList<AdapterTarget> targets) =>
        (Config, Targets) = (config, targets);

    /// <summary>Puts a probe into the slot of every target while the model runs, and reads the probes, which are
    /// disposed of afterwards.</summary>
    internal TResult Observe<TProbe, TResult>(
        Func<AdaptableLayer, TProbe> create, Action<IReadOnlyDictionary<string, TProbe>> run,
        Func<IReadOnlyDictionary<string, TProbe>, TResult> read) where TProbe : ISlotAdapter, IDisposable
    {
        Dictionary<string, TProbe> probes =
            Targets.ToDictionary(target => target.Path, target => create(Layers[target.Path]));
        try
        {
            foreach ((string path, TProbe probe) in probes) Layers[path].Slot.Attach(probe);
            try
            {
                run(probes);
            }
            finally
            {
                foreach ((string path, TProbe probe) in probes) Layers[path].Slot.Detach(probe);
            }
            return read(probes);
        }
        finally
        {
            foreach (TProbe probe in probes.Values) probe.Dispose();
        }
    }

    /// <summary>Whether the file has a certain tensor of a module.</summary>
    public bool Has(string path, string ending) => has(PeftTensorKeys.Prefix + path + ending);

    /// <summary>A tensor of a module: from the file, or initialised.</summary>
    /// <param name="path">The module.</param>
    /// <param name="ending">The key suffix after the module's path.</param>
    /// <param name="initialize">Creates the initial values.</param>
    public Tensor LoadOrInitialize(string path, string ending, Func<Tensor> initialize) =>
        LoadOrInitialize(PeftTensorKeys.Prefix + path + ending, initialize);

    /// <summary>A tensor by its full key: from the file, or initialised.</summary>
    /// <returns>In float32 on the model's device, outside every dispose scope.</returns>
    public Tensor LoadOrInitialize(string key, Func<Tensor> initialize) =>
        Own(read is null || !has(key) ? initialize() : read(key));

    /// <summary>A copy in float32 on the model's device, outside every dispose scope.</summary>
    public Tensor Own(Tensor tensor)
    {
        Tensor copy = tensor.detach().to(ScalarType.Float32).to(network.Device).clone().DetachFromDisposeScope();
        owned.Add(copy);
        return copy;
    }

    /// <summary>Leaves the tensors to the adapter, which is built.</summary>
    internal void Keep() => owned.Clear();

    /// <summary>Disposes of the tensors of an adapter that could not be built.</summary>
    public void Dispose()
    {
        foreach (Tensor tensor in owned) tensor.Dispose();
        owned.Clear();
    }

    /// <summary>Uniform values as drawn by PyTorch's kaiming_uniform_(a=√5): within ±1/√columns.</summary>
    public Tensor Kaiming(int rows, int columns)
    {
        double bound = 1 / Math.Sqrt(columns);
        return empty(rows, columns).uniform_(-bound, bound, random);
    }
}

/// <summary>What to write for an adapter.</summary>
/// <param name="Config">The config.</param>
/// <param name="Weights">The tensors by their keys.</param>
internal sealed record AdapterExport(AdapterConfig Config, IReadOnlyList<KeyValuePair<string, Tensor>> Weights);

/// <summary>Access to data before training, for initialisations that need it.</summary>
internal interface ICalibration
{
    /// <summary>Runs the model on one example at a time, without gradients and padding.</summary>
    /// <param name="beforeEach">Called before each example with the mask of positions that have labels; null if labels
    /// do not belong to positions.</param>
    void Forward(Action<IReadOnlyList<int>?> beforeEach);

    /// <summary>Accumulates the gradient of the mean loss over the examples in every active tensor that requires
    /// one.</summary>
    void Backward();
}
