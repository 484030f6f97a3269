namespace LowRank.Recipes;

/// <summary>What is learned from: the recipe's <c>data</c>.</summary>
public sealed record DataSection
{
    /// <summary>JSONL files to train on; at least one.</summary>
    public required IReadOnlyList<string> Train { get; init; }

    /// <summary>JSONL files to evaluate on; may be empty.</summary>
    public IReadOnlyList<string> Validation { get; init; } = [];

    /// <summary>"completion": loss on completions and the assistant's turns only; "all": on every token.</summary>
    public string TrainOn { get; init; } = "completion";
}
