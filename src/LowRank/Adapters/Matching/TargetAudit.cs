using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Matching;

/// <summary>Finds config settings that have no effect.</summary>
internal sealed class TargetAudit(AdapterConfig config, ModuleTree tree, TargetChoice choice)
{
    /// <summary>Reasons why no adapter can be created: no target, or targets that LoRA does not adapt.</summary>
    public IReadOnlyList<string> Errors()
    {
        var errors = new List<string>();
        string selection = config.TargetModules?.ToString() ?? "the model type's default";
        foreach (ModuleInfo module in choice.Selected.Where(module => module.Kind == ModuleKind.Other).Take(5))
        {
            errors.Add($"target_modules: {selection} selects \"{module.Path}\", which is no linear layer or embedding; "
                + "name the layers inside it, or exclude it");
        }
        if (choice.Targets.Count > 0) return errors;
        int named = tree.Adaptable.Count(module => choice.IsNamed(module.Path));
        errors.Add(named == 0
            ? $"target_modules: {selection} matches no module"
            : $"target_modules: {selection} names {named} modules, but every one is excluded by exclude_modules, " +
            "modules_to_save or layers_to_transform");
        return errors;
    }

    /// <summary>Embeddings among the targets of an adapter type that does not adapt them.</summary>
    /// <param name="reason">Why the type does not adapt embeddings; null if it does.</param>
    public IEnumerable<string> Embeddings(string? reason) => reason is null ? []
        : choice.Targets.Where(module => module.Kind == ModuleKind.Embedding)
            .Select(module =>
            $"target_modules: {config.TargetModules?.ToString() ?? "the model type's default"} selects the " +
            $"embedding \"{module.Path}\", but {reason}; take it out of target_modules");

    /// <summary>Config entries without effect on this model. PEFT's "all-linear" also includes modules that are saved
    /// whole; in an existing adapter this is not worth a warning.</summary>
    public IEnumerable<string> Unused(AdapterUse use) =>
        [.. UnusedTargets(use), .. UnusedTie(), .. UnusedExclusions(), .. UnusedLayers(), .. Contradictions(),
        .. Reordered()];

    /// <summary>Keys of a pattern map that match no target, or that another key always precedes.</summary>
    public static IEnumerable<string> UnusedKeys<T>(PatternValues<T> values, TargetChoice choice, string configKey)
    {
        ILookup<string, bool> used = choice.Targets.SelectMany(
            module => values.All(module.Path).Select((match, place) => (match.Key, IsFirst: place == 0)))
            .ToLookup(match => match.Key, match => match.IsFirst);
        foreach (string key in values.Keys)
        {
            if (!used.Contains(key)) yield return $"{configKey}: \"{key}\" matches no adapted module";
            else if (!used[key].Any(isFirst => isFirst))
                yield return $"{configKey}: \"{key}\" never holds, since an earlier key matches the same modules; " +
                    "put the narrower key first or drop it";
        }
    }

    /// <summary>What a new adapter changes in two layers that share a weight, if it adapts one of them.</summary>
    public IEnumerable<string> HalfOfTie()
    {
        if (config.TiesWeights) yield break;
        ModuleInfo[] tied = [.. TargetChoice.Tied(tree)],
            changed = [.. tied.Where(module => choice.Targets.Contains(module) || choice.IsSavedWhole(module.Path))];
        if (changed.Length == 0) yield break;
        string shared = $"\"{tied[0].Path}\" and \"{tied[1].Path}\" share one weight in this model";
        yield return changed.Length == 1
            ? $"{shared}, and the adapter changes \"{changed[0].Path}\" alone, as PEFT does; ensure_weight_tying: " +
            "true changes both alike"
            : $"{shared}, and the adapter changes each apart, as PEFT does; ensure_weight_tying: true changes both " +
            "alike";
    }

