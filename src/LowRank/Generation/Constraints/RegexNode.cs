namespace LowRank.Generation;

/// <summary>A part of a regular expression.</summary>
internal abstract record RegexNode
{
    /// <summary>One character of a set.</summary>
    public sealed record Character(CharacterSet Set) : RegexNode;

    /// <summary>Parts one after the other; none match the empty text.</summary>
    public sealed record Concatenation(IReadOnlyList<RegexNode> Parts) : RegexNode;

    /// <summary>One of several parts.</summary>
    public sealed record Alternation(IReadOnlyList<RegexNode> Parts) : RegexNode;

    /// <summary>A part several times.</summary>
    /// <param name="Part">The part.</param>
    /// <param name="Least">How often at least.</param>
    /// <param name="Most">How often at most; null for any number.</param>
    public sealed record Repetition(RegexNode Part, int Least, int? Most) : RegexNode;

    /// <summary>The beginning of the text.</summary>
    public sealed record Start : RegexNode;

    /// <summary>The end of the text.</summary>
    public sealed record End : RegexNode;
}
