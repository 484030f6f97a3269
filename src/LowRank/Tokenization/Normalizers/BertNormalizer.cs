using System.Globalization;
using System.Text;
using LowRank.Tokenization.Unicode;

namespace LowRank.Tokenization.Normalizers;

/// <summary>BERT's cleaning: control characters removed, white space made blanks, Chinese characters set apart, accents
/// stripped, lower case (google-research/bert, tokenization.py).</summary>
internal sealed class BertNormalizer(ComponentJson json) : INormalizer
{
    private readonly bool cleans = json.Flag("clean_text", true);
    private readonly bool separatesChinese = json.Flag("handle_chinese_chars", true);
    private readonly bool lowers = json.Flag("lowercase", true);
    private readonly bool strips = json.Flag("strip_accents", json.Flag("lowercase", true));

    public string Normalize(string text, TextBudget? budget = null)
    {
        if (cleans) text = TextChanges.Map(TextChanges.Filter(text, rune => !IsControl(rune)), rune => Rune.IsWhiteSpace(rune) ? new Rune(' ') : rune);
        if (separatesChinese) text = SetApart(text);
        if (strips) text = TextChanges.WithoutMarks(UnicodeNormalization.Nfd(text));
        if (lowers) text = TextChanges.Lower(text);
        budget?.Check(text.Length);
        return text;
    }

    public AlignedText Align(AlignedText text)
    {
        if (cleans) text = text.MapCharacters(rune => IsControl(rune) ? "" : Rune.IsWhiteSpace(rune) ? " " : rune.ToString());
        if (separatesChinese) text = text.MapCharacters(rune => IsChinese(rune.Value) ? $" {rune} " : rune.ToString());
        if (strips) text = text.MapClusters(UnicodeNormalization.Nfd).MapCharacters(rune => TextChanges.WithoutMarks(rune.ToString()));
        return lowers ? text.MapCharacters(rune => TextChanges.Lower(rune.ToString())) : text;
    }

    private static bool IsControl(Rune rune) => rune.Value is 0 or 0xFFFD
        || (rune.Value is not ('\t' or '\n' or '\r') && Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
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

    private static bool IsChinese(int c) => c is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
        or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
