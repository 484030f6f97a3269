using System.Text;

namespace LowRank.Tokenization.Unicode;

/// <summary>
/// The four normalization forms of Unicode Standard Annex #15. .NET's own need ICU for text beyond ASCII and leave it as it is
/// where globalization is invariant. The data are those of Unicode 9.0, as in Hugging Face's tokenizers: a character assigned
/// later stays as it is, there and here, so that the same text gives the same tokens. Lone surrogates pass through unchanged.
/// </summary>
internal static class UnicodeNormalization
{
    /// <summary>Below this, no character is changed by NFC (the first combining mark).</summary>
    private const char FirstMark = '\u0300';

    /// <summary>Below this, no character is changed by any form (the no-break space is the first).</summary>
    private const char FirstDecomposable = '\u00A0';

    /// <summary>Canonical decomposition, marks in canonical order, then canonical composition.</summary>
    /// <returns><paramref name="text"/> itself where nothing in it can change.</returns>
    public static string Nfc(string text) =>
        StaysBelow(text, FirstMark) ? text : Normalize(text, NormalizationTables.Shared.Canonical, composes: true);

    /// <summary>Canonical decomposition, marks in canonical order.</summary>
    /// <inheritdoc cref="Nfc"/>
    public static string Nfd(string text) =>
        StaysBelow(text, FirstDecomposable) ? text : Normalize(text, NormalizationTables.Shared.Canonical, composes: false);

    /// <summary>Compatibility decomposition, marks in canonical order, then canonical composition.</summary>
    /// <inheritdoc cref="Nfc"/>
    public static string Nfkc(string text) =>
        StaysBelow(text, FirstDecomposable) ? text : Normalize(text, NormalizationTables.Shared.Compatibility, composes: true);

    /// <summary>Compatibility decomposition, marks in canonical order.</summary>
    /// <inheritdoc cref="Nfc"/>
    public static string Nfkd(string text) =>
        StaysBelow(text, FirstDecomposable) ? text : Normalize(text, NormalizationTables.Shared.Compatibility, composes: false);

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

    /// <summary>
    /// Joins, in place, each character with the last starter before it where they have a composite and nothing between blocks
    /// it: another starter, or a mark of the same or a higher class (UAX #15, D115 and D117).
    /// </summary>
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

    /// <summary>The code point at <paramref name="at"/>, which moves behind it; a lone surrogate counts as one.</summary>
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
            // A lone surrogate is no Rune; it goes back as the char that it was.
            if (point <= char.MaxValue) text.Append((char)point);
            else text.Append(new Rune(point));
        }
        return text.ToString();
    }
}
