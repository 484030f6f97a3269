namespace LowRank.Generation;

/// <summary>How tokens are chosen and when to stop.</summary>
public sealed record GenerationOptions
{
    /// <summary>Most tokens to add to a prompt.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>Divides the logits; 0 always takes the likeliest token (greedy).</summary>
    public double Temperature { get; init; }

    /// <summary>Chooses among this many likeliest tokens only; 0 for all (arXiv 1805.04833).</summary>
    public int TopK { get; init; }

    /// <summary>Chooses among the likeliest tokens that together reach this probability; 1 for all (arXiv 1904.09751).</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Seed of the choice.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>Tokens that end a row; they are not part of what is returned.</summary>
    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="InputException">Any value is out of its range: all of them.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        if (MaxNewTokens < 1) problems.Add($"max-new-tokens is {MaxNewTokens}, expected at least 1");
        if (Temperature < 0 || !double.IsFinite(Temperature)) problems.Add($"temperature is {Temperature}, expected 0 (greedy) or more");
        if (TopK < 0) problems.Add($"top-k is {TopK}, expected 0 (all tokens) or more");
        if (TopP is not (> 0 and <= 1)) problems.Add($"top-p is {TopP}, expected above 0 and at most 1 (all tokens)");
        if (Temperature == 0 && (TopK != 0 || TopP != 1))
            problems.Add("top-k and top-p need a temperature above 0: greedy choice takes the likeliest token whatever they are");
        if (problems.Count > 0) throw new InputException("The generation settings cannot be used:", problems);
    }
}