    private IEnumerable<string> UnusedTie()
    {
        if (!config.TiesWeights) yield break;
        ModuleInfo[] tied = [.. TargetChoice.Tied(tree)];
        if (tied.Length == 0)
            yield return "ensure_weight_tying: has no effect, since this model's embedding and output head share " +
                "no weight; remove it";
        else if (!tied.Any(module => choice.Targets.Contains(module) || choice.IsSavedWhole(module.Path))
            && config.TrainedTokens is null)
            yield return "ensure_weight_tying: has no effect, since neither target_modules nor modules_to_save " +
                $"names {string.Join(" or ", tied.Select(module => $"\"{module.Path}\""))}; name one, or remove it";
    }

    private IEnumerable<string> UnusedTargets(AdapterUse use)
    {
        foreach (string name in config.TargetModules?.Names ?? [])
        {
            if (choice.Selected.Any(module => ModuleFilter.IsNamed(name, module.Path))) continue;
            if (use == AdapterUse.Load
                && tree.Modules.Any(
                    module => ModuleFilter.IsNamed(name, module.Path) && choice.IsSavedWhole(module.Path)))
                continue;
            int matching = tree.Modules.Count(module => ModuleFilter.IsNamed(name, module.Path));
            yield return matching == 0
                ? $"target_modules: \"{name}\" matches no module"
                : $"target_modules: \"{name}\" adapts nothing: the {matching} modules of that name are excluded by " +
                "exclude_modules, modules_to_save or layers_to_transform";
        }
    }

    private IEnumerable<string> UnusedExclusions()
    {
        if (config.ExcludeModules is not { IsEmpty: false } exclude) return [];
        if (exclude.Names is null)
            return tree.Adaptable.Any(module => choice.IsExcludedByName(module.Path)) ? []
                : [NothingExcluded(exclude.Text!, "pattern matching the whole path")];
        return exclude.Names.Where(name => !tree.Adaptable.Any(module => ModuleFilter.IsNamed(name, module.Path)))
            .Select(name => NothingExcluded(name, "path or the end of one"));
    }

    private static string NothingExcluded(string name, string kind) =>
        $"exclude_modules: \"{name}\" excludes nothing; expected a {kind} of a layer (excluding a container does " +
            "not exclude what it holds)";

    private IEnumerable<string> UnusedLayers()
    {
        if (!choice.Layers.IsActive) yield break;
        (int Layer, string PatternName)?[] found =
            [.. tree.Adaptable.Where(module => choice.IsNamed(module.Path))
                .Select(module => choice.Layers.Find(module.Path))];
        int[] present = [.. found.OfType<(int Layer, string)>().Select(place => place.Layer).Distinct().Order()];
        string range = present.Length == 0 ? "no layer numbers in the paths of the targets"
            : $"{present[0]} to {present[^1]}";
        foreach (int layer in choice.Layers.Chosen.Except(present))
            yield return $"layers_to_transform: found {layer}, expected {range}";
        foreach (string name in choice.Layers.PatternNames.Where(
            name => !found.Any(place => place?.PatternName == name)))
            yield return $"layers_pattern: \"{name}\" stands before a number in no target's path";
    }

    private IEnumerable<string> Contradictions() =>
        choice.Targets.Where(
            module => choice.Layers.IsActive && choice.Layers.Find(module.Path) is not null
            && !choice.Layers.Keeps(module.Path))
            .Select(module =>
            $"layers_to_transform: {config.LayersToTransform} leaves out the layer of \"{module.Path}\", which " +
            "target_modules lists whole; PEFT adapts it all the same");

    // PEFT sorts the keys when it saves, and the first match applies: another order would change an adapter on saving
    private IEnumerable<string> Reordered() =>
        config is not LowRankConfig pairs ? []
            : [.. Reordered(pairs.RankPattern, "rank_pattern"), .. Reordered(pairs.AlphaPattern, "alpha_pattern")];

    private IEnumerable<string> Reordered<T>(IReadOnlyDictionary<string, T> values, string configKey)
    {
        var asGiven = new PatternValues<T>(values, configKey);
        var sorted = new PatternValues<T>(
            new OrderedDictionary<string, T>(values.OrderBy(v => v.Key, Json.PythonJson.KeyOrder)), configKey);
        foreach (ModuleInfo module in choice.Targets)
        {
            IReadOnlyList<KeyValuePair<string, T>> now = asGiven.All(module.Path), saved = sorted.All(module.Path);
            if (now.Count == 0 || Equals(now[0].Value, saved[0].Value)) continue;
            yield return $"{configKey}: \"{now[0].Key}\" ({now[0].Value}) and \"{saved[0].Key}\" " +
                $"({saved[0].Value}) both match \"{module.Path}\"; "
                + "the file holds its keys sorted and the first match counts, so the value would change by saving. " +
                "Make only one of them match";
            yield break;
        }
    }
}

