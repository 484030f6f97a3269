using LowRank.Adapters.Matching;
using LowRank.Adapters.Patterns;

namespace LowRank.Adapters;

/// <summary>Decides like PEFT which modules of a model a config adapts, and with which rank and alpha.</summary>
/// <remarks>The rules are PEFT's check_target_module_exists, get_pattern_key and _maybe_include_all_linear_layers.
/// Entries that PEFT silently ignores (a name that matches nothing, a pattern for no target, a missing layer) are
/// errors for a new adapter and warnings for an existing one.</remarks>
internal static class TargetMatcher
{
    /// <summary>Finds the targets.</summary>
    /// <param name="config">The config.</param>
    /// <param name="modules">The model's modules. Containers may be omitted: they follow from the paths.</param>
    /// <param name="modelType">config.json's model_type, for the default targets; null if there is none.</param>
    /// <param name="use">Whether the adapter is new or existing.</param>
    /// <exception cref="InputException">The config is contradictory or unsupported, selects nothing or modules that
    /// cannot be adapted, or (for a new adapter) names missing modules. The message lists all problems and the possible
    /// names.</exception>
    public static TargetMatch Match(
        AdapterConfig config, IReadOnlyList<ModuleInfo> modules, string? modelType, AdapterUse use)
    {
        IAdapterType kind = config.Type;
        IReadOnlyList<string> problems =
            [.. config.Problems(), .. config.UnsupportedRequests(use)];
        if (problems.Count > 0) throw new InputException("This adapter cannot be used:", problems);
        return kind.HasTargets ? Select(config, modules, modelType, use) : new TargetMatch([], config, []);
    }

    /// <summary><see cref="Match"/> without checking whether the config is supported.</summary>
    internal static TargetMatch Select(
        AdapterConfig config, IReadOnlyList<ModuleInfo> modules, string? modelType, AdapterUse use)
    {
        var tree = new ModuleTree(modules);
        IAdapterType kind = config.Type;
        ModuleSelection selection = Resolve(config, kind, tree, modelType);
        var choice = new TargetChoice(config, selection, tree);
        var pairs = config as LowRankConfig;
        var ranks = new PatternValues<int>(pairs?.RankPattern, "rank_pattern");
        var alphas = new PatternValues<ConfigNumber>(pairs?.AlphaPattern, "alpha_pattern");

        var audit = new TargetAudit(config, tree, choice);
        IReadOnlyList<string> unused =
            [.. audit.Unused(use), .. TargetAudit.UnusedKeys(ranks, choice, "rank_pattern"),
            .. TargetAudit.UnusedKeys(alphas, choice, "alpha_pattern")];
        IReadOnlyList<string> errors = [.. audit.Errors(), .. audit.Embeddings(kind.RefusesEmbeddings(config))];
        IReadOnlyList<string> problems = use == AdapterUse.Create ? [.. errors, .. unused] : errors;
        if (problems.Count > 0)
            throw new InputException(
                $"The adapter's targets do not fit the model. It could adapt: {tree.Describe()}.", problems);

        AdapterTarget[] targets = [.. choice.Targets.Select(module => pairs is null
            ? new AdapterTarget(module.Path, 0, 0, 1) : Target(pairs, module.Path, ranks, alphas))];
        return use == AdapterUse.Load
            ? new TargetMatch(targets, config, unused)
            : new TargetMatch(
                targets, Saved(config, selection, choice, tree),
                [.. FanWarning(config, choice), .. audit.HalfOfTie()]);
    }

    private static AdapterTarget Target(
        LowRankConfig config, string path, PatternValues<int> ranks, PatternValues<ConfigNumber> alphas)
    {
        IReadOnlyList<KeyValuePair<string, int>> rank = ranks.All(path);
        IReadOnlyList<KeyValuePair<string, ConfigNumber>> alpha = alphas.All(path);
        int chosenRank = rank.Count > 0 ? rank[0].Value : config.Rank;
        double chosenAlpha = (alpha.Count > 0 ? alpha[0].Value : config.Alpha).Value;
        return new(path, chosenRank, chosenAlpha, config.Scale(chosenRank, chosenAlpha));
    }

    private static ModuleSelection Resolve(
        AdapterConfig config, IAdapterType kind, ModuleTree tree, string? modelType)
    {
        ModuleSelection selection = config.TargetModules switch
        {
            null => Default(kind, tree, modelType),
            { IsAllLinear: true } => [.. tree.AllLinear(config.TaskType)],
            var given => given,
        };
        return selection.Names is { } names
            ? [.. MinimalNames.Shorten(names, tree.Modules.Select(module => module.Path))]
            : selection;
    }

    private static ModuleSelection Default(IAdapterType kind, ModuleTree tree, string? modelType)
    {
        if (modelType is not null && kind.DefaultTargets(modelType) is { } names) return [.. names];
        string known = string.Join(", ", DefaultTargets.ModelTypes.Order(StringComparer.Ordinal));
        throw new InputException(
            $"target_modules: missing, and there is no default for the model type \"{modelType}\" (there is one " +
            $"for {known}). "
            + $"Name the modules to adapt. It could adapt: {tree.Describe()}.");
    }

