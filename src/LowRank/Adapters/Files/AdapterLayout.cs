using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Files;

/// <summary>Which tensors an adapter's file holds: for writing one, and for checking one before it is used.</summary>
public sealed class AdapterLayout
{
    // the names PEFT looks for to decide that base weights are saved too (EMBEDDING_LAYER_NAMES)
    private static readonly string[] EmbeddingNames = ["embed_tokens", "lm_head"];

    private readonly HashSet<string> modulePaths;

    private AdapterLayout(IReadOnlyList<AdapterTensor> tensors, HashSet<string> modulePaths)
    {
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
    public static AdapterLayout Of(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules,
        IReadOnlyList<AdapterTensor>? saved = null)
    {
        Dictionary<string, int> ranks = targets.ToDictionary(target => target.Path, target => target.Rank);
        bool savesEmbeddings = SavesEmbeddings(config, modules);
        IEnumerable<AdapterTensor> tensors = modules.SelectMany(module => ranks.TryGetValue(module.Path, out int rank)
            ? Adapted(module, rank, config.Bias != BiasTraining.None, savesEmbeddings)
            : Unadapted(module, config.Bias));
        tensors = tensors.Concat(saved ?? []).DistinctBy(tensor => tensor.Key);
        return new AdapterLayout([.. tensors.OrderBy(tensor => tensor.Key, StringComparer.Ordinal)], [.. modules.Select(module => module.Path)]);
    }

    /// <summary>Compares a file's tensors with the layout.</summary>
    /// <param name="found">The file's keys and shapes.</param>
    /// <returns>One line for each tensor that fits no module, is missing, or has another shape; empty when all fit.</returns>
    public IReadOnlyList<string> Problems(IEnumerable<KeyValuePair<string, long[]>> found)
    {
        Dictionary<string, long[]> file = found.ToDictionary();
        var comparison = new AdapterLayoutComparison(Tensors, modulePaths);
        return comparison.Problems(file);
    }

    private static IEnumerable<AdapterTensor> Adapted(ModuleInfo module, int rank, bool bias, bool savesEmbeddings)
    {
        string path = module.Path;
        bool isEmbedding = module.Kind == ModuleKind.Embedding;
        AdapterTensorPart a = isEmbedding ? AdapterTensorPart.EmbeddingA : AdapterTensorPart.LinearA;
        AdapterTensorPart b = isEmbedding ? AdapterTensorPart.EmbeddingB : AdapterTensorPart.LinearB;
        yield return Tensor(path, a, [rank, module.InputSize]);
        yield return Tensor(path, b, [module.OutputSize, rank]);
        bool savesBase = savesEmbeddings && (module.IsInputEmbedding || module.IsOutputHead);
        if (savesBase)
        {
            long[] shape = isEmbedding ? [module.InputSize, module.OutputSize] : [module.OutputSize, module.InputSize];
            yield return Tensor(path, AdapterTensorPart.AdaptedWeight, shape) with { IsRequired = false };
        }
        if (module.HasBias && (bias || savesBase))
            yield return Tensor(path, AdapterTensorPart.AdaptedBias, [module.OutputSize]) with { IsRequired = bias };
    }

    private static IEnumerable<AdapterTensor> Unadapted(ModuleInfo module, BiasTraining bias) =>
        module.HasBias && bias == BiasTraining.All ? [Tensor(module.Path, AdapterTensorPart.Bias, [module.OutputSize])] : [];

    private static AdapterTensor Tensor(string path, AdapterTensorPart part, long[] shape) =>
        new(PeftTensorKeys.Key(path, part), shape, path, part);

    // PEFT (get_peft_model_state_dict, save_embedding_layers "auto"): a list must hold one of the names itself, a pattern
    // must match a path that ends in one
    private static bool SavesEmbeddings(LoraConfig config, IReadOnlyList<ModuleInfo> modules)
    {
        if (config.TargetModules is not { } targets || targets.IsAllLinear) return false;
        if (targets.Names is { } names) return EmbeddingNames.Any(names.Contains);
        PythonRegex pattern = PythonRegex.Whole(targets.Text!, "target_modules");
        return modules.Any(module => EmbeddingNames.Contains(Matching.ModulePath.LastName(module.Path)) && pattern.IsMatch(module.Path));
    }
}
