using System.Globalization;
using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.Adapters.Matching;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>All types of adapters: those of this library in one list, and those that a program registers.</summary>
internal static class AdapterTypes
{
    private static readonly Registry<IAdapterType> Types = new("type of adapter", type => type.PeftType,
    [
        new AdaLoraType(), new Ia3Type(), new LoHaType(), new LoKrType(), new LoraType(), new PrefixTuningType(),
        new PromptTuningType(), new VeraType(),
    ]);

    /// <summary>The supported values of <c>peft_type</c>, sorted.</summary>
    public static IReadOnlyList<string> PeftTypes => Types.Names;

    /// <summary>The kind of a <c>peft_type</c>; null where it is not supported.</summary>
    public static IAdapterType? Find(string peftType) => Types.Find(peftType);

    /// <summary>The kind of a config that was read or made here.</summary>
    public static IAdapterType Of(LoraConfig config) => Find(config.PeftType)
        ?? throw new InputException(
            $"peft_type: found \"{config.PeftType}\", supported: {string.Join(", ", PeftTypes)}.");
}

/// <summary>A kind of adapter file: a value of PEFT's <c>peft_type</c>, with its settings, its tensors and its
/// layers.</summary>
/// <remarks>Listed in <see cref="AdapterTypes"/>.</remarks>
internal interface IAdapterType
{
    /// <summary>The value of <c>peft_type</c>.</summary>
    string PeftType { get; }

    /// <summary>Its name in messages.</summary>
    string Label { get; }

    /// <summary>The keys of its config, as PEFT writes them.</summary>
    IReadOnlyList<LoraConfigKey> Keys { get; }

    /// <summary>Whether it adapts layers that <c>target_modules</c> selects.</summary>
    bool HasTargets => true;

    /// <summary>Why it does not adapt embeddings; null where it does.</summary>
    string? RefusesEmbeddings(LoraConfig config) => $"{Label} adapts linear layers only";

    /// <summary>The modules it adapts where a config names none; null where there is no default for the model
    /// type.</summary>
    IReadOnlyList<string>? DefaultTargets(string modelType) => Adapters.DefaultTargets.Find(modelType);

    /// <summary>A config with what follows from the model, as PEFT fills it in for a new adapter.</summary>
    LoraConfig Fill(LoraConfig config, PretrainedModel model) => config;

    /// <summary>A config with what its kind takes from a table for the model type where a file leaves it out.</summary>
    LoraConfig Complete(LoraConfig config, string modelType) => config;

    /// <summary>What is wrong with a config, a line each, the key first.</summary>
    IEnumerable<string> Problems(LoraConfig config);

    /// <summary>The tensors that an adapter's file has for the modules it adapts.</summary>
    /// <param name="config">The config.</param>
    /// <param name="targets">The adapted modules with their ranks.</param>
    /// <param name="modules">All modules of the model.</param>
    IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules);

    /// <summary>Builds what the adapter does to the model's layers.</summary>
    IReadOnlyList<IAdapterPart> Build(AdapterBuild build);

    /// <summary>What a file of this kind changes in each module, without its base.</summary>
    IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) => [];

    /// <summary>How many numbers of a file are trained.</summary>
    long TrainedCount(SafeTensorsFile file) => file.Entries.Values.Sum(entry => entry.ElementCount);

    /// <summary>What is written for an adapter: its config and tensors, changed where a plain save would be wrong on
    /// the untouched base.</summary>
    AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts) =>
        new(config, [.. parts.SelectMany(part => part.Weights)]);
}

/// <summary>Keys of configs that several kinds of adapters share (peft/config.py and the tuners' config.py).</summary>
internal static class KindKeys
{
    /// <summary>The keys of every kind of PEFT adapter that sits on layers.</summary>
    public static IReadOnlyList<LoraConfigKey> Common { get; } =
    [
        new("auto_mapping", "null", Map | Null),
        new("base_model_name_or_path", "null", Text | Null),
        new("inference_mode", "true", JsonShape.Boolean),
        new("peft_type", "\"\"", Text),
        new("peft_version", "null", Text | Null),
        new("revision", "null", Text | Null),
        new("task_type", "null", Text | Null),
    ];

    /// <summary><see cref="Common"/> with the keys that choose modules.</summary>
    public static IReadOnlyList<LoraConfigKey> Targeted { get; } =
    [
        .. Common,
        new("exclude_modules", "null", Text | TextList | Null),
        new("modules_to_save", "null", TextList | Null),
        new("target_modules", "null", Text | TextList | Null),
    ];

    /// <summary><see cref="Targeted"/> with the keys that choose layers.</summary>
    public static IReadOnlyList<LoraConfigKey> Layered { get; } =
    [
        .. Targeted,
        new("layers_pattern", "null", Text | TextList | Null),
        new("layers_to_transform", "null", Integer | IntegerList | Null),
    ];

    /// <summary>A number among a config's other keys.</summary>
    public static double Number(this LoraConfig config, string key) => Value(config, key).GetDouble();

    /// <summary>A whole number among a config's other keys.</summary>
    public static int Whole(this LoraConfig config, string key) => Value(config, key).GetInt32();

    /// <summary>A truth value among a config's other keys.</summary>
    public static bool Flag(this LoraConfig config, string key) => Value(config, key).GetBoolean();

    /// <summary>A value among a config's other keys, or its default.</summary>
    public static JsonElement Value(this LoraConfig config, string key) =>
        config.OtherKeys.TryGetValue(key, out JsonElement value)
        ? value : AdapterTypes.Of(config).Keys.Single(known => known.Name == key).Default;

