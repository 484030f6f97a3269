namespace LowRank.Recipes;

/// <summary>What is trained: the recipe's <c>adapter</c>.</summary>
public sealed record AdapterSection
{
    /// <summary>The way to adapt, one of <see cref="LowRank.Adapters.Methods.AdapterMethods.Names"/>, or "full" for every weight of the model.</summary>
    public string Method { get; init; } = "lora";

    /// <summary>Rank of the pairs.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Scale of the adapter: alpha / rank, or alpha / √rank with <see cref="UseRsLora"/>.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Dropout on the input of A.</summary>
    public double Dropout { get; init; }

    /// <summary>Names of modules; null with <see cref="TargetPattern"/> null takes the model type's default.</summary>
    public IReadOnlyList<string>? TargetModules { get; init; }

    /// <summary>A regular expression for whole module paths, or "all-linear".</summary>
    public string? TargetPattern { get; init; }

    /// <summary>Names of modules to leave out.</summary>
    public IReadOnlyList<string>? ExcludeModules { get; init; }

    /// <summary>A regular expression for whole paths of modules to leave out.</summary>
    public string? ExcludePattern { get; init; }

    /// <summary>Which biases are trained: "none", "all" or "lora_only".</summary>
    public string Bias { get; init; } = "none";

    /// <summary>Rank-stabilised scale (arXiv 2312.03732).</summary>
    public bool UseRsLora { get; init; }

    /// <summary>Numbers of the layers to adapt; null for all.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Name of the list of layers in module paths; null recognises it.</summary>
    public string? LayersPattern { get; init; }

    /// <summary>Ranks of modules that differ, by name or regular expression.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new Dictionary<string, int>();

    /// <summary>Alphas of modules that differ, by name or regular expression.</summary>
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>Names of modules that are trained whole beside the pairs; a task's head always is.</summary>
    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>Whether the embedding and an output head that shares its weight are changed alike where one is adapted or saved whole.</summary>
    public bool EnsureWeightTying { get; init; }

    /// <summary>Whether B has a bias.</summary>
    public bool LoraBias { get; init; }

    /// <summary>Ids of tokens whose rows of the embedding are trained themselves; null for none.</summary>
    public IReadOnlyList<int>? TrainableTokenIndices { get; init; }

    /// <summary>Texts of tokens that are added to the vocabulary and trained; null for none.</summary>
    public IReadOnlyList<string>? NewTokens { get; init; }

    /// <summary>The method's own settings that are given, by name.</summary>
    public IReadOnlyDictionary<string, object?> MethodOptions { get; init; } = new Dictionary<string, object?>();

    /// <summary>"true", "false" or "gaussian".</summary>
    public string InitLoraWeights { get; init; } = "true";
}
