namespace LowRank.Adapters.Matching;

/// <summary>All paths of a model and their modules.</summary>
internal sealed class ModuleTree
{
    private const int Shown = 40;

    /// <summary>Records the modules; a path that only contains others is added as
    /// <see cref="ModuleKind.Other"/>.</summary>
    public ModuleTree(IReadOnlyList<ModuleInfo> modules)
    {
        var known = new HashSet<string>();
        foreach (ModuleInfo module in modules)
        {
            if (!known.Add(module.Path))
                throw new ArgumentException($"two modules have the path {module.Path}", nameof(modules));
        }
        IEnumerable<ModuleInfo> containers = modules.SelectMany(module => ModulePath.Containers(module.Path))
            .Where(known.Add)
            .Select(path => new ModuleInfo(path, ModuleKind.Other)).ToList();
        Modules = [.. modules, .. containers];
    }

    /// <summary>All modules: first the given ones in their order, then the containers.</summary>
    public IReadOnlyList<ModuleInfo> Modules { get; }

    /// <summary>The modules that LoRA can adapt.</summary>
    public IEnumerable<ModuleInfo> Adaptable => Modules.Where(module => module.Kind != ModuleKind.Other);

    /// <summary>Every linear layer except the output head or, in a sequence classifier, its head.</summary>
    public IReadOnlyList<string> AllLinear(string? taskType)
    {
        string? head = Modules.FirstOrDefault(module => module.IsOutputHead)?.Path;
        // PEFT uses the names of classifier heads in transformers
        if (head is null && taskType == "SEQ_CLS")
            head = new[] { "score", "classifier" }.FirstOrDefault(name => Modules.Any(m => m.Path == name));
        return
        [
            .. from module in Modules
               where module.Kind is ModuleKind.Linear or ModuleKind.Conv1D && module.Path != head
               select module.Path,
        ];
    }

    /// <summary>The modules that could be named, by last name: "q_proj (5 linear), embed_tokens (1
    /// embedding)".</summary>
    public string Describe()
    {
        string[] names =
        [
            .. from module in Adaptable
               group module by (Name: ModulePath.LastName(module.Path), module.Kind) into same
               select $"{same.Key.Name} ({same.Count()} {Word(same.Key.Kind)})",
        ];
        string more = names.Length > Shown ? $" and {names.Length - Shown} more" : "";
        return names.Length == 0 ? "nothing in this model" : string.Join(", ", names.Take(Shown)) + more;
    }

    private static string Word(ModuleKind kind) => kind switch
    {
        ModuleKind.Linear => "linear",
        ModuleKind.Conv1D => "conv1d",
        _ => "embedding",
    };
}

/// <summary>Parts of a module's path.</summary>
internal static class ModulePath
{
    /// <summary>The suffixes of a path after each dot, shortest first, without the path itself: c, b.c for
    /// a.b.c.</summary>
    public static IEnumerable<string> Endings(string path)
    {
        for (int point = path.LastIndexOf('.'); point >= 0; point = point == 0 ? -1 : path.LastIndexOf('.', point - 1))
            yield return path[(point + 1)..];
    }

    /// <summary>The paths of a path's parents: a, a.b for a.b.c.</summary>
    public static IEnumerable<string> Containers(string path)
    {
        for (int point = path.IndexOf('.'); point >= 0; point = path.IndexOf('.', point + 1))
            yield return path[..point];
    }

    /// <summary>The part after the last dot.</summary>
    public static string LastName(string path) => path[(path.LastIndexOf('.') + 1)..];
}
