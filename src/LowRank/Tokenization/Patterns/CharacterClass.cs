using System.Text;

namespace LowRank.Tokenization.Patterns;

/// <summary>A set of characters, whole ones also beyond U+FFFF.</summary>
internal sealed class CharacterClass
{
    private static readonly Rune[] Signs = [new('ſ'), new('\u212A'), new('\u212B')]; // the long s, Kelvin, Ångström
    private readonly Func<Rune, bool> holds;
    private readonly bool[] ascii = new bool[128];

    /// <summary>A set by its members.</summary>
    public CharacterClass(Func<Rune, bool> holds)
    {
        this.holds = holds;
        for (int c = 0; c < ascii.Length; c++) ascii[c] = holds(new Rune(c));
    }

    /// <summary>Every character.</summary>
    public static CharacterClass Any { get; } = new(_ => true);

    /// <summary>Whether the set holds a character.</summary>
    public bool Contains(Rune rune) => rune.Value < 128 ? ascii[rune.Value] : holds(rune);

    /// <summary>A single character.</summary>
    public static CharacterClass Of(Rune single) => new(rune => rune == single);

    /// <summary>The characters between two, both included.</summary>
    public static CharacterClass Range(Rune first, Rune last) => new(rune => rune.Value >= first.Value && rune.Value <= last.Value);

    /// <summary>The characters of any of several sets.</summary>
    public static CharacterClass Union(IReadOnlyList<CharacterClass> parts)
    {
        if (parts.Count == 1) return parts[0];
        CharacterClass[] all = [.. parts];
        return new CharacterClass(rune => Array.Exists(all, part => part.Contains(rune)));
    }

    /// <summary>The characters of both sets.</summary>
    public CharacterClass And(CharacterClass other) => new(rune => Contains(rune) && other.Contains(rune));

    /// <summary>The characters that are not in the set.</summary>
    public CharacterClass Not() => new(rune => !Contains(rune));

    /// <summary>The characters that are in the set in one case or the other. The long s, Kelvin and
    /// Ångström signs count as s, k and å.</summary>
    public CharacterClass InAnyCase() => new(rune => Variants(rune).Any(Contains));

    private static IEnumerable<Rune> Variants(Rune rune)
    {
        yield return rune;
        foreach (Rune sign in Signs)
        {
            // Letters whose simple mappings lead one way only.
            Rune letter = rune == sign || Rune.ToLowerInvariant(rune) == Letter(sign) ? Letter(sign) : rune;
            if (letter == rune && rune != Letter(sign)) continue;
            yield return letter;
            yield return Rune.ToUpperInvariant(letter);
            yield return sign;
        }
        yield return Rune.ToLowerInvariant(rune);
        yield return Rune.ToUpperInvariant(rune);
    }

    private static Rune Letter(Rune sign) => new(sign.Value switch { 'ſ' => 's', '\u212A' => 'k', _ => 'å' });
}
