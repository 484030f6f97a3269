using System.Globalization;
using System.Text;

namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Makes pre-tokenizers by the types that tokenizer.json names.</summary>
internal static class PreTokenizerReader
{
    private static readonly Dictionary<string, Func<ComponentJson, IPreTokenizer>> Types = new()
    {
        ["Sequence"] = json => new SequencePreTokenizer([.. json.Children("pretokenizers").Select(Read)]),
        ["ByteLevel"] = ByteLevelPreTokenizer.Read,
        ["Metaspace"] = json => new MetaspacePreTokenizer(json),
        ["Split"] = Split,
        ["Whitespace"] = _ => new SequencePreTokenizer( // \w+|[^\w\s]+
        [
            new SplitPreTokenizer(new RunePattern(Rune.IsWhiteSpace), SplitBehavior.Removed, invert: false),
            new SplitPreTokenizer(new RunePattern(WordCharacter.Is), SplitBehavior.Contiguous, invert: false),
        ]),
        ["WhitespaceSplit"] = _ => new SplitPreTokenizer(new RunePattern(Rune.IsWhiteSpace), SplitBehavior.Removed, invert: false),
        ["Digits"] = json => new SplitPreTokenizer(new RunePattern(IsNumeric),
            json.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous, invert: false),
        ["Punctuation"] = json => new SplitPreTokenizer(new RunePattern(IsPunctuation), Behavior(json, "Isolated"), invert: false),
        ["BertPreTokenizer"] = _ => new SequencePreTokenizer(
        [
            new SplitPreTokenizer(new RunePattern(Rune.IsWhiteSpace), SplitBehavior.Removed, invert: false),
            new SplitPreTokenizer(new RunePattern(IsPunctuation), SplitBehavior.Isolated, invert: false),
        ]),
        ["CharDelimiterSplit"] = json => new SplitPreTokenizer(
            new LiteralPattern(Delimiter(json)), SplitBehavior.Removed, invert: false),
    };

    public static IPreTokenizer Read(ComponentJson json) =>
        Types.TryGetValue(json.Type, out Func<ComponentJson, IPreTokenizer>? make) ? make(json) : throw json.UnknownType(Types.Keys);

    private static SplitPreTokenizer Split(ComponentJson json)
    {
        (string text, bool isRegex) = json.Pattern("pattern");
        IPattern pattern = isRegex ? SplitPatterns.Regex(text, json.Place) : new LiteralPattern(text);
        return new SplitPreTokenizer(pattern, Behavior(json, null), json.Flag("invert", false));
    }

    private static string Delimiter(ComponentJson json)
    {
        string text = json.Text("delimiter");
        return text.Length > 0 ? text : throw json.Unsupported("delimiter", "one character");
    }

    private static SplitBehavior Behavior(ComponentJson json, string? otherwise) =>
        Enum.TryParse(json.TextOr("behavior", otherwise), out SplitBehavior behavior) && Enum.IsDefined(behavior)
            ? behavior
            : throw json.Unsupported("behavior", string.Join(", ", Enum.GetNames<SplitBehavior>()));

    private static bool IsNumeric(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    // ASCII's punctuation includes symbols such as $ and +.
    private static bool IsPunctuation(Rune rune) =>
        rune.Value is (>= '!' and <= '/') or (>= ':' and <= '@') or (>= '[' and <= '`') or (>= '{' and <= '~') || Rune.IsPunctuation(rune);
}
