using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text;

namespace LowRank.Tokenizers.Unicode;

/// <summary>The four normalization forms of Unicode Standard Annex #15. .NET's own implementation needs ICU for text
/// beyond ASCII and leaves it unchanged if globalization is invariant. The data are from Unicode 9.0, as in Hugging
/// Face's tokenizers: characters assigned later stay unchanged, so that the same text gives the same tokens. Lone
/// surrogates are unchanged.</summary>
public static class UnicodeNormalization
{
    /// <summary>NFC changes no character below this one (the first combining mark).</summary>
    private const char FirstMark = '\u0300';

    /// <summary>No form changes a character below this one (the no-break space).</summary>
    private const char FirstDecomposable = '\u00A0';

    /// <summary>Canonical decomposition, marks in canonical order, then canonical composition.</summary>
    /// <returns><paramref name="text"/> itself if it contains nothing that can change.</returns>
    public static string Nfc(string text) =>
        StaysBelow(text, FirstMark) ? text : Normalize(text, NormalizationTables.Shared.Canonical, composes: true);

    /// <summary>Canonical decomposition, marks in canonical order.</summary>
    /// <inheritdoc cref="Nfc"/>
    public static string Nfd(string text) =>
        StaysBelow(text, FirstDecomposable) ? text
            : Normalize(text, NormalizationTables.Shared.Canonical, composes: false);

    /// <summary>Compatibility decomposition, marks in canonical order, then canonical composition.</summary>
    /// <inheritdoc cref="Nfc"/>
    public static string Nfkc(string text) =>
        StaysBelow(text, FirstDecomposable) ? text
            : Normalize(text, NormalizationTables.Shared.Compatibility, composes: true);

    /// <summary>Compatibility decomposition, marks in canonical order.</summary>
    /// <inheritdoc cref="Nfc"/>
    public static string Nfkd(string text) =>
        StaysBelow(text, FirstDecomposable) ? text
            : Normalize(text, NormalizationTables.Shared.Compatibility, composes: false);

    private static bool StaysBelow(string text, char limit) =>
        !text.AsSpan().ContainsAnyInRange(limit, char.MaxValue);

    private static string Normalize(string text, DecompositionTable decompositions, bool composes)
    {
        NormalizationTables tables = NormalizationTables.Shared;
        CodePointSet affected = composes ? decompositions.AffectedComposing : decompositions.AffectedDecomposing;
        if (!HasAny(text, affected)) return text;
        List<int> points = Decompose(text, decompositions);
        CanonicalOrder.Sort(points, tables);
        if (composes) Compose(points, tables);
        return ToText(points);
    }

    private static bool HasAny(string text, CodePointSet set)
    {
        for (int at = 0; at < text.Length;)
        {
            int point = PointAt(text, ref at);
            if (set.Contains(point)) return true;
        }
        return false;
    }

    private static List<int> Decompose(string text, DecompositionTable decompositions)
    {
        var points = new List<int>(text.Length + (text.Length / 4));
        for (int at = 0; at < text.Length;)
        {
            int point = PointAt(text, ref at);
            if (HangulSyllable.IsSyllable(point)) HangulSyllable.Decompose(point, points);
            else if (decompositions.TryGet(point, out int[]? parts)) points.AddRange(parts);
            else points.Add(point);
        }
        return points;
    }

    /// <summary>Composes, in place, each character with the last starter before it if they have a composite and nothing
    /// between them blocks it: another starter, or a mark of the same or a higher class (UAX #15, D115 and
    /// D117).</summary>
    private static void Compose(List<int> points, NormalizationTables tables)
    {
        const int Nothing = -1; // no character stands between the starter and this one
        int written = 0, starter = -1, lastClass = Nothing;
        for (int at = 0; at < points.Count; at++)
        {
            int point = points[at];
            int pointClass = tables.CombiningClass(point);
            if (starter >= 0 && lastClass < pointClass && tables.TryCompose(points[starter], point, out int composite))
            {
                points[starter] = composite;
                continue;
            }
            if (pointClass == 0) (starter, lastClass) = (written, Nothing);
            else lastClass = pointClass;
            points[written++] = point;
        }
        points.RemoveRange(written, points.Count - written);
    }

    /// <summary>The code point at <paramref name="at"/>, which is advanced past it; a lone surrogate counts as
    /// one.</summary>
    private static int PointAt(string text, ref int at)
    {
        char first = text[at++];
        return char.IsHighSurrogate(first) && at < text.Length && char.IsLowSurrogate(text[at])
            ? char.ConvertToUtf32(first, text[at++])
            : first;
    }

    private static string ToText(List<int> points)
    {
        var text = new StringBuilder(points.Count);
        foreach (int point in points)
        {
            // A lone surrogate is not a Rune; it is kept as the original char.
            if (point <= char.MaxValue) text.Append((char)point);
            else text.Append(new Rune(point));
        }
        return text.ToString();
    }
}

