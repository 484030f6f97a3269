namespace LowRank.Samples.Understanding;

/// <summary>One training run of the page.</summary>
/// <param name="Name">Its name in the results.</param>
/// <param name="LearningRate">Peak rate.</param>
public sealed record RunSpec(string Name, double LearningRate)
{
    /// <summary>Rank of a LoRA adapter; null where weights of the model itself are trained.</summary>
    public int? Rank { get; init; }

    /// <summary>The adapter's alpha; null for the recipe's alpha / rank.</summary>
    public double? Alpha { get; init; }

    /// <summary>Dropout on the input of A.</summary>
    public double Dropout { get; init; }

    /// <summary>The adapter's targets by module name; null for every linear layer.</summary>
    public IReadOnlyList<string>? Targets { get; init; }

    /// <summary>The layers adapted; null for all.</summary>
    public IReadOnlyList<int>? Layers { get; init; }

    /// <summary>Without a rank: how the names of the trained weights begin; null trains every weight.</summary>
    public string? WeightPrefix { get; init; }

    /// <summary>A method of <c>adapter.method</c>, run by a recipe; null for what <see cref="Rank"/> says.</summary>
    public string? Method { get; init; }

    /// <summary>The other keys of that recipe's <c>adapter</c> section, as YAML.</summary>
    public string AdapterKeys { get; init; } = "";

    /// <summary>Seed of the adapter's first values and of the order of the rows.</summary>
    public long Seed { get; init; } = 42;
}
