using LowRank.Adapters.Methods;
using LowRank.Adapters.Methods.Lora;
using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Files;

/// <summary>Which tensors an adapter's file holds: for writing one, and for checking one before it is used.</summary>
public sealed class AdapterLayout
{
    // the names PEFT looks for to decide that base weights are saved too (EMBEDDING_LAYER_NAMES)
    private static readonly string[] EmbeddingNames = ["embed_tokens", "lm_head"];

    private readonly HashSet<string> modulePaths;
    private readonly string label;

    private AdapterLayout(IReadOnlyList<AdapterTensor> tensors, HashSet<string> modulePaths, string label)
    {
        this.label = label;
        Tensors = tensors;
        this.modulePaths = modulePaths;
    }

    /// <summary>The tensors, sorted by key.</summary>
    public IReadOnlyList<AdapterTensor> Tensors { get; }

    /// <summary>The layout of an adapter on a model.</summary>
    /// <param name="config">The adapter's config, as <see cref="TargetMatch.Resolved"/> gives it.</param>
    /// <param name="targets">Its targets in this model.</param>
    /// <param name="modules">All modules of the model that have weights; with <c>bias: all</c> also those that LoRA does
    /// not adapt, since their biases are in the file.</param>
    /// <param name="saved">The tensors of modules that are saved whole.</param>
    /// <param name="isExtended">Whether the model has more tokens than its files: then the file may hold its tables.</param>
    public static AdapterLayout Of(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules,
        IReadOnlyList<AdapterTensor>? saved = null, bool isExtended = false)
    {
        IAdapterKind kind = AdapterKinds.Of(config);
        HashSet<string> adapted = [.. targets.Select(target => target.Path)];
        if (LoraKind.TiedHead(config, targets, modules) is { } head) adapted.Add(head.Path);
        bool savesEmbeddings = SavesEmbeddings(config, modules);
        IEnumerable<AdapterTensor> tensors = kind.Tensors(config, targets, modules)
            .Concat(modules.SelectMany(module => adapted.Contains(module.Path)
                ? OfBase(module, config.Bias != BiasTraining.None, savesEmbeddings)
                : Unadapted(module, config.Bias)))
            .Concat(saved ?? [])
            .Concat(modules.Where(module => module.IsInputEmbedding || module.IsOutputHead).Select(Table))
            .Concat(isExtended ? modules.Where(module => module.IsInputEmbedding || module.IsOutputHead).SelectMany(module => Extended(module, config)) : []).DistinctBy(tensor => tensor.Key);
        return new AdapterLayout([.. tensors.OrderBy(tensor => tensor.Key, StringComparer.Ordinal)], [.. modules.Select(module => module.Path)], kind.Label);
    }

    /// <summary>Compares a file's tensors with the layout.</summary>
    /// <param name="found">The file's keys and shapes.</param>
    /// <returns>One line for each tensor that fits no module, is missing, or has another shape; empty when all fit.</returns>
    public IReadOnlyList<string> Problems(IEnumerable<KeyValuePair<string, long[]>> found)
    {
        Dictionary<string, long[]> file = found.ToDictionary();
        var comparison = new AdapterLayoutComparison(Tensors, modulePaths, label);
        return comparison.Problems(file);
    }

    private static IEnumerable<AdapterTensor> OfBase(ModuleInfo module, bool bias, bool savesEmbeddings)
    {
        string path = module.Path;
        bool savesBase = savesEmbeddings && (module.IsInputEmbedding || module.IsOutputHead);
        if (savesBase)
            yield return Tensor(path, AdapterTensorPart.AdaptedWeight, TableShape(module)) with { IsRequired = false };
        if (module.HasBias && (bias || savesBase))
            yield return Tensor(path, AdapterTensorPart.AdaptedBias, [module.OutputSize]) with { IsRequired = bias };
    }

    private static IEnumerable<AdapterTensor> Unadapted(ModuleInfo module, BiasTraining bias) =>
        module.HasBias && bias == BiasTraining.All ? [Tensor(module.Path, AdapterTensorPart.Bias, [module.OutputSize])] : [];

    // What PEFT's save_embedding_layers adds.
    private static AdapterTensor Table(ModuleInfo module) =>
        new(PeftTensorKeys.Prefix + module.Path + ".weight", TableShape(module), module.Path, AdapterTensorPart.Table, IsRequired: false);

    // PEFT (get_peft_model_state_dict) saves all that it has of a table whose rows were added.
    private static IEnumerable<AdapterTensor> Extended(ModuleInfo module, LoraConfig config)
    {
        AdapterTensor Of(string ending, AdapterTensorPart part, long[]? shape = null) =>
            new(PeftTensorKeys.Prefix + module.Path + ending, shape ?? TableShape(module), module.Path, part, IsRequired: false);
        yield return Of(".token_adapter.base_layer.weight", AdapterTensorPart.Table);
        yield return Of(".modules_to_save.weight", AdapterTensorPart.Duplicate);
        yield return Of(".original_module.weight", AdapterTensorPart.Duplicate);
        if (module.IsTied && config.TrainedTokens is [var table, ..])
            yield return Of(".token_adapter.trainable_tokens_delta", AdapterTensorPart.Duplicate, [table.Value.Count, module.InputSize]);
    }

    private static long[] TableShape(ModuleInfo module) => module.Kind == ModuleKind.Embedding ? [module.InputSize, module.OutputSize] : [module.OutputSize, module.InputSize];

    private static AdapterTensor Tensor(string path, AdapterTensorPart part, long[] shape) =>
        new(PeftTensorKeys.Key(path, part), shape, path, part);

    // PEFT (get_peft_model_state_dict, save_embedding_layers "auto"): a list must hold one of the names itself, a pattern
    // must match a path that ends in one
    private static bool SavesEmbeddings(LoraConfig config, IReadOnlyList<ModuleInfo> modules)
    {
        if (config.TrainedTokens is not null || config.TargetModules is not { } targets || targets.IsAllLinear) return false;
        if (targets.Names is { } names) return EmbeddingNames.Any(names.Contains);
        PythonRegex pattern = PythonRegex.Whole(targets.Text!, "target_modules");
        return modules.Any(module => EmbeddingNames.Contains(Matching.ModulePath.LastName(module.Path)) && pattern.IsMatch(module.Path));
    }
}
