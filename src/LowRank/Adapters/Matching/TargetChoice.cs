using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Matching;

/// <summary>What a config makes of each module of a model.</summary>
internal sealed class TargetChoice
{
    private readonly NameFilter names;
    private readonly NameFilter excluded;
    private readonly LayerFilter layers;
    private readonly List<PythonRegex> saved;

    /// <summary>Looks at every module once.</summary>
    /// <param name="config">The config.</param>
    /// <param name="selection">Its target modules, with defaults and "all-linear" resolved.</param>
    /// <param name="census">The model.</param>
    public TargetChoice(LoraConfig config, ModuleSelection selection, ModuleCensus census)
    {
        names = new NameFilter(selection, "target_modules");
        excluded = new NameFilter(config.ExcludeModules, "exclude_modules");
        layers = new LayerFilter(config);
        saved = [.. (config.ModulesToSave ?? []).Select(name => PythonRegex.Within(@"(^|.*\.)", name, @"($|\..*)", "modules_to_save"))];
        Selected = [.. census.Modules.Where(module => IsSelected(module.Path))];
        Targets = [.. Selected.Where(module => module.Kind != ModuleKind.Other)];
        if (config.EnsureWeightTying && Tied(census).Any(Targets.Contains)) Targets = [.. census.Modules.Where(IsLeading)];
    }

    /// <summary>The embedding and the output head that shares its weight; none where they do not.</summary>
    public static IEnumerable<ModuleInfo> Tied(ModuleCensus census) =>
        census.Modules.Any(module => module.IsTied) ? census.Modules.Where(module => module.IsTied || module.IsInputEmbedding) : [];

    // As PEFT: the pair lies on the embedding, and the head follows it.
    private bool IsLeading(ModuleInfo module) => module.IsInputEmbedding || (Targets.Contains(module) && !module.IsTied);

    /// <summary>The modules that are selected, those that cannot be adapted among them.</summary>
    public IReadOnlyList<ModuleInfo> Selected { get; }

    /// <summary>The modules to adapt, in the model's order.</summary>
    public IReadOnlyList<ModuleInfo> Targets { get; }

    /// <summary>The choice of layers.</summary>
    public LayerFilter Layers => layers;

    /// <summary>Whether the target modules name the path, whatever excludes it then.</summary>
    public bool IsNamed(string path) => names.Matches(path);

    /// <summary>Whether the path is excluded by name or because it is saved whole.</summary>
    public bool IsExcluded(string path) => IsExcludedByName(path) || IsSavedWhole(path);

    /// <summary>Whether <c>modules_to_save</c> names the path or what holds it.</summary>
    public bool IsSavedWhole(string path) => saved.Exists(pattern => pattern.IsMatch(path));

    /// <summary>Whether <c>exclude_modules</c> names the path.</summary>
    public bool IsExcludedByName(string path) => excluded.Matches(path);

    // as in PEFT, a path that is listed whole is adapted whatever its layer
    private bool IsSelected(string path) =>
        !IsExcluded(path) && names.Matches(path) && (names.IsExact(path) || layers.Keeps(path));
}
