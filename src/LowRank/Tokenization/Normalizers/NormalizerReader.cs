using System.Text;
using LowRank.Tokenization.Unicode;

namespace LowRank.Tokenization.Normalizers;

/// <summary>Makes normalizers by the types that tokenizer.json names.</summary>
internal static class NormalizerReader
{
    private static readonly Dictionary<string, Func<ComponentJson, INormalizer>> Types = new()
    {
        ["Sequence"] = json => new SequenceNormalizer([.. json.Children("normalizers").Select(Read)]),
        ["NFC"] = _ => new TextChange(UnicodeNormalization.Nfc),
        ["NFD"] = _ => new TextChange(UnicodeNormalization.Nfd),
        ["NFKC"] = _ => new TextChange(UnicodeNormalization.Nfkc),
        ["NFKD"] = _ => new TextChange(UnicodeNormalization.Nfkd),
        ["Lowercase"] = _ => new TextChange(TextChanges.Lower),
        ["StripAccents"] = _ => new TextChange(TextChanges.WithoutAnyMarks),
        ["Nmt"] = _ => new TextChange(TextChanges.Nmt),
        ["Prepend"] = json => Prepend(json.Text("prepend")),
        ["Append"] = json => Append(json.Text("append")),
        ["Strip"] = json => Strip(json.Flag("strip_left", true), json.Flag("strip_right", true)),
        ["Replace"] = Replace,
        ["ByteLevel"] = _ => new TextChange(text => ByteAlphabet.Write(text)),
        ["BertNormalizer"] = json => new BertNormalizer(json),
    };

    public static INormalizer Read(ComponentJson json) =>
        Types.TryGetValue(json.Type, out Func<ComponentJson, INormalizer>? make) ? make(json) : throw json.UnknownType(Types.Keys);

    private static TextChange Prepend(string before) => new(text => text.Length == 0 ? text : before + text);

    private static TextChange Append(string after) => new(text => text.Length == 0 ? text : text + after);

    private static TextChange Strip(bool left, bool right) => new(text =>
        left && right ? text.Trim() : left ? text.TrimStart() : right ? text.TrimEnd() : text);

    private static TextChange Replace(ComponentJson json)
    {
        (string pattern, bool isRegex) = json.Pattern("pattern");
        string content = json.Text("content");
        if (!isRegex) return new TextChange(text => text.Replace(pattern, content, StringComparison.Ordinal));
        var regex = UserPattern.Compile(pattern, json.Place);
        return new TextChange(text => regex.Replace(text, _ => content));
    }
}
