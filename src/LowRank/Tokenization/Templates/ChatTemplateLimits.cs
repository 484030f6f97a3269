namespace LowRank.Tokenization.Templates;

/// <summary>
/// What a chat template may cost. A template comes with a model that somebody else made, so it is not trusted: each limit
/// ends the rendering with an <see cref="InputException"/> that names the limit and the line.
/// </summary>
public sealed record ChatTemplateLimits
{
    /// <summary>
    /// Steps: an expression evaluated, a statement run, an item taken from a list; eight characters of text made or read
    /// count as one. Default 5 000 000, about a second of work and a hundred times what a long conversation needs.
    /// </summary>
    public long MaximumSteps { get; init; } = 5_000_000;

    /// <summary>The longest text in UTF-16 characters, of the result and of every text on the way. Default 8 388 608.</summary>
    public int MaximumLength { get; init; } = 8 * 1024 * 1024;

    /// <summary>How deep parentheses, blocks, calls of macros and values inside values may nest. Default 200.</summary>
    public int MaximumDepth { get; init; } = 200;
}