/// <summary>The Canonical Ordering Algorithm (The Unicode Standard, D109): sorts consecutive marks by class,
/// stably.</summary>
internal static class CanonicalOrder
{
    /// <summary>Sorts every run of characters whose combining class is not 0, in place.</summary>
    public static void Sort(List<int> points, NormalizationTables tables)
    {
        Span<int> all = CollectionsMarshal.AsSpan(points);
        for (int at = 0; at < all.Length; at++)
        {
            int last = tables.CombiningClass(all[at]);
            if (last == 0) continue;
            int begin = at;
            bool sorted = true;
            while (++at < all.Length)
            {
                int next = tables.CombiningClass(all[at]);
                if (next == 0) break;
                sorted &= last <= next;
                last = next;
            }
            if (!sorted) SortRun(all[begin..at], tables);
        }
    }

    /// <summary>Sorts by class and then position in n log n time, because untrusted text may contain a run of a million
    /// marks.</summary>
    private static void SortRun(Span<int> run, NormalizationTables tables)
    {
        var keys = new long[run.Length];
        for (int i = 0; i < run.Length; i++) keys[i] = ((long)tables.CombiningClass(run[i]) << 32) | (uint)i;
        keys.AsSpan().Sort(run);
    }
}

/// <summary>Hangul syllables, which are composed arithmetically from a leading consonant, a vowel and optionally a
/// trailing consonant (The Unicode Standard, section 3.12).</summary>
internal static class HangulSyllable
{
    private const int FirstSyllable = 0xAC00;
    private const int FirstLeading = 0x1100;
    private const int FirstVowel = 0x1161;
    private const int BeforeTrailing = 0x11A7; // index 0 stands for no trailing consonant
    private const int LeadingCount = 19;
    private const int VowelCount = 21;
    private const int TrailingCount = 28;
    private const int SyllableCount = LeadingCount * VowelCount * TrailingCount;

    /// <summary>Whether the character is one of the 11,172 syllables.</summary>
    public static bool IsSyllable(int point) => (uint)(point - FirstSyllable) < SyllableCount;

    /// <summary>Whether the character may combine with a preceding leading consonant or syllable.</summary>
    public static bool JoinsBefore(int point) => IsVowel(point) || IsTrailing(point);

    /// <summary>Appends the two or three letters of a syllable.</summary>
    public static void Decompose(int syllable, List<int> points)
    {
        int index = syllable - FirstSyllable;
        points.Add(FirstLeading + (index / (VowelCount * TrailingCount)));
        points.Add(FirstVowel + (index % (VowelCount * TrailingCount) / TrailingCount));
        if (index % TrailingCount != 0) points.Add(BeforeTrailing + (index % TrailingCount));
    }

    /// <summary>The syllable of a leading consonant and a vowel, or of a syllable without a trailing consonant and a
    /// trailing consonant.</summary>
    /// <returns>False if the two do not form a syllable.</returns>
    public static bool TryCompose(int first, int second, out int syllable)
    {
        syllable = 0;
        if ((uint)(first - FirstLeading) < LeadingCount && IsVowel(second))
        {
            syllable = FirstSyllable + ((((first - FirstLeading) * VowelCount) + second - FirstVowel) * TrailingCount);
            return true;
        }
        if (!IsSyllable(first) || (first - FirstSyllable) % TrailingCount != 0 || !IsTrailing(second)) return false;
        syllable = first + second - BeforeTrailing;
        return true;
    }

    private static bool IsVowel(int point) => (uint)(point - FirstVowel) < VowelCount;

    private static bool IsTrailing(int point) => point is > BeforeTrailing and < BeforeTrailing + TrailingCount;
}

/// <summary>The full decompositions of one kind, canonical or compatibility, without the Hangul syllables.</summary>
internal sealed class DecompositionTable(Dictionary<int, int[]> decompositions)
{
    /// <summary>The characters that decomposition may change or move: a text without them is already
    /// decomposed.</summary>
    public CodePointSet AffectedDecomposing { get; } = new();

    /// <summary>The characters that decomposition and composition may change, move or join to the preceding
    /// one.</summary>
    public CodePointSet AffectedComposing { get; } = new();

    /// <summary>All characters with a decomposition.</summary>
    public IEnumerable<int> Points => decompositions.Keys;

    /// <summary>The full decomposition of a character, with marks not yet in canonical order.</summary>
    public bool TryGet(int point, [NotNullWhen(true)] out int[]? parts) => decompositions.TryGetValue(point, out parts);
}

/// <summary>A set of characters with one bit each, for planes 0 to 2; normalization changes nothing in the planes
/// above.</summary>
internal sealed class CodePointSet
{
    private const int Limit = 0x30000;
    private readonly ulong[] bits = new ulong[Limit / 64];

    /// <summary>Whether the set contains the character.</summary>
    public bool Contains(int point) => point < Limit && (bits[point >> 6] & (1UL << (point & 63))) != 0;

    /// <summary>Adds a character of planes 0 to 2.</summary>
    public void Add(int point) => bits[point >> 6] |= 1UL << (point & 63);
}
