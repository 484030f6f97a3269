using System.Text;
using System.Text.Json;
using LowRank.Adapters.Json;

namespace LowRank.Adapters;

/// <summary>The settings of an adapter: PEFT's <c>adapter_config.json</c> (0.20.1), read and written byte for byte.
/// Each adapter type has its own record, such as <see cref="LoraConfig"/>; this is their common base.</summary>
/// <remarks>Property defaults are LowRank's, the same for recipes and programs. The meaning of a key that a file omits
/// is PEFT's, and is defined with the key (<see cref="ConfigKey"/>). Settings that LowRank does not support are kept as
/// data, so that a file survives a round trip; <see cref="UnsupportedRequests"/> lists them, and no adapter can be
/// built from a config with any.</remarks>
public abstract record AdapterConfig
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary>The PEFT version of the file format; the default of <see cref="PeftVersion"/>.</summary>
    public const string FormatVersion = "0.20.1";

    /// <summary>The adapter type that the record configures.</summary>
    public abstract IAdapterType Type { get; }

    /// <summary>The value of <c>peft_type</c>, such as "LORA".</summary>
    public string PeftType => Type.PeftType;

    /// <summary>The modules to adapt (<c>target_modules</c>); null uses the model type's default.</summary>
    public ModuleSelection? TargetModules { get; init; }

    /// <summary>Target modules to leave out (<c>exclude_modules</c>); null.</summary>
    public ModuleSelection? ExcludeModules { get; init; }

    /// <summary>The layers to adapt (<c>layers_to_transform</c>); null adapts all. Not allowed with a target
    /// pattern.</summary>
    public LayerSelection? LayersToTransform { get; init; }

    /// <summary>The name of the list of layers in a path (<c>layers_pattern</c>), one or several regular expressions;
    /// null uses the first name followed by a number.</summary>
    public ModuleSelection? LayersPattern { get; init; }

    /// <summary>Modules trained and saved whole (<c>modules_to_save</c>); they are never adapted; null.</summary>
    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>Whether adapted weights are stored [in, out] as in GPT-2 (<c>fan_in_fan_out</c>); false. It follows
    /// from the modules, which <see cref="TargetMatcher"/> sees.</summary>
    public bool FanInFanOut { get; init; }

    /// <summary>The base model's name or path (<c>base_model_name_or_path</c>); null.</summary>
    public string? BaseModel { get; init; }

    /// <summary>The base model's revision (<c>revision</c>); null.</summary>
    public string? Revision { get; init; }

    /// <summary>PEFT's task type (<c>task_type</c>), such as CAUSAL_LM; null.</summary>
    public string? TaskType { get; init; }

    /// <summary>The version that wrote the file (<c>peft_version</c>).</summary>
    public string PeftVersion { get; init; } = FormatVersion;

    /// <summary>Every key of the file without a property, unchanged: keys that LowRank does not use and keys unknown to
    /// PEFT 0.20.1.</summary>
    public IReadOnlyDictionary<string, JsonElement> OtherKeys { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>Keys unknown to PEFT 0.20.1. They are kept in the file and have no effect.</summary>
    public IReadOnlyList<string> UnknownKeys =>
        [.. OtherKeys.Keys.Where(key => !Type.Keys.Any(known => known.Name == key)).Order(PythonJson.KeyOrder)];

    /// <summary>One line for the user for each unknown key whose value is not null, false or empty.</summary>
    public IReadOnlyList<string> Warnings =>
        [.. UnknownKeys.Where(key => !IsUnset(OtherKeys[key]))
            .Select(key =>
            $"{FileName}: unknown key \"{key}\" is kept but has no effect (PEFT {FormatVersion} has no such key; " +
            $"this file says {PeftVersion})")];

    /// <summary>Values as spelled in the file that was read, for keys that keep their text while their value is
    /// unchanged (<see cref="ConfigKey.KeepsText"/>).</summary>
    internal IReadOnlyDictionary<string, JsonElement> AsRead { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>Which biases of the base are trained, for types that train any.</summary>
    internal virtual BiasTraining TrainedBiases => BiasTraining.None;

    /// <summary>Whether an embedding and an output head that share a weight are changed alike, for types that support
    /// it.</summary>
    internal virtual bool TiesWeights => false;

    /// <summary>Embedding rows that are trained directly, for types that train any.</summary>
    internal virtual IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? TrainedTokens => null;

    /// <summary>Reads the file, or the file with this name in a folder, into the record of its type.</summary>
    /// <exception cref="InputException">The file is missing, not JSON, of an unsupported adapter type, or has invalid
    /// values; the message lists all problems. Valid but unsupported settings are not an error here.</exception>
    public static AdapterConfig Load(string fileOrFolder)
    {
        string path = Directory.Exists(fileOrFolder) ? Path.Combine(fileOrFolder, FileName) : fileOrFolder;
        if (!File.Exists(path))
            throw new InputException(
                $"{path} is not there; expected an adapter folder with {FileName}. Check the adapter's path.");
        return AdapterConfigReader.Parse(SmallFile.ReadBytes(path), path);
    }

    /// <summary>Parses the text of a file.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">Its name in messages.</param>
    /// <exception cref="InputException">As in <see cref="Load"/>.</exception>
    public static AdapterConfig Parse(string json, string source = FileName) =>
        AdapterConfigReader.Parse(Encoding.UTF8.GetBytes(json), source);

    /// <summary>The file's text as PEFT writes it: every key of 0.20.1 and the unknown ones, sorted; inference_mode is
    /// true; no newline at the end.</summary>
    /// <exception cref="InputException">The values contradict each other or are out of range.</exception>
    public string ToJson()
    {
        Validate("this adapter config");
        return PythonJson.Write(Values());
    }

    /// <summary>Writes <see cref="FileName"/> into a folder. Not atomic by itself: write into a temporary folder and
    /// move it into place.</summary>
    public void Save(string folder) => File.WriteAllText(Path.Combine(folder, FileName), ToJson());

    /// <summary>The requested settings that LowRank does not support; empty if the config can be used.</summary>
    /// <param name="use">Whether to create an adapter or load an existing one: see <see cref="AdapterUse"/>.</param>
    internal IReadOnlyList<string> UnsupportedRequests(AdapterUse use)
    {
        IReadOnlyDictionary<string, JsonElement> values = Values();
        return
        [
            .. from key in Type.Keys
               where key.Limit is { } limit && !limit.Supports(values[key.Name], use)
               select $"{key.Name}: found {JsonShapes.Brief(values[key.Name])}, supported is {key.Limit!.Expected}: " +
                   key.Limit.Advice,
            .. use == AdapterUse.Create ? Type.WithoutEffect(this) : [],
        ];
    }

    /// <summary>Rejects values out of range and contradictory keys.</summary>
    /// <param name="source">The file or recipe, for messages.</param>
    /// <exception cref="InputException">There are such problems; the message lists all of them.</exception>
    public void Validate(string source)
    {
        if (Problems() is { Count: > 0 } problems) throw new InputException($"{source} cannot be used:", problems);
    }

    /// <summary>This config with the settings of another for modules and the base, which all types share.</summary>
    public AdapterConfig WithModulesOf(AdapterConfig other) => this with
    {
        TargetModules = other.TargetModules,
        ExcludeModules = other.ExcludeModules,
        LayersToTransform = other.LayersToTransform,
        LayersPattern = other.LayersPattern,
        ModulesToSave = other.ModulesToSave,
        FanInFanOut = other.FanInFanOut,
        BaseModel = other.BaseModel,
        Revision = other.Revision,
        TaskType = other.TaskType,
    };

    /// <summary>One line for each value out of range and each contradiction, starting with the key.</summary>
    internal IReadOnlyList<string> Problems() => [.. Type.Problems(this), .. ConfigRules.Alphas(this)];

    /// <summary>Every key of PEFT 0.20.1 for this adapter type and the unknown keys, with their values.</summary>
    internal IReadOnlyDictionary<string, JsonElement> Values()
    {
        var values = new Dictionary<string, JsonElement>(OtherKeys);
        foreach (ConfigKey key in Type.Keys)
        {
            if (key.Get is { } get) values[key.Name] = AsWritten(key, get(this));
            else values.TryAdd(key.Name, key.Absent);
        }
        return values;
    }

    private JsonElement AsWritten(ConfigKey key, JsonElement value) =>
        AsRead.TryGetValue(key.Name, out JsonElement read)
            && JsonElement.DeepEquals(key.Get!(key.Set!(this, read)), value) ? read : value;

    // The value of a key of a later version that is not used.
    private static bool IsUnset(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };
}

/// <summary>The common settings of low-rank pairs and products: a rank and an alpha, which can be set per
/// module.</summary>
public abstract record LowRankConfig : AdapterConfig
{
    /// <summary>The rank (<c>r</c>); 8, at least 1.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>The numerator of the scale alpha / rank (<c>lora_alpha</c>, <c>alpha</c>); 16.</summary>
    public ConfigNumber Alpha { get; init; } = 16;

    /// <summary>Ranks of single modules (<c>rank_pattern</c>): the first key, in this order, that matches the end of a
    /// path as <c>(.*\.)?(key)$</c>. Written sorted.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new OrderedDictionary<string, int>();

    /// <summary>Alphas of single modules (<c>alpha_pattern</c>), matched like <see cref="RankPattern"/>.</summary>
    public IReadOnlyDictionary<string, ConfigNumber> AlphaPattern { get; init; } =
        new OrderedDictionary<string, ConfigNumber>();

    /// <summary>The scale s of the change for a rank and an alpha: alpha/rank unless the type has another
    /// rule.</summary>
    public virtual double Scale(int rank, double alpha) => alpha / rank;
}

/// <summary>A module to adapt.</summary>
/// <param name="Path">The module's path.</param>
/// <param name="Rank">The module's rank; 0 for a type without ranks.</param>
/// <param name="Alpha">The module's alpha; 0 for a type without alpha.</param>
/// <param name="Scale">The scale s of the change: alpha/rank, or alpha/√rank with rsLoRA; 1 for a type without a
/// scale.</param>
public sealed record AdapterTarget(string Path, int Rank, double Alpha, double Scale);

/// <summary>Which biases of the base are trained and saved with the adapter (<c>bias</c>).</summary>
public enum BiasTraining
{
    /// <summary>None ("none"): the default.</summary>
    None,

    /// <summary>The biases of the adapted layers ("lora_only").</summary>
    Adapted,

    /// <summary>Every bias of the model ("all").</summary>
    All,
}

/// <summary>The purpose of a config, which decides what is an error and what is only a warning.</summary>
internal enum AdapterUse
{
    /// <summary>A new adapter: every requested setting must have an effect.</summary>
    Create,

    /// <summary>An existing adapter: its tensors determine what it adapts, so a name that matches nothing (which PEFT
    /// ignores) is a warning, and its initialisation no longer matters if the base was unchanged.</summary>
    Load,
}
