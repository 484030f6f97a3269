namespace LowRank.Generation.Replies;

/// <summary>Compares a text with a mark character by character. White space counts in neither, because models vary
/// it.</summary>
/// <param name="mark">The mark.</param>
internal sealed class MarkMatch(string mark)
{
    private readonly string letters = Letters(mark);
    private int at;

    /// <summary>Whether the mark has letters; one without is never found.</summary>
    public bool IsEmpty => letters.Length == 0;

    /// <summary>A mark without its white space.</summary>
    public static string Letters(string mark) => string.Concat(mark.Where(c => !char.IsWhiteSpace(c)));

    /// <summary>Reads a character.</summary>
    public MatchStep Read(char c)
    {
        if (char.IsWhiteSpace(c)) return MatchStep.Part;
        if (at >= letters.Length || letters[at] != c) return MatchStep.Failed;
        return ++at == letters.Length ? MatchStep.Whole : MatchStep.Part;
    }
}

/// <summary>How far a text agrees with a mark.</summary>
internal enum MatchStep
{
    /// <summary>So far, and the mark goes on.</summary>
    Part,

    /// <summary>It is the mark.</summary>
    Whole,

    /// <summary>It is another text.</summary>
    Failed,
}
