using System.Text;
using System.Text.Json;
using LowRank.Adapters.Json;
using LowRank.Adapters.Methods;

namespace LowRank.Adapters;

/// <summary>The settings of an adapter: PEFT's <c>adapter_config.json</c> (0.20.1), read and written byte for
/// byte.</summary>
/// <remarks>Defaults are PEFT's for LoRA. What a kind of adapter has for itself is among <see cref="OtherKeys"/>.
/// Methods that LowRank cannot run are data here, so that a file survives a round trip;
/// <see cref="UnsupportedRequests"/> names them, and nothing may be built from a config while there are any.</remarks>
public sealed record LoraConfig
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary>The version of PEFT whose file format is written; the default of <see cref="PeftVersion"/>.</summary>
    public const string FormatVersion = "0.20.1";

    private static readonly Dictionary<string, string> StartSettings = new()
    {
        ["corda_config"] = "corda", ["eva_config"] = "eva", ["lora_ga_config"] = "lora_ga",
    };

    /// <summary>The kind of adapter (<c>peft_type</c>): "LORA", "ADALORA", "VERA", "LOHA", "LOKR", "IA3", …;
    /// LORA.</summary>
    public string PeftType { get; init; } = "LORA";

    /// <summary>The rank of B·A (<c>r</c>); 8, at least 1.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>The numerator of the scale (<c>lora_alpha</c>, <c>alpha</c>); 8.</summary>
    public ConfigNumber Alpha { get; init; } = 8;

    /// <summary>Dropout on the input of A while training (<c>lora_dropout</c>, <c>vera_dropout</c>), 0 to 1;
    /// 0.0.</summary>
    public ConfigNumber Dropout { get; init; } = 0.0;

    /// <summary>Which biases of the base are trained (<c>bias</c>); none.</summary>
    public BiasTraining Bias { get; init; }

    /// <summary>Whether the scale is alpha/√rank instead of alpha/rank (<c>use_rslora</c>, arXiv 2312.03732);
    /// false.</summary>
    public bool UseRankStabilizedScale { get; init; }

    /// <summary>Whether adapted weights are stored [in, out] as in GPT-2 (<c>fan_in_fan_out</c>); false. It follows
    /// from the modules, which <see cref="TargetMatcher"/> knows.</summary>
    public bool FanInFanOut { get; init; }

    /// <summary>Whether B has a bias (<c>lora_bias</c>); false.</summary>
    public bool BiasOnB { get; init; }

    /// <summary>Whether a magnitude for each output is trained beside the direction (<c>use_dora</c>, arXiv
    /// 2402.09353); false.</summary>
    public bool UseDora { get; init; }

    /// <summary>Whether an embedding and the output head that shares its weight are changed alike where one of them is
    /// adapted or saved whole (<c>ensure_weight_tying</c>); false changes the named one alone.</summary>
    public bool EnsureWeightTying { get; init; }

    /// <summary>Rows of embeddings that are trained themselves (<c>trainable_token_indices</c>): token ids by the
    /// embedding's name, null for the model's token embedding; null trains none.</summary>
    public IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? TrainedTokens { get; init; }

    /// <summary>How the weights begin (<c>init_lora_weights</c>, <c>init_weights</c>, <c>init_ia3_weights</c>);
    /// true.</summary>
    public InitialWeights InitialWeights { get; init; } = InitialWeights.True;

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

    /// <summary>Ranks of single modules (<c>rank_pattern</c>): the first key, in this order, that matches a path's end
    /// as <c>(.*\.)?(key)$</c>. Written sorted.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new OrderedDictionary<string, int>();

    /// <summary>Alphas of single modules (<c>alpha_pattern</c>), matched as <see cref="RankPattern"/>.</summary>
    public IReadOnlyDictionary<string, ConfigNumber> AlphaPattern { get; init; } =
        new OrderedDictionary<string, ConfigNumber>();

    /// <summary>Modules trained and saved whole (<c>modules_to_save</c>); they are never adapted; null.</summary>
    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>The base model's name or path (<c>base_model_name_or_path</c>); null.</summary>
    public string? BaseModel { get; init; }

    /// <summary>The base model's revision (<c>revision</c>); null.</summary>
    public string? Revision { get; init; }

    /// <summary>PEFT's task type (<c>task_type</c>), such as CAUSAL_LM; null.</summary>
    public string? TaskType { get; init; }

    /// <summary>The version that wrote the file (<c>peft_version</c>).</summary>
    public string PeftVersion { get; init; } = FormatVersion;

    /// <summary>Every other key that the file has, as it was: PEFT's further methods and keys unknown to PEFT
    /// 0.20.1.</summary>
    public IReadOnlyDictionary<string, JsonElement> OtherKeys { get; init; } = new Dictionary<string, JsonElement>();

    /// <summary>Keys that PEFT 0.20.1 does not know. They are kept in the file and have no effect.</summary>
    public IReadOnlyList<string> UnknownKeys =>
        [.. OtherKeys.Keys.Where(key => !AdapterTypes.Of(this).Keys.Any(known => known.Name == key))
            .Order(PythonJson.KeyOrder)];

    /// <summary>One line for each unknown key that holds more than null, false or nothing, for the user to
    /// see.</summary>
    public IReadOnlyList<string> Warnings =>
        [.. UnknownKeys.Where(key => !IsUnset(OtherKeys[key]))
            .Select(key =>
            $"{FileName}: unknown key \"{key}\" is kept but has no effect (PEFT {FormatVersion} has no such key; " +
            $"this file says {PeftVersion})")];

    // What a key of a later version holds where it is not used.
    private static bool IsUnset(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };

    /// <summary>Reads the file, or the file of this name in a folder.</summary>
    /// <exception cref="InputException">Not there, not JSON, not a kind of adapter that is supported, or a key holds
    /// what it cannot hold; all problems at once. What is valid but not supported is no error here.</exception>
    public static LoraConfig Load(string fileOrFolder)
    {
        string path = Directory.Exists(fileOrFolder) ? Path.Combine(fileOrFolder, FileName) : fileOrFolder;
        if (!File.Exists(path))
            throw new InputException(
                $"{path} is not there; expected an adapter folder with {FileName}. Check the adapter's path.");
        return LoraConfigReader.Read(SmallFile.ReadBytes(path), path);
    }

    /// <summary>Reads the text of a file.</summary>
    /// <param name="json">The text.</param>
    /// <param name="source">What to call it in messages.</param>
    /// <exception cref="InputException">As <see cref="Load"/>.</exception>
    public static LoraConfig Parse(string json, string source = FileName) =>
        LoraConfigReader.Read(Encoding.UTF8.GetBytes(json), source);

    /// <summary>The file's text as PEFT writes it: every key of 0.20.1 and the unknown ones, sorted; inference_mode
    /// true; no newline at the end.</summary>
    /// <exception cref="InputException">The values contradict each other or are out of range.</exception>
    public string ToJson()
    {
        Validate("this adapter config");
        return PythonJson.Write(LoraConfigValues.Of(this));
    }

    /// <summary>Writes <see cref="FileName"/> into a folder. Not atomic by itself: fill a folder that is moved into
    /// place.</summary>
    public void Save(string folder) => File.WriteAllText(Path.Combine(folder, FileName), ToJson());

    /// <summary>What the config asks for and LowRank cannot do; empty when it can be used.</summary>
    /// <param name="use">Whether an adapter is made or an existing one loaded: see <see cref="AdapterUse"/>.</param>
    public IReadOnlyList<string> UnsupportedRequests(AdapterUse use)
    {
        IReadOnlyDictionary<string, JsonElement> values = LoraConfigValues.Of(this);
        var problems = new List<string>();
        foreach (LoraConfigKey key in AdapterTypes.Of(this).Keys)
        {
            if (key.Limit is { } limit && !limit.Supports(values[key.Name], use))
                problems.Add(
                    $"{key.Name}: found {JsonShapes.Brief(values[key.Name])}, supported is {limit.Expected}: " +
                    $"{limit.Advice}");
        }
        // The settings of a start that is not chosen would have no effect.
        if (use == AdapterUse.Create)
            problems.AddRange(
                OtherKeys.Where(
                    key => StartSettings.TryGetValue(key.Key, out string? start)
                    && key.Value.ValueKind != JsonValueKind.Null && InitialWeights.Name != start)
                .Select(key =>
                $"{key.Key}: found {JsonShapes.Brief(key.Value)}, which has no effect without init_lora_weights " +
                $"\"{StartSettings[key.Key]}\"; set it to null"));
        return problems;
    }

    /// <summary>Refuses values out of range and keys that contradict each other.</summary>
    /// <param name="source">The file or recipe, for the message.</param>
    /// <exception cref="InputException">There are such; all at once.</exception>
    public void Validate(string source)
    {
        IReadOnlyList<string> problems = [.. AdapterTypes.Of(this).Problems(this), .. LoraConfigRules.Alphas(this)];
        if (problems.Count > 0) throw new InputException($"{source} cannot be used:", problems);
    }

    /// <summary>The scale s of the delta s·B·A for a rank and an alpha: alpha/rank, or alpha/√rank with
    /// rsLoRA.</summary>
    public double Scale(int rank, double alpha) => UseRankStabilizedScale ? alpha / Math.Sqrt(rank) : alpha / rank;
}

/// <summary>A module to adapt.</summary>
/// <param name="Path">The module's path.</param>
/// <param name="Rank">The rank of its pair.</param>
/// <param name="Alpha">The alpha that holds for it.</param>
/// <param name="Scale">The factor s of the delta s·B·A: alpha/rank, or alpha/√rank with rsLoRA.</param>
public sealed record LoraTarget(string Path, int Rank, double Alpha, double Scale);
