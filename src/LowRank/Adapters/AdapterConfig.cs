using System.Text;
using System.Text.Json;
using LowRank.Adapters.Json;

namespace LowRank.Adapters;

/// <summary>The settings of an adapter: PEFT's <c>adapter_config.json</c> (0.20.1), read and written byte for byte.
/// Each type of adapter has a record of its own, such as <see cref="LoraConfig"/>; here is what all of them
/// share.</summary>
/// <remarks>A property's default is LowRank's, the same for recipes and for programs. What a key means that a file
/// leaves out is PEFT's affair, and stands beside the key (<see cref="ConfigKey"/>). Requests that LowRank cannot
/// fulfil are data here, so that a file survives a round trip; <see cref="UnsupportedRequests"/> names them, and
/// nothing may be built from a config while there are any.</remarks>
public abstract record AdapterConfig
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary>The version of PEFT whose file format is written; the default of <see cref="PeftVersion"/>.</summary>
    public const string FormatVersion = "0.20.1";

    /// <summary>The type of adapter that the record is the config of.</summary>
    public abstract IAdapterType Type { get; }

    /// <summary>The value of <c>peft_type</c>, such as "LORA".</summary>
    public string PeftType => Type.PeftType;

    /// <summary>The modules to adapt (<c>target_modules</c>); null takes the model type's default.</summary>
    public ModuleSelection? TargetModules { get; init; }

    /// <summary>Modules left out though they are targets (<c>exclude_modules</c>); null.</summary>
    public ModuleSelection? ExcludeModules { get; init; }

    /// <summary>The layers to adapt (<c>layers_to_transform</c>); null adapts all. Not with a pattern of
    /// targets.</summary>
    public LayerSelection? LayersToTransform { get; init; }

    /// <summary>The name of the list of layers in a path (<c>layers_pattern</c>), a regular expression or several; null
    /// takes the first name that a number follows.</summary>
    public ModuleSelection? LayersPattern { get; init; }

    /// <summary>Modules trained and saved whole (<c>modules_to_save</c>); they are never adapted; null.</summary>
    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>Whether adapted weights are stored [in, out] as in GPT-2 (<c>fan_in_fan_out</c>); false. It follows
    /// from the modules, which <see cref="TargetMatcher"/> knows.</summary>
    public bool FanInFanOut { get; init; }

    /// <summary>The base model's name or path (<c>base_model_name_or_path</c>); null.</summary>
    public string? BaseModel { get; init; }

    /// <summary>The base model's revision (<c>revision</c>); null.</summary>
    public string? Revision { get; init; }

    /// <summary>PEFT's task type (<c>task_type</c>), such as CAUSAL_LM; null.</summary>
    public string? TaskType { get; init; }

    /// <summary>The version that wrote the file (<c>peft_version</c>).</summary>
    public string PeftVersion { get; init; } = FormatVersion;

    /// <summary>Every key of the file that is no property, as it was: what LowRank has no use for, and keys unknown to
    /// PEFT 0.20.1.</summary>
    public IReadOnlyDictionary<string, JsonElement> OtherKeys { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>Keys that PEFT 0.20.1 does not know. They are kept in the file and have no effect.</summary>
    public IReadOnlyList<string> UnknownKeys =>
        [.. OtherKeys.Keys.Where(key => !Type.Keys.Any(known => known.Name == key)).Order(PythonJson.KeyOrder)];

    /// <summary>One line for each unknown key that holds more than null, false or nothing, for the user to
    /// see.</summary>
    public IReadOnlyList<string> Warnings =>
        [.. UnknownKeys.Where(key => !IsUnset(OtherKeys[key]))
            .Select(key =>
            $"{FileName}: unknown key \"{key}\" is kept but has no effect (PEFT {FormatVersion} has no such key; " +
            $"this file says {PeftVersion})")];

    /// <summary>Values as the file that was read writes them, of keys that keep their text where their value stays
    /// (<see cref="ConfigKey.KeepsText"/>).</summary>
    internal IReadOnlyDictionary<string, JsonElement> AsRead { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>Which biases of the base are trained, of the types that train any.</summary>
    internal virtual BiasTraining TrainedBiases => BiasTraining.None;

    /// <summary>Whether an embedding and the output head that shares its weight are changed alike, of the types that
    /// can.</summary>
    internal virtual bool TiesWeights => false;

    /// <summary>Rows of embeddings that are trained themselves, of the types that train any.</summary>
    internal virtual IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? TrainedTokens => null;

    /// <summary>Reads the file, or the file of this name in a folder, into the record of its type.</summary>
    /// <exception cref="InputException">Not there, not JSON, not a type of adapter that is supported, or a key holds
    /// what it cannot hold; all problems at once. What is valid but not supported is no error here.</exception>
    public static AdapterConfig Load(string fileOrFolder)
    {
        string path = Directory.Exists(fileOrFolder) ? Path.Combine(fileOrFolder, FileName) : fileOrFolder;
        if (!File.Exists(path))
            throw new InputException(
                $"{path} is not there; expected an adapter folder with {FileName}. Check the adapter's path.");
        return AdapterConfigReader.Read(SmallFile.ReadBytes(path), path);
    }

    /// <summary>Reads the text of a file.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">What to call it in messages.</param>
    /// <exception cref="InputException">As <see cref="Load"/>.</exception>
    public static AdapterConfig Parse(string json, string source = FileName) =>
        AdapterConfigReader.Read(Encoding.UTF8.GetBytes(json), source);

    /// <summary>The file's text as PEFT writes it: every key of 0.20.1 and the unknown ones, sorted; inference_mode
    /// true; no newline at the end.</summary>
    /// <exception cref="InputException">The values contradict each other or are out of range.</exception>
    public string ToJson()
    {
        Validate("this adapter config");
        return PythonJson.Write(Values());
    }

    /// <summary>Writes <see cref="FileName"/> into a folder. Not atomic by itself: fill a folder that is moved into
    /// place.</summary>
    public void Save(string folder) => File.WriteAllText(Path.Combine(folder, FileName), ToJson());

    /// <summary>What the config asks for and LowRank cannot do; empty when it can be used.</summary>
    /// <param name="use">Whether an adapter is made or an existing one loaded: see <see cref="AdapterUse"/>.</param>
    public IReadOnlyList<string> UnsupportedRequests(AdapterUse use)
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

    /// <summary>Refuses values out of range and keys that contradict each other.</summary>
    /// <param name="source">The file or recipe, for the message.</param>
    /// <exception cref="InputException">There are such; all at once.</exception>
    public void Validate(string source)
    {
        if (Problems() is { Count: > 0 } problems) throw new InputException($"{source} cannot be used:", problems);
    }

    /// <summary>This config with what another says of modules and of the base, which configs of all types
    /// have.</summary>
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

    /// <summary>One line for each value out of range and each contradiction, the key first.</summary>
    internal IReadOnlyList<string> Problems() => [.. Type.Problems(this), .. ConfigRules.Alphas(this)];

    /// <summary>Every key of PEFT 0.20.1 for this type of adapter and the unknown ones, with their values.</summary>
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

    // What a key of a later version holds where it is not used.
    private static bool IsUnset(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };
}

/// <summary>What configs of low-rank pairs and products share: a rank and an alpha, which modules may have of their
/// own.</summary>
public abstract record LowRankConfig : AdapterConfig
{
    /// <summary>The rank (<c>r</c>); 8, at least 1.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>The numerator of the scale alpha / rank (<c>lora_alpha</c>, <c>alpha</c>); 16.</summary>
    public ConfigNumber Alpha { get; init; } = 16;

    /// <summary>Ranks of single modules (<c>rank_pattern</c>): the first key, in this order, that matches a path's end
    /// as <c>(.*\.)?(key)$</c>. Written sorted.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new OrderedDictionary<string, int>();

    /// <summary>Alphas of single modules (<c>alpha_pattern</c>), matched as <see cref="RankPattern"/>.</summary>
    public IReadOnlyDictionary<string, ConfigNumber> AlphaPattern { get; init; } =
        new OrderedDictionary<string, ConfigNumber>();

    /// <summary>The factor s of the change for a rank and an alpha: alpha/rank unless the type has another
    /// rule.</summary>
    public virtual double Scale(int rank, double alpha) => alpha / rank;
}

/// <summary>A module to adapt.</summary>
/// <param name="Path">The module's path.</param>
/// <param name="Rank">The rank that holds for it; 0 of a type without ranks.</param>
/// <param name="Alpha">The alpha that holds for it; 0 of a type without.</param>
/// <param name="Scale">The factor s of the change: alpha/rank, or alpha/√rank with rsLoRA; 1 of a type without.</param>
public sealed record AdapterTarget(string Path, int Rank, double Alpha, double Scale);
