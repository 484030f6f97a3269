using System.Globalization;
using System.Text;

namespace LowRank.Tokenizers.PreTokenizers;

/// <summary>Splits text in one pass like GPT-2's pattern and its successors.</summary>
/// <param name="modern">False: GPT-2's pattern. True: the pattern of Llama 3 and Qwen2, where contractions ignore case,
/// a word includes one preceding character, and punctuation and spaces include line ends.</param>
/// <param name="digits">Maximum number of digits per piece.</param>
internal sealed class WordScanner(bool modern, int digits) : IPattern
{
    private enum Kind { Letter, Number, Space, Other }

    public IEnumerable<(int Start, int Length, bool IsMatch)> Find(string text, TextBudget? budget = null)
    {
        for (int start = 0; start < text.Length;)
        {
            int end = modern ? Modern(text, start) : Classic(text, start);
            yield return (start, end - start, true);
            start = end;
        }
    }

    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    private int Classic(string text, int start)
    {
        if (Contraction(text, start) is > 0 and int contracted) return start + contracted;
        int word = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        Kind kind = KindAt(text, word, out _);
        if (kind == Kind.Space) return Blanks(text, start);
        return kind == Kind.Number ? Run(text, word, Kind.Number, digits) : Run(text, word, kind, int.MaxValue);
    }

    private int Modern(string text, int start)
    {
        if (Contraction(text, start) is > 0 and int contracted) return start + contracted;
        Kind kind = KindAt(text, start, out int length);
        // [^\r\n\p{L}\p{N}]?\p{L}+
        if (kind == Kind.Letter) return Run(text, start, Kind.Letter, int.MaxValue);
        if (kind != Kind.Number && text[start] is not ('\r' or '\n') && start + length < text.Length
            && KindAt(text, start + length, out _) == Kind.Letter)
            return Run(text, start + length, Kind.Letter, int.MaxValue);
        if (kind == Kind.Number) return Run(text, start, Kind.Number, digits);
        //  ?[^\s\p{L}\p{N}]+[\r\n]*
        int other = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        if (KindAt(text, other, out _) == Kind.Other)
        {
            int end = Run(text, other, Kind.Other, int.MaxValue);
            while (end < text.Length && text[end] is '\r' or '\n') end++;
            return end;
        }
        return LineEnds(text, start) is > 0 and int lines ? lines : Blanks(text, start);
    }

    // \s*[\r\n]+ : up to the last line end in a run of white space
    private static int LineEnds(string text, int start)
    {
        int last = 0;
        for (int i = start; i < text.Length && char.IsWhiteSpace(text[i]); i++)
            if (text[i] is '\r' or '\n') last = i + 1;
        return last;
    }

    // \s+(?!\S)|\s+ : a run of white space, without its last character if the following text would take it
    private static int Blanks(string text, int start)
    {
        int end = start;
        while (end < text.Length && char.IsWhiteSpace(text[end])) end++;
        return end < text.Length && end - start > 1 ? end - 1 : end;
    }

    private static int Run(string text, int start, Kind kind, int most)
    {
        int at = start;
        for (int taken = 0; at < text.Length && taken < most; taken++)
        {
            if (KindAt(text, at, out int length) != kind) break;
            at += length;
        }
        return at;
    }

    private int Contraction(string text, int start)
    {
        if (text[start] != '\'' || start + 1 >= text.Length) return 0;
        char first = Fold(text[start + 1]);
        char second = start + 2 < text.Length ? Fold(text[start + 2]) : '\0';
        return (first, second) switch
        {
            ('s' or 't' or 'm' or 'd', _) => 2,
            ('r' or 'v', 'e') or ('l', 'l') => 3,
            _ => 0,
        };
    }

    // With case ignored, the long s folds to s.
    private char Fold(char c) => !modern ? c : c == 'ſ' ? 's' : char.ToLowerInvariant(c);

    private static Kind KindAt(string text, int index, out int length)
    {
        char c = text[index];
        length = 1;
        if (c < 128)
        {
            if (char.IsAsciiLetter(c)) return Kind.Letter;
            if (char.IsAsciiDigit(c)) return Kind.Number;
            return c is ' ' or (>= '\t' and <= '\r') ? Kind.Space : Kind.Other;
        }
        Rune.DecodeFromUtf16(text.AsSpan(index), out Rune rune, out length);
        if (Rune.IsWhiteSpace(rune)) return Kind.Space;
        return Rune.GetUnicodeCategory(rune) switch
        {
            UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber =>
                Kind.Number,
            _ => Kind.Other,
        };
    }
}
