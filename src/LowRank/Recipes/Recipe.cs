using System.Text.RegularExpressions;
using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Quantization;
using LowRank.Tasks;

namespace LowRank.Recipes;

/// <summary>A training run as described by its user. All paths are absolute once loaded.</summary>
/// <remarks>In paths, <c>${NAME}</c> refers to an environment variable. An empty or null key takes its
/// default.</remarks>
public sealed record Recipe
{
    /// <summary>The base model's folder; if it does not exist, a repository on the Hugging Face Hub,
    /// <c>org/name[@revision]</c>.</summary>
    public required string Model { get; init; }

    /// <summary>The task to adapt the model to, such as causal_lm or sequence_classification.</summary>
    public string Task { get; init; } = TaskRegistry.Default;

    /// <summary>The task's own settings.</summary>
    public TaskSection TaskOptions { get; init; } = new();

    /// <summary>What a language model learns by: texts or preferences.</summary>
    public ObjectiveSection Objective { get; init; } = new();

    /// <summary>The device: cpu, cuda, cuda:N or mps.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>The storage format of the base's linear weights, one of <see cref="WeightFormats.Names"/>.</summary>
    public string BaseDtype { get; init; } = WeightFormats.Auto;

    /// <summary>The type of the inputs of products with the base's frozen weights, one of
    /// <see cref="Devices.ComputeTypes"/>.</summary>
    public string ComputeDtype { get; init; } = ComputeTypes.Float32;

    /// <summary>The storage of the base's output head, one of <see cref="WeightFormats.HeadNames"/>.</summary>
    public string BaseHead { get; init; } = WeightFormats.Float32;

    /// <summary>Whether CUDA multiplies float32 matrices in TF32, with 10 bits of mantissa instead of 23.</summary>
    public bool Tf32 { get; init; }

    /// <summary>What is learned from.</summary>
    public required DataSection Data { get; init; }

    /// <summary>What is trained.</summary>
    public AdapterSection Adapter { get; init; } = new();

    /// <summary>How it is trained.</summary>
    public TrainingSection Training { get; init; } = new();

    /// <summary>The table before and after training; null for none.</summary>
    public ComparisonSection? Comparison { get; init; }

    /// <summary>The output folder.</summary>
    public required string Output { get; init; }

    // The position of each key that has a value in the text, by full name; null for a recipe created without a text.
    internal IReadOnlyDictionary<string, YamlPlace>? Given { get; init; }

    // How the options that the recipe was made from are named; null for a recipe of its own.
    internal Wording? Origin { get; init; }

    /// <summary>How a recipe words problems: settings are its keys.</summary>
    public static Wording Wording { get; } = new(setting => !RecipeKeys.Has(setting.Path) ? null
        : setting.Value is not { } value ? setting.Path
        : setting.Path == KnownSettings.Columns.Path ? $"{setting.Path}: {{{value}: COLUMN}}"
        : $"{setting.Path}: {value}");

    // How this recipe's own messages name settings.
    internal Wording Named => Origin ?? Wording;

    /// <summary>A key as the recipe's messages name it.</summary>
    internal string Name(string key) => Named.Name(RecipeKeys.Get(key).Setting) ?? key;

    // Notes for the user from reading the recipe, one sentence each.
    internal IReadOnlyList<Words> ReadingNotes { get; init; } = [];

    /// <summary>The learning rate in effect.</summary>
    public double EffectiveLearningRate => Training.LearningRate ?? UsualLearningRate;

    // Preferences move a model between answers that it could give, for which a tenth is usual.
    internal double UsualLearningRate =>
        DefaultLearningRate(Adapter.Method, Training.FromScratch) * (Objective.Preference is null ? 1 : 0.1);

    /// <summary>The default learning rate.</summary>
    /// <param name="method">LoRA uses 2e-4, and methods that train far fewer weights use more; null, training every
    /// weight, needs about a tenth and uses 2e-5.</param>
    /// <param name="fromScratch">Random weights use 5e-4.</param>
    public static double DefaultLearningRate(IAdapterMethod? method, bool fromScratch) =>
        fromScratch ? 5e-4 : method?.DefaultLearningRate ?? 2e-5;

