using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Files;

/// <summary>The tensors of an adapter's file: for writing one, and for checking one before use.</summary>
internal sealed class AdapterLayout
{
    // the names by which PEFT decides whether base weights are saved too (EMBEDDING_LAYER_NAMES)
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
    /// <param name="config">The adapter's config, as in <see cref="TargetMatch.Resolved"/>.</param>
    /// <param name="targets">Its targets in this model.</param>
    /// <param name="modules">All modules of the model that have weights; with <c>bias: all</c> also those that LoRA
    /// does not adapt, because their biases are in the file.</param>
    /// <param name="saved">The tensors of modules that are saved whole.</param>
    /// <param name="isExtended">Whether the model has more tokens than its files; if so, the file may contain its
    /// tables.</param>
    public static AdapterLayout Create(
        AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules,
        IReadOnlyList<AdapterTensor>? saved = null, bool isExtended = false)
    {
        IAdapterType kind = config.Type;
        HashSet<string> adapted = [.. targets.Select(target => target.Path)];
        List<AdapterTensor> own = [.. kind.Tensors(config, targets, modules)];
        // A head that follows the embedding's pair is adapted too: the file repeats the pair under its name.
        adapted.UnionWith(
            own.Where(tensor => tensor.Part == AdapterTensorPart.Duplicate).Select(tensor => tensor.Path));
        bool savesEmbeddings = SavesEmbeddings(config, modules);
        IEnumerable<AdapterTensor> tensors = own
            .Concat(modules.SelectMany(module => adapted.Contains(module.Path)
                ? OfBase(module, config.TrainedBiases != BiasTraining.None, savesEmbeddings)
                : Unadapted(module, config.TrainedBiases)))
            .Concat(saved ?? [])
            .Concat(modules.Where(module => module.IsInputEmbedding || module.IsOutputHead).Select(Table))
            .Concat(isExtended ? modules.Where(module => module.IsInputEmbedding || module.IsOutputHead)
            .SelectMany(module => Extended(module, config)) : []).DistinctBy(tensor => tensor.Key);
        return new AdapterLayout(
            [.. tensors.OrderBy(tensor => tensor.Key, StringComparer.Ordinal)],
            [.. modules.Select(module => module.Path)], kind.Label);
    }

    /// <summary>Compares a file's tensors with the layout.</summary>
    /// <param name="found">The file's keys and shapes.</param>
    /// <returns>One line for each tensor that fits no module, is missing or has another shape; empty if all
    /// fit.</returns>
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
        module.HasBias && bias == BiasTraining.All
            ? [Tensor(module.Path, AdapterTensorPart.Bias, [module.OutputSize])] : [];

    // Added by PEFT's save_embedding_layers.
    private static AdapterTensor Table(ModuleInfo module) =>
        new(PeftTensorKeys.Prefix + module.Path + ".weight", TableShape(module), module.Path, AdapterTensorPart.Table,
            isRequired: false);

    // PEFT (get_peft_model_state_dict) saves everything it has of a table with added rows.
    private static IEnumerable<AdapterTensor> Extended(ModuleInfo module, AdapterConfig config)
    {
        AdapterTensor Of(string ending, AdapterTensorPart part, long[]? shape = null) =>
            new(PeftTensorKeys.Prefix + module.Path + ending, shape ?? TableShape(module), module.Path, part,
                isRequired: false);
        yield return Of(".token_adapter.base_layer.weight", AdapterTensorPart.Table);
        yield return Of(".modules_to_save.weight", AdapterTensorPart.Duplicate);
        yield return Of(".original_module.weight", AdapterTensorPart.Duplicate);
        if (module.IsTied && config.TrainedTokens is [var table, ..])
            yield return Of(
                ".token_adapter.trainable_tokens_delta", AdapterTensorPart.Duplicate,
                [table.Value.Count, module.InputSize]);
    }

