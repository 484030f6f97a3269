using System.Globalization;
using System.Text;
using LowRank.Tokenizers.Patterns;
using LowRank.Tokenizers.Unicode;

namespace LowRank.Tokenizers.Normalizers;

/// <summary>Changes a text before it is split.</summary>
internal interface INormalizer
{
    /// <summary>The changed text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="budget">The maximum length of the result; null for the text's default.</param>
    string Normalize(string text, TextBudget? budget = null);

    /// <summary>The changed text with the alignment of its parts; the text equals that of
    /// <see cref="Normalize"/>.</summary>
    AlignedText Align(AlignedText text);
}

/// <summary>Creates normalizers by their types in tokenizer.json.</summary>
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
        Types.TryGetValue(json.Type, out Func<ComponentJson, INormalizer>? make) ? make(json)
            : throw json.UnknownType(Types.Keys);

    private static TextChange Prepend(string before) =>
        new((text, budget) => Joined(before, text, text, budget), text => text.Prepend(before));

    private static TextChange Append(string after) =>
        new((text, budget) => Joined(text, after, text, budget), text => text.Append(after));

    private static string Joined(string left, string right, string text, TextBudget budget)
    {
        if (text.Length == 0) return text;
        budget.Check((long)left.Length + right.Length);
        return left + right;
    }

    private static TextChange Strip(bool left, bool right) => new(
        (text, _) => left && right ? text.Trim() : left ? text.TrimStart() : right ? text.TrimEnd() : text,
        text => text.Slice(left ? text.Text.Length - text.Text.TrimStart().Length : 0,
            right ? Math.Max(text.Text.TrimEnd().Length, left ? text.Text.Length - text.Text.TrimStart().Length : 0)
                : text.Text.Length));

    private static TextChange Replace(ComponentJson json)
    {
        (string pattern, bool isRegex) = json.Pattern("pattern");
        string content = json.Text("content");
        if (!isRegex)
            return new TextChange(
                (text, budget) => Literally(text, pattern, content, budget), text =>
                text.Replace(Found(text.Text, pattern), content));
        var regex = CodePointPattern.Compile(pattern, json.Place);
        return new TextChange(
            (text, budget) => regex.Replace(text, content, budget), text =>
            text.Replace(regex.Matches(text.Text, text.Budget), content));
    }

    /// <summary>The text with each occurrence of a part replaced.</summary>
    public static string Literally(string text, string part, string content, TextBudget budget)
    {
        if (content.Length > part.Length)
            budget.Check(text.Length + (long)Found(text, part).Count() * (content.Length - part.Length));
        return text.Replace(part, content, StringComparison.Ordinal);
    }

    private static IEnumerable<(int Start, int Length)> Found(string text, string pattern)
    {
        if (pattern.Length == 0) yield break;
        for (int at = text.IndexOf(pattern, StringComparison.Ordinal); at >= 0; at = text.IndexOf(
            pattern, at + pattern.Length, StringComparison.Ordinal))
            yield return (at, pattern.Length);
    }
}

/// <summary>Normalizers in sequence.</summary>
internal sealed class SequenceNormalizer(IReadOnlyList<INormalizer> parts) : INormalizer
{
    public string Normalize(string text, TextBudget? budget = null)
    {
        budget ??= new TextBudget(text.Length);
        return parts.Aggregate(text, (current, part) => part.Normalize(current, budget));
    }

    public AlignedText Align(AlignedText text) => parts.Aggregate(text, (current, part) => part.Align(current));
}

/// <summary>BERT's cleaning: removes control characters, converts white space to spaces, separates Chinese characters,
/// strips accents and converts to lower case (google-research/bert, tokenization.py).</summary>
internal sealed class BertNormalizer(ComponentJson json) : INormalizer
{
    private readonly bool cleans = json.Flag("clean_text", true);
    private readonly bool separatesChinese = json.Flag("handle_chinese_chars", true);
    private readonly bool lowers = json.Flag("lowercase", true);
    private readonly bool strips = json.Flag("strip_accents", json.Flag("lowercase", true));

    public string Normalize(string text, TextBudget? budget = null)
    {
        if (cleans)
            text = TextChanges.Map(TextChanges.Filter(text, rune => !IsControl(rune)), rune => Rune.IsWhiteSpace(rune)
                ? new Rune(' ') : rune);
        if (separatesChinese) text = SetApart(text);
        if (strips) text = TextChanges.WithoutMarks(UnicodeNormalization.Nfd(text));
        if (lowers) text = TextChanges.Lower(text);
        budget?.Check(text.Length);
        return text;
    }

    public AlignedText Align(AlignedText text)
    {
        if (cleans)
            text = text.MapCharacters(rune => IsControl(rune) ? "" : Rune.IsWhiteSpace(rune) ? " " : rune.ToString());
        if (separatesChinese) text = text.MapCharacters(rune => IsChinese(rune.Value) ? $" {rune} " : rune.ToString());
        if (strips)
            text = text.MapClusters(UnicodeNormalization.Nfd)
                .MapCharacters(rune => TextChanges.WithoutMarks(rune.ToString()));
        return lowers ? text.MapCharacters(rune => TextChanges.Lower(rune.ToString())) : text;
    }