    /// <summary>Maximum size of a recipe file in bytes: a long one has a few thousand, or a list of several hundred
    /// thousand tokens.</summary>
    internal const int MostBytes = 4 << 20;

    /// <summary>Reads a recipe file.</summary>
    /// <param name="path">The YAML file; relative paths inside are relative to its folder.</param>
    /// <param name="overrides"><c>section.key=value</c> each, applied to the file in order. The value is YAML, an empty
    /// value resets a key to its default, and paths are relative to the recipe's folder, as in the file.</param>
    /// <exception cref="InputException">The recipe is invalid; the message lists all problems with their
    /// lines.</exception>
    public static Recipe Load(string path, IReadOnlyList<string>? overrides = null)
    {
        if (!File.Exists(path)) throw new InputException($"The recipe {path} was not found.");
        string full = Path.GetFullPath(path);
        return RecipeReader.Read(SmallFile.ReadText(full, MostBytes), Path.GetDirectoryName(full)!, overrides
            ?? [], path, looksForFiles: true);
    }

    /// <summary>Reads a recipe's text.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="folder">The folder that relative paths refer to.</param>
    /// <param name="overrides">As in <see cref="Load"/>.</param>
    /// <param name="name">The name used in messages.</param>
    /// <exception cref="InputException">The recipe is invalid; the message lists all problems with their
    /// lines.</exception>
    public static Recipe Parse(
        string text, string folder, IReadOnlyList<string>? overrides = null, string name = "recipe") =>
        RecipeReader.Read(text, Path.GetFullPath(folder), overrides ?? [], name);

    /// <summary>The same run with every weight trained, for comparison, with full training's learning rate.</summary>
    public Recipe AsFullTraining() => this with
    {
        BaseDtype = WeightFormats.Float32,
        ComputeDtype = ComputeTypes.Float32,
        BaseHead = WeightFormats.Float32,
        Adapter = new AdapterSection { Method = null },
        Training = Training with { InitAdapter = null, LearningRate = null },
        Given = Given?.Where(key => !key.Key.StartsWith("adapter.", StringComparison.Ordinal)).ToDictionary(),
    };

    /// <summary>The recipe with all effective values, as YAML that loads as an equal recipe.</summary>
    public string ToYaml() => RecipeWriter.Write(this);
}

/// <summary>The recipe's own keys.</summary>
internal static partial class OwnKeys
{
    private static readonly KeySection<Recipe> At = new("", recipe => recipe, (_, recipe) => recipe);