    private static AdapterConfig Saved(
        AdapterConfig config, ModuleSelection selection, TargetChoice choice, ModuleTree tree) => config with
    {
        TargetModules = Leading(config, selection, choice, tree).Sorted(),
        ExcludeModules = config.ExcludeModules?.Sorted(),
        FanInFanOut = FanInFanOut(choice) ?? config.FanInFanOut,
        LayersToTransform = NamesLayers(choice) ? null : config.LayersToTransform,
        LayersPattern = NamesLayers(choice) ? null : config.LayersPattern,
    };

    // If PEFT would not find the layer indices, the file lists the modules themselves.
    private static bool NamesLayers(TargetChoice choice) =>
        choice.Layers.IsActive
        && choice.Targets.Any(
            module => !choice.Layers.IsFoundByPeft(module.Path) && choice.Layers.Find(module.Path) is not null);

    // As in PEFT (_add_targets_to_tie): the selection includes the embedding, not the head that follows it.
    private static ModuleSelection Leading(
        AdapterConfig config, ModuleSelection selection, TargetChoice choice, ModuleTree tree)
    {
        if (NamesLayers(choice))
            return
            [
                .. MinimalNames.Shorten(
                    [.. choice.Targets.Select(module => module.Path)], tree.Modules.Select(module => module.Path)),
            ];
        ModuleInfo? head = TargetChoice.Tied(tree).FirstOrDefault(module => module.IsTied);
        if (!config.TiesWeights || head is null
            || choice.Targets.FirstOrDefault(module => module.IsInputEmbedding) is not { } table)
            return selection;
        return selection.Names is { } names
            ? [.. names.Where(name => !ModuleFilter.IsNamed(name, head.Path)).Append(table.Path).Distinct()]
            : choice.IsNamed(table.Path) ? selection
                : ModuleSelection.Pattern(
                    $"(?:{selection.Text}|^{System.Text.RegularExpressions.Regex.Escape(table.Path)}$)");
    }

    // PEFT sets the flag again at each linear layer that it adapts, so the last one decides; embeddings do not change
    // it
    private static bool? FanInFanOut(TargetChoice choice) =>
        choice.Targets.LastOrDefault(module => module.Kind != ModuleKind.Embedding) is { } last
            ? last.Kind == ModuleKind.Conv1D : null;

    private static IReadOnlyList<string> FanWarning(AdapterConfig config, TargetChoice choice) =>
        config.FanInFanOut && FanInFanOut(choice) == false
            ? ["fan_in_fan_out: found true, but the adapted layers store their weights [out, in]; false is used"]
            : [];
}

/// <summary>What a config selects in a model.</summary>
/// <param name="Targets">The modules to adapt, in model order; at least one.</param>
/// <param name="Resolved">The config to save, as in PEFT: a default and "all-linear" replaced by names, twenty or more
/// names replaced by the shortest suffixes that select the same modules, <c>fan_in_fan_out</c> as the modules require;
/// names sorted for a new adapter.</param>
/// <param name="Warnings">What PEFT silently ignores and the user should know.</param>
internal sealed record TargetMatch(
    IReadOnlyList<AdapterTarget> Targets, AdapterConfig Resolved, IReadOnlyList<string> Warnings);

/// <summary>The default target modules by model type.</summary>
/// <remarks>PEFT's table (TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING in peft/utils/constants.py). PEFT has no
/// entries for phi3, distilbert, modernbert and the second line of those with q_proj and v_proj; those are
/// ours.</remarks>
internal static class DefaultTargets
{
    private static readonly Dictionary<string, IReadOnlyList<string>> Table = new(
    [
        .. For(["q_proj", "v_proj"], "llama", "mistral", "mixtral", "gemma", "gemma2", "gemma3_text", "qwen2", "qwen3",
            "opt", "stablelm", "gptj"),
        .. For(["q_proj", "v_proj"], "cohere2", "glm4", "granite", "ministral3", "olmo2", "olmo3", "qwen2_moe",
            "qwen3_moe", "smollm3", "starcoder2"),
        .. For(["q_proj", "v_proj", "fc1", "fc2"], "phi"),
        .. For(["qkv_proj"], "phi3"),
        .. For(["c_attn"], "gpt2"),
        .. For(["query_key_value"], "gpt_neox", "bloom", "falcon"),
        .. For(["query", "value"], "bert", "roberta", "xlm-roberta", "electra"),
        .. For(["q_lin", "v_lin"], "distilbert"),
        .. For(["Wqkv"], "modernbert"),
        .. For(["q", "v"], "t5", "mt5"),
    ]);

    /// <summary>The model types with a default.</summary>
    public static IReadOnlyCollection<string> ModelTypes => Table.Keys;

    /// <summary>The names for a model type (config.json's <c>model_type</c>); null if there is no default.</summary>
    public static IReadOnlyList<string>? Find(string modelType) => Table.GetValueOrDefault(modelType);

    private static IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> For(
        IReadOnlyList<string> names, params string[] modelTypes) =>
        modelTypes.Select(modelType => KeyValuePair.Create(modelType, names));
}