    /// <summary>The paths of the modules that have a tensor of an ending in a file.</summary>
    public static IEnumerable<string> ModulesOf(SafeTensorsFile file, string ending) => file.Entries.Keys
        .Where(key => key.StartsWith(PeftTensorKeys.Prefix, StringComparison.Ordinal)
        && key.EndsWith(ending, StringComparison.Ordinal))
        .Select(key => key[PeftTensorKeys.Prefix.Length..^ending.Length]);

    /// <summary>The alpha that holds for a module.</summary>
    public static double AlphaOf(LoraConfig config, string path) =>
        (new PatternValues<ConfigNumber>(config.AlphaPattern, "alpha_pattern").All(path) is [var own, ..] ? own.Value
            : config.Alpha).Value;

    /// <summary>A problem where a number is not in a range.</summary>
    public static IEnumerable<string> Range(LoraConfig config, string key, double least, double most)
    {
        double value = config.Number(key);
        if (!(value >= least && value <= most)) yield return $"{key}: found {value}, expected {least} to {most}";
    }
}

/// <summary>Adds keys that one kind of adapter has to a config's other keys.</summary>
internal static class OwnKeys
{
    public static IReadOnlyDictionary<string, JsonElement> With(
        LoraConfig config, params (string Key, object? Value)[] values)
    {
        var keys = new Dictionary<string, JsonElement>(config.OtherKeys);
        foreach ((string key, object? value) in values) keys[key] = Json(value);
        return keys;
    }

    public static IReadOnlyDictionary<string, JsonElement> With(
        LoraConfig config, string key, IEnumerable<KeyValuePair<string, object?>> map) =>
        With(config, (key, map.ToDictionary(pair => pair.Key, pair => Json(pair.Value))));

    // Numbers as Python writes them: a float keeps its point.
    private static JsonElement Json(object? value) => value switch
    {
        double number => JsonElement.Parse(PythonFloat.Text(number)),
        int whole => JsonElement.Parse(whole.ToString(CultureInfo.InvariantCulture)),
        _ => JsonSerializer.SerializeToElement(value),
    };
}

/// <summary>What an adapter is built from: a file's tensors, or first values drawn anew.</summary>
/// <param name="config">The config.</param>
/// <param name="targets">The adapted modules.</param>
/// <param name="network">The model.</param>
/// <param name="read">A tensor of the file by its key; null for a new adapter.</param>
/// <param name="has">Whether the file has a tensor.</param>
/// <param name="random">The source of first values.</param>
internal sealed class AdapterBuild(LoraConfig config, IReadOnlyList<LoraTarget> targets, INetwork network,
    Func<string, Tensor>? read, Func<string, bool> has, Generator random)
{
    /// <summary>The config.</summary>
    public LoraConfig Config { get; private set; } = config;

    /// <summary>The adapted modules.</summary>
    public IReadOnlyList<LoraTarget> Targets { get; private set; } = targets;

    /// <summary>The base's folder.</summary>
    public required string ModelFolder { get; init; }

    /// <summary>Data for starts that look at it; null where there is none.</summary>
    public ICalibration? Calibration { get; init; }

    /// <summary>The model.</summary>
    public INetwork Network => network;

    /// <summary>Its layers by path.</summary>
    public IReadOnlyDictionary<string, AdaptableLayer> Sites { get; } = AdaptableLayer.Of(network);

    /// <summary>Whether the adapter is new: its tensors are drawn, not read.</summary>
    public bool IsNew => read is null;

    /// <summary>The source of first values.</summary>
    public Generator Random => random;

    /// <summary>The data, for a start that cannot do without.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public ICalibration RequireCalibration() => Calibration ?? throw new InputException(
        $"init_lora_weights \"{Config.InitialWeights.Text}\" looks at data before training, and none was given. " +
            "Use it in a recipe, or pass a calibration.");

    /// <summary>Changes ranks and what the config says of them, as a start does that finds them from data.</summary>
    public void Revise(LoraConfig config, IReadOnlyList<LoraTarget> targets) => (Config, Targets) = (config, targets);

    /// <summary>Whether the file has a tensor of a module.</summary>
    public bool Has(string path, string ending) => has(PeftTensorKeys.Prefix + path + ending);

    /// <summary>A tensor of a module: the file's, or drawn.</summary>
    /// <param name="path">The module.</param>
    /// <param name="ending">What follows it in the key.</param>
    /// <param name="draw">First values.</param>
    public Tensor Take(string path, string ending, Func<Tensor> draw) =>
        TakeKey(PeftTensorKeys.Prefix + path + ending, draw);

    /// <summary>A tensor by its whole key: the file's, or drawn.</summary>
    /// <returns>In float32 on the model's device, outside every dispose scope.</returns>
    public Tensor TakeKey(string key, Func<Tensor> draw) => Own(read is null || !has(key) ? draw() : read(key));

    /// <summary>A copy in float32 on the model's device, outside every dispose scope.</summary>
    public Tensor Own(Tensor tensor) =>
        tensor.detach().to(ScalarType.Float32).to(network.Device).clone().DetachFromDisposeScope();

    /// <summary>Uniform values as PyTorch's kaiming_uniform_(a=√5) draws them: within ±1/√columns.</summary>
    public Tensor Kaiming(int rows, int columns)
    {
        double bound = 1 / Math.Sqrt(columns);
        return empty(rows, columns).uniform_(-bound, bound, random);
    }
}

/// <summary>What is written for an adapter.</summary>
/// <param name="Config">The config.</param>
/// <param name="Weights">The tensors by their keys.</param>
internal sealed record AdapterExport(LoraConfig Config, IReadOnlyList<KeyValuePair<string, Tensor>> Weights);