    private static bool IsControl(Rune rune) => rune.Value is 0 or 0xFFFD
        || (rune.Value is not ('\t' or '\n' or '\r') && Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control
        or UnicodeCategory.Format
            or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate);

    private static string SetApart(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (IsChinese(rune.Value)) result.Append(' ').Append(rune).Append(' ');
            else result.Append(rune);
        }
        return result.ToString();
    }

    private static bool IsChinese(int c) =>
        c is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
        or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF)
        or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}

/// <summary>sentencepiece's character map as applied by the tokenizers library: per grapheme if the grapheme is short,
/// otherwise per character.</summary>
internal sealed class PrecompiledNormalizer(CharacterMap map) : INormalizer
{
    private const int LongGrapheme = 6; // UTF-8 bytes from which on it is taken apart

    /// <summary>Reads the map of a tokenizer.json.</summary>
    public static PrecompiledNormalizer Read(ComponentJson json)
    {
        try
        {
            return new PrecompiledNormalizer(
                new CharacterMap(Convert.FromBase64String(json.TextOr("precompiled_charsmap", "")!), json.Place));
        }
        catch (FormatException e)
        {
            throw new InputException($"{json.Place}: precompiled_charsmap is not base64: {e.Message}", e);
        }
    }

    public string Normalize(string text, TextBudget? budget = null)
    {
        budget ??= new TextBudget(text.Length);
        var result = new StringBuilder(text.Length);
        foreach ((int start, int length) in Units(text))
        {
            result.Append(map.Shortest(text.AsSpan(start, length)) ?? text.Substring(start, length));
            budget.Check(result.Length);
        }
        return result.ToString();
    }

    public AlignedText Align(AlignedText text) => text.MapParts(Units(text.Text), part => map.Shortest(part) ?? part);

    // The parts that are looked up whole.
    private IEnumerable<(int Start, int Length)> Units(string text)
    {
        for (int at = 0; at < text.Length;)
        {
            int grapheme = StringInfo.GetNextTextElementLength(text.AsSpan(at));
            if (Encoding.UTF8.GetByteCount(text.AsSpan(at, grapheme)) < LongGrapheme
                && map.Shortest(text.AsSpan(at, grapheme)) is not null)
            {
                yield return (at, grapheme);
                at += grapheme;
                continue;
            }
            for (int end = at + grapheme; at < end;)
            {
                Rune.DecodeFromUtf16(text.AsSpan(at), out _, out int length);
                yield return (at, length);
                at += length;
            }
        }
    }
}

/// <summary>A normalizer that is a function of the text.</summary>
/// <param name="change">The function.</param>
/// <param name="align">The same function with alignment.</param>
internal sealed class TextChange(Func<string, TextBudget, string> change, Func<AlignedText, AlignedText> align)
    : INormalizer
{
    public string Normalize(string text, TextBudget? budget = null)
    {
        budget ??= new TextBudget(text.Length);
        string changed = change(text, budget);
        budget.Check(changed.Length);
        return changed;
    }

    public AlignedText Align(AlignedText text) => align(text);

    /// <summary>A change to clusters, such as a Unicode normalization.</summary>
    public static TextChange OfClusters(Func<string, string> change) =>
        new((text, _) => change(text), text => text.MapClusters(change));

    /// <summary>A change to single characters, whose result for a text is that of its characters.</summary>
    public static TextChange OfCharacters(Func<string, string> change) =>
        new((text, _) => change(text), text => text.MapCharacters(rune => change(rune.ToString())));
}

/// <summary>Text changes that several normalizers use.</summary>
internal static class TextChanges
{
    /// <summary>Unicode lower case, one character at a time, including the one character that becomes two
    /// (İ).</summary>
    public static string Lower(string text) => text.ToLowerInvariant().Replace("İ", "i̇", StringComparison.Ordinal);

    /// <summary>Removes combining marks of category Mn.</summary>
    public static string WithoutMarks(string text) =>
        Filter(text, rune => Rune.GetUnicodeCategory(rune) != UnicodeCategory.NonSpacingMark);

    /// <summary>Removes combining marks of any category, as the StripAccents normalizer does.</summary>
    public static string WithoutAnyMarks(string text) => Filter(text, rune => Rune.GetUnicodeCategory(rune)
        is not (UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
        or UnicodeCategory.EnclosingMark));

    /// <summary>sentencepiece's nmt rules: removes control characters, and converts separators and zero-width spaces to
    /// spaces.</summary>
    public static string Nmt(string text)
    {
        string kept = Filter(
            text, rune => !(
                rune.Value is (>= 0x01 and <= 0x08) or 0x0B or (>= 0x0E and <= 0x1F) or 0x7F or 0x8F or 0x9F));
        return Map(kept, rune => rune.Value is 0x09 or 0x0A or 0x0C or 0x0D or 0x1680 or (>= 0x200B and <= 0x200F)
            or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD
            ? new Rune(' ') : rune);
    }

    /// <summary>Keeps the characters that satisfy a condition.</summary>
    public static string Filter(string text, Func<Rune, bool> keep)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            if (keep(rune)) result.Append(rune);
        return result.ToString();
    }

    /// <summary>Replaces each character.</summary>
    public static string Map(string text, Func<Rune, Rune> replace)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes()) result.Append(replace(rune));
        return result.ToString();
    }
}