/// <summary>How a config selects each module of a model.</summary>
internal sealed class TargetChoice
{
    private readonly ModuleFilter names;
    private readonly ModuleFilter excluded;
    private readonly LayerFilter layers;
    private readonly List<PythonRegex> saved;

    /// <summary>Examines every module once.</summary>
    /// <param name="config">The config.</param>
    /// <param name="selection">Its target modules, with defaults and "all-linear" resolved.</param>
    /// <param name="tree">The model.</param>
    public TargetChoice(AdapterConfig config, ModuleSelection selection, ModuleTree tree)
    {
        names = new ModuleFilter(selection, "target_modules");
        excluded = new ModuleFilter(config.ExcludeModules, "exclude_modules");
        layers = new LayerFilter(config);
        saved = [.. (config.ModulesToSave ?? [])
            .Select(name => PythonRegex.Within(@"(^|.*\.)", name, @"($|\..*)", "modules_to_save"))];
        Selected = [.. tree.Modules.Where(module => IsSelected(module.Path))];
        Targets = [.. Selected.Where(module => module.Kind != ModuleKind.Other)];
        if (config.TiesWeights && Tied(tree).Any(Targets.Contains))
            Targets = [.. tree.Modules.Where(IsLeading)];
    }

    /// <summary>The embedding and the output head that shares its weight; null if they do not share it.</summary>
    public static IEnumerable<ModuleInfo> Tied(ModuleTree tree) =>
        tree.Modules.Any(module => module.IsTied)
            ? tree.Modules.Where(module => module.IsTied || module.IsInputEmbedding) : [];

    // As in PEFT: the pair belongs to the embedding, and the head follows it.
    private bool IsLeading(ModuleInfo module) =>
        module.IsInputEmbedding || (Targets.Contains(module) && !module.IsTied);

    /// <summary>The selected modules, including those that cannot be adapted.</summary>
    public IReadOnlyList<ModuleInfo> Selected { get; }

    /// <summary>The modules to adapt, in model order.</summary>
    public IReadOnlyList<ModuleInfo> Targets { get; }

    /// <summary>The selected layers.</summary>
    public LayerFilter Layers => layers;

    /// <summary>Whether the target modules include the path, before exclusions.</summary>
    public bool IsNamed(string path) => names.Matches(path);

    /// <summary>Whether the path is excluded by name or because it is saved whole.</summary>
    public bool IsExcluded(string path) => IsExcludedByName(path) || IsSavedWhole(path);

    /// <summary>Whether <c>modules_to_save</c> includes the path or one of its parents.</summary>
    public bool IsSavedWhole(string path) => saved.Exists(pattern => pattern.IsMatch(path));

    /// <summary>Whether <c>exclude_modules</c> includes the path.</summary>
    public bool IsExcludedByName(string path) => excluded.Matches(path);

    // as in PEFT, a path that is listed in full is adapted in any layer
    private bool IsSelected(string path) =>
        !IsExcluded(path) && names.Matches(path) && (names.IsExact(path) || layers.Keeps(path));
}