    private static long[] TableShape(ModuleInfo module) => module.Kind == ModuleKind.Embedding
        ? [module.InputSize, module.OutputSize] : [module.OutputSize, module.InputSize];

    private static AdapterTensor Tensor(string path, AdapterTensorPart part, long[] shape) =>
        new(PeftTensorKeys.Key(path, part), shape, path, part);

    // PEFT (get_peft_model_state_dict, save_embedding_layers "auto"): a list must contain one of the names exactly; a
    // pattern must match a path that ends in one
    private static bool SavesEmbeddings(AdapterConfig config, IReadOnlyList<ModuleInfo> modules)
    {
        if (config.TrainedTokens is not null || config.TargetModules is not { } targets || targets.IsAllLinear)
            return false;
        if (targets.Names is { } names) return EmbeddingNames.Any(names.Contains);
        PythonRegex pattern = PythonRegex.Whole(targets.Text!, "target_modules");
        return modules.Any(
            module => EmbeddingNames.Contains(Matching.ModulePath.LastName(module.Path))
            && pattern.IsMatch(module.Path));
    }
}

/// <summary>A tensor in an adapter file.</summary>
public sealed record AdapterTensor
{
    /// <summary>A tensor of an adapter type's own.</summary>
    /// <param name="path">The path of its module in the model.</param>
    /// <param name="ending">The end of its key after the module's path, such as <c>.halo</c>.</param>
    /// <param name="shape">Its shape.</param>
    public AdapterTensor(string path, string ending, long[] shape)
        : this(PeftTensorKeys.Prefix + path + ending, shape, path, AdapterTensorPart.Own)
    {
    }

    internal AdapterTensor(string key, long[] shape, string path, AdapterTensorPart part, bool isRequired = true) =>
        (Key, Shape, Path, Part, IsRequired) = (key, shape, path, part, isRequired);

    /// <summary>Its key in the file.</summary>
    public string Key { get; }

    /// <summary>Its shape.</summary>
    public long[] Shape { get; }

    /// <summary>The path of its module in the model.</summary>
    public string Path { get; }

    /// <summary>Its role in the module.</summary>
    internal AdapterTensorPart Part { get; init; }

    /// <summary>Whether a file without it is invalid. Base weights of embeddings may be missing.</summary>
    internal bool IsRequired { get; init; }
}

/// <summary>The role of an adapter file's tensor in its module.</summary>
internal enum AdapterTensorPart
{
    /// <summary>A of a linear layer, [rank, in].</summary>
    LinearA,

    /// <summary>B of a linear layer, [out, rank].</summary>
    LinearB,

    /// <summary>A of an embedding, [rank, rows].</summary>
    EmbeddingA,

    /// <summary>B of an embedding, [width, rank].</summary>
    EmbeddingB,

    /// <summary>The trained bias of an adapted layer, [out].</summary>
    AdaptedBias,

    /// <summary>The base weight of an adapted embedding or output head, which PEFT saves with the adapter.</summary>
    AdaptedWeight,

    /// <summary>DoRA's magnitudes, [out].</summary>
    Magnitude,

    /// <summary>The bias on B (<c>lora_bias</c>), [out].</summary>
    OutputBias,

    /// <summary>Rows of trained tokens, [tokens, width].</summary>
    TokenRows,

    /// <summary>The trained bias of a layer that is not adapted, or of a module saved whole.</summary>
    Bias,

    /// <summary>The weight of a module saved whole.</summary>
    Weight,

    /// <summary>The base's embedding or output head table, which PEFT saves if tokens were added.</summary>
    Table,

    /// <summary>A redundant tensor that PEFT also saves if tokens were added.</summary>
    Duplicate,

    /// <summary>A tensor of another adapter type than LoRA.</summary>
    Own,
}

