using System.Globalization;
using System.Text;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Methods of strings that map or ask for the case and class of characters.</summary>
internal static class TextCaseMethods
{
    /// <summary>The methods by name.</summary>
    public static IReadOnlyDictionary<string, TextMethod> All { get; } = new Dictionary<string, TextMethod>
    {
        ["upper"] = Map("upper", CaseMapping.Upper),
        ["lower"] = Map("lower", CaseMapping.Lower),
        ["title"] = Map("title", CaseMapping.Title),
        ["capitalize"] = Map("capitalize", CaseMapping.Capitalize),
        ["swapcase"] = Map("swapcase", CaseMapping.Swap),
        ["isupper"] = Map("isupper", text => CaseMapping.IsUpper(text)),
        ["islower"] = Map("islower", text => CaseMapping.IsLower(text)),
        ["istitle"] = Map("istitle", text => CaseMapping.IsTitle(text)),
        ["isspace"] = Map("isspace", text => text.Length > 0 && text.All(Characters.IsSpace)),
        ["isascii"] = Map("isascii", text => text.All(char.IsAscii)),
        ["isprintable"] = Map("isprintable", text => EachRune(text, Characters.IsPrintable)),
        ["isalpha"] = Map("isalpha", text => text.Length > 0 && EachRune(text, Rune.IsLetter)),
        ["isalnum"] = Map("isalnum", text => text.Length > 0 && EachRune(text, rune => Rune.IsLetter(rune) || IsNumeric(rune))),
        ["isdecimal"] = Map("isdecimal", text => text.Length > 0 && EachRune(text, Rune.IsDigit)),
        ["isdigit"] = Map("isdigit", text => text.Length > 0 && EachRune(text, IsDigit)),
        ["isnumeric"] = Map("isnumeric", text => text.Length > 0 && EachRune(text, IsNumeric)),
    };

    private static TextMethod Map(string name, Func<string, object> map) => (_, text, arguments) =>
    {
        arguments.BindPositional(name, 0, 0);
        return map(text);
    };

    private static bool EachRune(string text, Func<Rune, bool> condition)
    {
        for (var i = 0; i < text.Length;)
        {
            if (!Rune.TryGetRuneAt(text, i, out var rune) || !condition(rune))
            {
                return false;
            }

            i += rune.Utf16SequenceLength;
        }

        return true;
    }

    private static bool IsDigit(Rune rune) => CharUnicodeInfo.GetDigitValue(rune.ToString(), 0) >= 0;

    private static bool IsNumeric(Rune rune) => Rune.GetNumericValue(rune) != -1;
}
