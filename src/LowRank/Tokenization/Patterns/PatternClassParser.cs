using System.Text;

namespace LowRank.Tokenization.Patterns;

/// <summary>Reads what stands in brackets: characters, ranges, classes, classes in classes, and their intersections.</summary>
internal sealed class PatternClassParser(PatternText text)
{
    private const int MostClasses = 50; // in one another
    private int depth;

    /// <summary>The class whose opening bracket has been taken.</summary>
    /// <param name="ignoresCase">Whether characters and ranges hold in any case.</param>
    /// <exception cref="FormatException">It is malformed, or names what is not known.</exception>
    public CharacterClass Parse(bool ignoresCase)
    {
        if (++depth > MostClasses) throw new FormatException($"more than {MostClasses} classes stand in one another");
        bool isNegated = text.Take("^");
        CharacterClass? all = null;
        var parts = new List<CharacterClass>();
        if (text.Take("]")) parts.Add(CharacterClass.Of(new Rune(']'))); // first, it stands for itself
        while (!text.Take("]"))
        {
            if (text.Take("&&"))
            {
                all = Joined(all, parts);
                parts = [];
            }
            else parts.Add(Item(ignoresCase));
        }
        depth--;
        CharacterClass found = Joined(all, parts);
        return isNegated ? found.Not() : found;
    }

    private static CharacterClass Joined(CharacterClass? left, List<CharacterClass> parts)
    {
        if (parts.Count == 0) throw new FormatException("a class in brackets is empty");
        var right = CharacterClass.Union(parts);
        return left is null ? right : left.And(right);
    }

    private CharacterClass Item(bool ignoresCase)
    {
        if (text.Take("[:")) return Named();
        if (text.Take("[")) return Parse(ignoresCase);
        if (text.Next == '\\' && PatternEscapes.Class(text, inBrackets: true) is { } named) return WithHyphen(named);
        Rune first = Character();
        int start = text.At;
        CharacterClass single = CharacterClass.Of(first);
        if (text.Take("-"))
        {
            // A hyphen before the end, or before a class, stands for itself.
            if (text.Next is ']' or '[' || (text.Next == '\\' && PatternEscapes.Class(text, inBrackets: true) is not null)) text.Return(start);
            else
            {
                Rune last = Character();
                if (last.Value < first.Value) throw new FormatException($"the range {first}-{last} is empty");
                single = CharacterClass.Range(first, last);
            }
        }
        return ignoresCase ? single.InAnyCase() : single;
    }

    // A class begins no range: a hyphen behind it stands for itself, and only at the end.
    private CharacterClass WithHyphen(CharacterClass named)
    {
        if (!text.Take("-")) return named;
        return text.Next == ']' ? CharacterClass.Union([named, CharacterClass.Of(new Rune('-'))]) : throw new FormatException("a range in brackets begins with a class");
    }

    private Rune Character()
    {
        if (text.Take("\\b")) return new Rune('\b');
        return text.Next == '\\' ? PatternEscapes.Character(text) : text.TakeRune();
    }

    private CharacterClass Named()
    {
        bool isNegated = text.Take("^");
        string name = text.TakeUntil(":]");
        CharacterClass named = CharacterProperties.Bracket(name)
            ?? throw new FormatException($"[:{name}:] is not known; expected ascii, blank, cntrl, digit, punct, space, word or xdigit");
        return isNegated ? named.Not() : named;
    }
}
