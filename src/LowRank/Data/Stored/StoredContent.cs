namespace LowRank.Data.Stored;

/// <summary>What a file of examples says of itself.</summary>
internal sealed record StoredContent
{
    /// <summary>What the examples were made of: files, tokenizer, options, program.</summary>
    public required string Key { get; init; }

    /// <summary>Of the examples themselves (<see cref="ExampleFingerprint"/>).</summary>
    public required string Fingerprint { get; init; }

    /// <summary>What became of the rows.</summary>
    public required TokenizationSummary Summary { get; init; }

    /// <summary>How the assistant's turns were told; null where no row is a conversation.</summary>
    public string? TurnsToldBy { get; init; }

    /// <summary>Whether a row is a conversation.</summary>
    public bool HasConversations { get; init; }

    /// <summary>What was met while reading, a sentence each.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>The names of the files of places.</summary>
    public required IReadOnlyList<string> Files { get; init; }
}
