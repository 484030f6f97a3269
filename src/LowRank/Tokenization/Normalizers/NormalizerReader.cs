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

    private static TextChange Prepend(string before) => new(text => text.Length == 0 ? text : before + text, text => text.Prepend(before));

    private static TextChange Append(string after) => new(text => text.Length == 0 ? text : text + after, text => text.Append(after));

    private static TextChange Strip(bool left, bool right) => new(
        text => left && right ? text.Trim() : left ? text.TrimStart() : right ? text.TrimEnd() : text,
        text => text.Slice(left ? text.Text.Length - text.Text.TrimStart().Length : 0,
            right ? Math.Max(text.Text.TrimEnd().Length, left ? text.Text.Length - text.Text.TrimStart().Length : 0) : text.Text.Length));

    private static TextChange Replace(ComponentJson json)
    {
        (string pattern, bool isRegex) = json.Pattern("pattern");
        string content = json.Text("content");
        if (!isRegex) return new TextChange(text => text.Replace(pattern, content, StringComparison.Ordinal), text => text.Replace(Found(text.Text, pattern), content));
        var regex = CodePointPattern.Compile(pattern, json.Place);
        return new TextChange(text => regex.Replace(text, content), text => text.Replace(regex.Matches(text.Text), content));
    }

    private static IEnumerable<(int Start, int Length)> Found(string text, string pattern)
    {
        if (pattern.Length == 0) yield break;
        for (int at = text.IndexOf(pattern, StringComparison.Ordinal); at >= 0; at = text.IndexOf(pattern, at + pattern.Length, StringComparison.Ordinal))
            yield return (at, pattern.Length);
    }
}
