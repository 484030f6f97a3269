using System.Text;
using LowRank.Tokenization.Patterns;
using LowRank.Tokenization.Unicode;

namespace LowRank.Tokenization.Normalizers;

/// <summary>Makes normalizers by the types that tokenizer.json names.</summary>
internal static class NormalizerReader
{
    private static readonly Dictionary<string, Func<ComponentJson, INormalizer>> Types = new()
    {
        ["Sequence"] = json => new SequenceNormalizer([.. json.Children("normalizers").Select(Read)]),
        ["NFC"] = _ => TextChange.OfClusters(UnicodeNormalization.Nfc),
        ["NFD"] = _ => TextChange.OfClusters(UnicodeNormalization.Nfd),
        ["NFKC"] = _ => TextChange.OfClusters(UnicodeNormalization.Nfkc),
        ["NFKD"] = _ => TextChange.OfClusters(UnicodeNormalization.Nfkd),
        ["Lowercase"] = _ => TextChange.OfCharacters(TextChanges.Lower),
        ["StripAccents"] = _ => TextChange.OfCharacters(TextChanges.WithoutAnyMarks),
        ["Nmt"] = _ => TextChange.OfCharacters(TextChanges.Nmt),
        ["Prepend"] = json => Prepend(json.Text("prepend")),
        ["Append"] = json => Append(json.Text("append")),
        ["Strip"] = json => Strip(json.Flag("strip_left", true), json.Flag("strip_right", true)),
        ["Replace"] = Replace,
        ["ByteLevel"] = _ => TextChange.OfCharacters(text => ByteAlphabet.Write(text)),
        ["Precompiled"] = PrecompiledNormalizer.Read,
        ["BertNormalizer"] = json => new BertNormalizer(json),
    };

    public static INormalizer Read(ComponentJson json) =>
        Types.TryGetValue(json.Type, out Func<ComponentJson, INormalizer>? make) ? make(json) : throw json.UnknownType(Types.Keys);

    private static TextChange Prepend(string before) => new((text, budget) => Joined(before, text, text, budget), text => text.Prepend(before));

    private static TextChange Append(string after) => new((text, budget) => Joined(text, after, text, budget), text => text.Append(after));

    private static string Joined(string left, string right, string text, TextBudget budget)
    {
        if (text.Length == 0) return text;
        budget.Check((long)left.Length + right.Length);
        return left + right;
    }

    private static TextChange Strip(bool left, bool right) => new(
        (text, _) => left && right ? text.Trim() : left ? text.TrimStart() : right ? text.TrimEnd() : text,
        text => text.Slice(left ? text.Text.Length - text.Text.TrimStart().Length : 0,
            right ? Math.Max(text.Text.TrimEnd().Length, left ? text.Text.Length - text.Text.TrimStart().Length : 0) : text.Text.Length));

    private static TextChange Replace(ComponentJson json)
    {
        (string pattern, bool isRegex) = json.Pattern("pattern");
        string content = json.Text("content");
        if (!isRegex) return new TextChange((text, budget) => Literally(text, pattern, content, budget), text => text.Replace(Found(text.Text, pattern), content));
        var regex = CodePointPattern.Compile(pattern, json.Place);
        return new TextChange((text, budget) => regex.Replace(text, content, budget), text => text.Replace(regex.Matches(text.Text, text.Budget), content));
    }

    /// <summary>The text with each occurrence of a part replaced.</summary>
    public static string Literally(string text, string part, string content, TextBudget budget)
    {
        if (content.Length > part.Length) budget.Check(text.Length + (long)Found(text, part).Count() * (content.Length - part.Length));
        return text.Replace(part, content, StringComparison.Ordinal);
    }

    private static IEnumerable<(int Start, int Length)> Found(string text, string pattern)
    {
        if (pattern.Length == 0) yield break;
        for (int at = text.IndexOf(pattern, StringComparison.Ordinal); at >= 0; at = text.IndexOf(pattern, at + pattern.Length, StringComparison.Ordinal))
            yield return (at, pattern.Length);
    }
}
