namespace LowRank.Data;

/// <summary>Examples and what became of the rows.</summary>
/// <param name="Examples">In the order of the data.</param>
/// <param name="Summary">The counts.</param>
public sealed record LoadedExamples(IReadOnlyList<TokenizedExample> Examples, TokenizationSummary Summary)
{
    /// <summary>How the assistant's turns were told from the rest, in words; null where no row is a conversation.</summary>
    public string? TurnsToldBy { get; init; }

    /// <summary>Whether a row was a conversation.</summary>
    public bool HasConversations { get; init; }

    /// <summary>What was met while reading, a sentence each: forms of other programs, rows left out.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
