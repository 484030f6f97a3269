namespace LowRank.Tokenization.Patterns;

/// <summary>What <c>(?imx)</c> turns on.</summary>
/// <param name="IgnoresCase"><c>i</c></param>
/// <param name="DotTakesLines"><c>m</c>: the dot takes line feeds too.</param>
/// <param name="IsSpaced"><c>x</c>: blanks and comments in the pattern count for nothing.</param>
internal readonly record struct PatternFlags(bool IgnoresCase, bool DotTakesLines, bool IsSpaced)
{
    /// <summary>The flags with one of them set or cleared.</summary>
    /// <exception cref="FormatException">There is no such flag.</exception>
    public PatternFlags With(char letter, bool on) => letter switch
    {
        'i' => this with { IgnoresCase = on },
        'm' => this with { DotTakesLines = on },
        'x' => this with { IsSpaced = on },
        _ => throw new FormatException($"(?{letter}) is no flag; expected i, m or x"),
    };
}