    public static IReadOnlyList<RecipeKey> All { get; } =
    [
        // Removed before the others are read: RecipeInheritance.
        At.Always("base", KeyTypes.Text,
            "a recipe to inherit from: its file, or `preset:NAME`; see " +
            "[Building on others](#building-on-others)",
            _ => null, (r, _) => r) with { IsWritten = _ => false },
        At.Always("model", KeyTypes.FolderOrRepository,
            "folder of the base model (`config.json`, safetensors weights, tokenizer files), a GGUF file, or the " +
            "model's name on the Hugging Face Hub; see [Models by name](#models-by-name)",
            r => r.Model, (r, model) => r with { Model = model }) with
            { Required = "the folder of the base model, or its name on the Hugging Face Hub", MayChange = true },
        At.Always("task", KeyTypes.OneOf(() => TaskRegistry.Names), "what the model learns; see [Tasks](#tasks)",
            r => r.Task, (r, task) => r with { Task = task }),
        At.Section("task_options") with { IsAlways = true },
        At.Always("device",
            KeyTypes.TextLike(text => Devices().IsMatch(text), "cpu, cuda, cuda:N or mps"),
            "`cpu`, `cuda`, `cuda:N` or `mps`", r => r.Device, (r, device) => r with { Device = device })
            with { MayChange = true },
        At.Key("base_dtype", KeyTypes.OneOf(() => WeightFormats.Names),
            "how to store the frozen weights of the base's linear layers: `auto`, `float32`, `bfloat16`, `int8`, " +
            "`nf4`; see [Quantised bases](#quantised-bases)",
            r => r.BaseDtype, (r, format) => r with { BaseDtype = format }) with
            {
                Unless = [c => WeightFormats.Get(c.Recipe.BaseDtype) is not null && c.Adapter.Method is null
                    ? $"is {c.Recipe.BaseDtype}, whose weights are frozen, and {c["adapter.method"]}: full trains " +
                    $"every weight; use {WeightFormats.Float32}, or another method" : null],
            },
        At.Key("compute_dtype", KeyTypes.OneOf(() => ComputeTypes.Names),
            "in which type the products with the base's frozen weights take their inputs: `float32`, `bfloat16`, " +
            "`auto`; see [Compute types](#compute-types)",
            r => r.ComputeDtype, (r, type) => r with { ComputeDtype = type }) with
            {
                Unless = [c => c.Recipe.ComputeDtype == ComputeTypes.BFloat16 && c.Adapter.Method is null
                    ? $"is {ComputeTypes.BFloat16}, to which frozen weights are rounded, and " +
                    $"{c["adapter.method"]}: full trains every weight; use {ComputeTypes.Float32}, or another method"
                    : null],
            },
        At.Key("base_head", KeyTypes.OneOf(() => WeightFormats.HeadNames),
            "how to store the base's output head: `float32`, or `base`, as its linear layers are; see " +
            "[Quantised bases](#quantised-bases)",
            r => r.BaseHead, (r, head) => r with { BaseHead = head }) with
            {
                Unless = [c => c.Recipe.BaseHead == WeightFormats.Float32 ? null
                    : c.Recipe.BaseDtype == WeightFormats.Float32
                    ? $"has no effect with {c["base_dtype"]} {c.Recipe.BaseDtype}; remove it"
                    : TaskRegistry.Names.Contains(c.Recipe.Task)
                        && TaskRegistry.Get(c.Recipe.Task).Head != Models.HeadKind.LanguageModel
                    ? $"has no effect with task {c.Recipe.Task}, which does not score the vocabulary; remove it"
                    : null],
                UnlessPrepared = [c => c.Recipe.BaseHead != WeightFormats.Float32
                    && c.Model.Network.OutputHead is not { Packed: not null }
                    ? $"has no effect, because the base is kept in {WeightFormats.Float32}; remove it, or set " +
                    $"{c["base_dtype"]}" : null],
            },
        At.Key("tf32", KeyTypes.Flag,
            "on an NVIDIA GPU, multiply float32 matrices with 10 mantissa bits instead of 23; see " +
            "[On a GPU](#on-a-gpu)",
            r => r.Tf32, (r, tf32) => r with { Tf32 = tf32 }) with
            {
                Unless = [c => c.Recipe.Tf32 && !c.Recipe.Device.StartsWith("cuda", StringComparison.Ordinal)
                    ? $"has no effect with device {c.Recipe.Device}, it is of NVIDIA GPUs; remove it, or set " +
                    c.Recipe.Named.Name(RecipeKeys.Get("device").Setting.To("cuda")) : null],
            },
        At.Section("data") with { IsAlways = true, Required = "a section with train", MayChange = true },
        At.Section("adapter") with { IsAlways = true },
        At.Section("training") with { IsAlways = true },
        At.Section("objective") with
        {
            IsWritten = r => r.Objective.Preference is not null,
            Unless = [c => c.IsLanguageModel ? null
                : $"works with task {TaskRegistry.Default} only; remove it, or {c["task"]} {c.Recipe.Task}"],
        },
        At.Section("comparison") with
        {
            Read = (r, _) => r with { Comparison = new ComparisonSection() },
            IsWritten = r => r.Comparison is not null, MayChange = true,
            Unless = [c => c.IsLanguageModel ? null
                : $"works with task {TaskRegistry.Default} only; remove it (evaluations of the task's metrics come " +
                $"with {c["data.validation"]})"],
        },
        At.Always("output", KeyTypes.Path, "output folder of the run",
            r => r.Output, (r, output) => r with { Output = output }) with
            { Required = "the folder that receives the adapter", MayChange = true },
    ];

    [GeneratedRegex(@"\A(cpu|mps|cuda(:[0-9]{1,3})?)\z")]
    private static partial Regex Devices();
}