/// <summary>Describes how a file's tensors differ from the expected layout.</summary>
internal sealed class AdapterLayoutComparison(
    IReadOnlyList<AdapterTensor> expected, HashSet<string> modulePaths, string label)
{
    // one wrong setting causes hundreds of lines; the first ones are enough
    private const int Shown = 3;

    private readonly Dictionary<string, AdapterTensor> byKey = expected.ToDictionary(tensor => tensor.Key);

    /// <summary>One line per difference; if a kind has more than <see cref="Shown"/>, one line for all of them, with
    /// the first ones as examples.</summary>
    public IReadOnlyList<string> Problems(Dictionary<string, long[]> file) =>
    [
        .. Unexpected(file).GroupBy(found => found.Kind, found => found.Problem)
            .SelectMany(same => Limit("tensors that fit no module", same)),
        .. Limit("missing tensors", Missing(file)),
        .. Limit("tensors of another shape", Mismatched(file)),
    ];

    private static IEnumerable<string> Limit(string what, IEnumerable<string> problems)
    {
        string[] all = [.. problems];
        return all.Length <= Shown ? all
            : [$"{all.Length} {what}, the first of them: {string.Join("; ", all.Take(Shown))}"];
    }

    // Differences of one kind have the same reason except for the module's path.
    private IEnumerable<(string Kind, string Problem)> Unexpected(Dictionary<string, long[]> file) =>
        from key in file.Keys.Where(key => !byKey.ContainsKey(key)).Order(StringComparer.Ordinal)
        let why = WhyUnexpected(key)
        select (why.Contains('"', StringComparison.Ordinal) ? why[..why.IndexOf('"')] : why, $"{key}: {why}");

    private string WhyUnexpected(string key)
    {
        if (AdapterTensorFile.Named(key) is { } name)
            return $"holds the adapter's name \"{name}\", which PEFT never writes to a file; " +
                "save it with PEFT's save_pretrained, or take the name out of the keys";
        if (!key.StartsWith(PeftTensorKeys.Prefix, StringComparison.Ordinal))
            return $"does not begin with \"{PeftTensorKeys.Prefix}\"; expected PEFT's keys. Save it with PEFT's " +
                "save_pretrained";
        if (PeftTensorKeys.Parse(key) is not { } place) return $"is no tensor of a {label} adapter";
        if (!modulePaths.Contains(place.Path))
            return $"the model has no module \"{place.Path}\"; is this the base model of the adapter?";
        return place.Part switch
        {
            AdapterTensorPart.Magnitude => "belongs to DoRA, but use_dora is not true in the config",
            AdapterTensorPart.OutputBias => "is a bias on B, but lora_bias is not true in the config",
            AdapterTensorPart.TokenRows =>
            "belongs to trained tokens, but trainable_token_indices is null in the config",
            AdapterTensorPart.Weight =>
            "is a whole weight, but modules_to_save does not name its module (or the vocabulary was resized before " +
            "training)",
            AdapterTensorPart.Bias or AdapterTensorPart.AdaptedBias =>
            "is a bias that the config's bias setting does not train",
            AdapterTensorPart.AdaptedWeight =>
            "is a base weight, but its module is not an adapted embedding or output head",
            _ => "its module is not among the targets of the config, or not of this kind",
        };
    }

    private IEnumerable<string> Missing(Dictionary<string, long[]> file) =>
        expected.Where(tensor => tensor.IsRequired && !file.ContainsKey(tensor.Key))
            .Select(tensor =>
            $"{tensor.Key}: missing, expected {Words(tensor.Shape)} for the module \"{tensor.Path}\", which the " +
            "config targets");

    private IEnumerable<string> Mismatched(Dictionary<string, long[]> file) =>
        expected.Where(tensor => file.TryGetValue(tensor.Key, out long[]? shape) && !shape.SequenceEqual(tensor.Shape))
            .Select(tensor =>
            $"{tensor.Key}: found {Words(file[tensor.Key])}, expected {Words(tensor.Shape)}; does the rank in the " +
            "config fit, and is this the adapter's base model?");

    private static string Words(long[] shape) => $"[{string.Join(", ", shape)}]";
}
