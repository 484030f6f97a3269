using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace LowRank.Jinja;

/// <summary>Methods of strings that convert or test the case and class of characters.</summary>
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
        ["isalnum"] = Map(
            "isalnum", text => text.Length > 0 && EachRune(text, rune => Rune.IsLetter(rune) || IsNumeric(rune))),
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

/// <summary>Upper, lower and title case as in Python: Unicode's full mappings, independent of the culture.</summary>
internal static class CaseMapping
{
    /// <summary>Python's <c>upper</c>.</summary>
    public static string Upper(string text) => Map(text, (result, rune, _) => AppendUpper(result, rune));

    /// <summary>Python's <c>lower</c>.</summary>
    public static string Lower(string text) =>
        Map(text, (result, rune, index) => AppendLower(result, rune, text, index));

    /// <summary>Python's <c>capitalize</c>: the first character in title case, the others in lower case.</summary>
    public static string Capitalize(string text) => Map(text, (result, rune, index) =>
    {
        if (index == 0)
        {
            AppendTitle(result, rune);
        }
        else
        {
            AppendLower(result, rune, text, index);
        }
    });

    /// <summary>Python's <c>title</c>: a letter after a letter in lower case, any other in title case.</summary>
    public static string Title(string text)
    {
        var inWord = false;
        return Map(text, (result, rune, index) =>
        {
            if (inWord)
            {
                AppendLower(result, rune, text, index);
            }
            else
            {
                AppendTitle(result, rune);
            }

            inWord = IsCased(rune);
        });
    }

    /// <summary>Python's <c>swapcase</c>.</summary>
    public static string Swap(string text) => Map(text, (result, rune, index) =>
    {
        if (Rune.IsUpper(rune))
        {
            AppendLower(result, rune, text, index);
        }
        else if (Rune.IsLower(rune))
        {
            AppendUpper(result, rune);
        }
        else
        {
            result.Append(rune.ToString());
        }
    });

    /// <summary>Python's <c>isupper</c>.</summary>
    public static bool IsUpper(string text) =>
        text.EnumerateRunes().Any(Rune.IsUpper) && !text.EnumerateRunes()
            .Any(rune => IsCased(rune) && !Rune.IsUpper(rune));

    /// <summary>Python's <c>islower</c>.</summary>
    public static bool IsLower(string text) =>
        text.EnumerateRunes().Any(Rune.IsLower) && !text.EnumerateRunes()
            .Any(rune => IsCased(rune) && !Rune.IsLower(rune));

    /// <summary>Python's <c>istitle</c>.</summary>
    public static bool IsTitle(string text)
    {
        var inWord = false;
        var any = false;
        foreach (var rune in text.EnumerateRunes())
        {
            var isLower = Rune.IsLower(rune);
            var isCased = IsCased(rune);
            if (isCased && isLower != inWord)
            {
                return false;
            }

            inWord = isCased;
            any |= isCased;
        }

        return any;
    }

    private static bool Any(this StringRuneEnumerator runes, Func<Rune, bool> condition)
    {
        foreach (var rune in runes)
        {
            if (condition(rune))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsCased(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.UppercaseLetter
        or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter;

    private static string Map(string text, Action<StringBuilder, Rune, int> append)
    {
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length;)
        {
            // An unpaired surrogate has no case and stays unchanged.
            if (!Rune.TryGetRuneAt(text, i, out var rune))
            {
                result.Append(text[i++]);
                continue;
            }

            append(result, rune, i);
            i += rune.Utf16SequenceLength;
        }

        return result.ToString();
    }

    private static void AppendUpper(StringBuilder result, Rune rune) => result.Append(
        rune.IsBmp && CaseTables.Upper.TryGetValue((char)rune.Value, out var special) ? special
        : rune.Value == '\u0131' ? "I"
        : rune.Value == '\u017f' ? "S"
        : Rune.ToUpperInvariant(rune).ToString());

    private static void AppendTitle(StringBuilder result, Rune rune)
    {
        if (rune.IsBmp && CaseTables.Title.TryGetValue((char)rune.Value, out var special))
        {
            result.Append(special);
        }
        else if (rune.Value is >= 0x10d0 and <= 0x10ff)
        {
            result.Append((char)rune.Value);
        }
        else
        {
            AppendUpper(result, rune);
        }
    }

    private static void AppendLower(StringBuilder result, Rune rune, string text, int index) =>
        result.Append(rune.Value switch
    {
        '\u0130' => "i\u0307",
        '\u03a3' => IsFinal(text, index) ? "\u03c2" : "\u03c3",
        _ => Rune.ToLowerInvariant(rune).ToString(),
    });

    // Unicode's Final_Sigma: a cased letter before it and none after it, ignoring marks and the like.
    private static bool IsFinal(string text, int index)
    {
        var before = index - 1;
        while (before >= 0 && IsIgnored(text[before]))
        {
            before--;
        }

        var after = index + 1;
        while (after < text.Length && IsIgnored(text[after]))
        {
            after++;
        }

        return before >= 0 && IsCasedAt(text, before) && !(after < text.Length && IsCasedAt(text, after));
    }

    private static bool IsCasedAt(string text, int index)
    {
        var start = index > 0 && char.IsLowSurrogate(text[index]) ? index - 1 : index;
        return Rune.TryGetRuneAt(text, start, out var rune) && IsCased(rune);
    }

    private static bool IsIgnored(char character) => character is '\'' or '.' or ':' or '\u00b7' or '\u2019' or '\u2018'
        || char.GetUnicodeCategory(character) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark
            or UnicodeCategory.Format or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;
}

/// <summary>
/// Case mappings to several characters and to title case, which .NET lacks (Unicode's SpecialCasing.txt and the title
/// case of UnicodeData.txt). Each entry is a character followed by its mapping. </summary>
internal static class CaseTables
{
    private const string UpperEntries =
        "\u00dfSS \u0149\u02bcN \u01f0J\u030c \u0390\u0399\u0308\u0301 \u03b0\u03a5\u0308\u0301 "
        + "\u0587\u0535\u0552 \u1e96H\u0331 \u1e97T\u0308 \u1e98W\u030a \u1e99Y\u030a \u1e9aA\u02be "
        + "\u1f50\u03a5\u0313 \u1f52\u03a5\u0313\u0300 \u1f54\u03a5\u0313\u0301 \u1f56\u03a5\u0313\u0342 "
        + "\u1f80\u1f08\u0399 \u1f81\u1f09\u0399 \u1f82\u1f0a\u0399 \u1f83\u1f0b\u0399 \u1f84\u1f0c\u0399 "
        + "\u1f85\u1f0d\u0399 \u1f86\u1f0e\u0399 \u1f87\u1f0f\u0399 \u1f88\u1f08\u0399 \u1f89\u1f09\u0399 "
        + "\u1f8a\u1f0a\u0399 \u1f8b\u1f0b\u0399 \u1f8c\u1f0c\u0399 \u1f8d\u1f0d\u0399 \u1f8e\u1f0e\u0399 "
        + "\u1f8f\u1f0f\u0399 \u1f90\u1f28\u0399 \u1f91\u1f29\u0399 \u1f92\u1f2a\u0399 \u1f93\u1f2b\u0399 "
        + "\u1f94\u1f2c\u0399 \u1f95\u1f2d\u0399 \u1f96\u1f2e\u0399 \u1f97\u1f2f\u0399 \u1f98\u1f28\u0399 "
        + "\u1f99\u1f29\u0399 \u1f9a\u1f2a\u0399 \u1f9b\u1f2b\u0399 \u1f9c\u1f2c\u0399 \u1f9d\u1f2d\u0399 "
        + "\u1f9e\u1f2e\u0399 \u1f9f\u1f2f\u0399 \u1fa0\u1f68\u0399 \u1fa1\u1f69\u0399 \u1fa2\u1f6a\u0399 "
        + "\u1fa3\u1f6b\u0399 \u1fa4\u1f6c\u0399 \u1fa5\u1f6d\u0399 \u1fa6\u1f6e\u0399 \u1fa7\u1f6f\u0399 "
        + "\u1fa8\u1f68\u0399 \u1fa9\u1f69\u0399 \u1faa\u1f6a\u0399 \u1fab\u1f6b\u0399 \u1fac\u1f6c\u0399 "
        + "\u1fad\u1f6d\u0399 \u1fae\u1f6e\u0399 \u1faf\u1f6f\u0399 \u1fb2\u1fba\u0399 \u1fb3\u0391\u0399 "
        + "\u1fb4\u0386\u0399 \u1fb6\u0391\u0342 \u1fb7\u0391\u0342\u0399 \u1fbc\u0391\u0399 "
        + "\u1fc2\u1fca\u0399 \u1fc3\u0397\u0399 \u1fc4\u0389\u0399 \u1fc6\u0397\u0342 "
        + "\u1fc7\u0397\u0342\u0399 \u1fcc\u0397\u0399 \u1fd2\u0399\u0308\u0300 \u1fd3\u0399\u0308\u0301 "
        + "\u1fd6\u0399\u0342 \u1fd7\u0399\u0308\u0342 \u1fe2\u03a5\u0308\u0300 \u1fe3\u03a5\u0308\u0301 "
        + "\u1fe4\u03a1\u0313 \u1fe6\u03a5\u0342 \u1fe7\u03a5\u0308\u0342 \u1ff2\u1ffa\u0399 "
        + "\u1ff3\u03a9\u0399 \u1ff4\u038f\u0399 \u1ff6\u03a9\u0342 \u1ff7\u03a9\u0342\u0399 "
        + "\u1ffc\u03a9\u0399 \ufb00FF \ufb01FI \ufb02FL \ufb03FFI \ufb04FFL \ufb05ST \ufb06ST "
        + "\ufb13\u0544\u0546 \ufb14\u0544\u0535 \ufb15\u0544\u053b \ufb16\u054e\u0546 \ufb17\u0544\u053d";

    private const string TitleEntries =
        "\u00dfSs \u01c4\u01c5 \u01c5\u01c5 \u01c6\u01c5 \u01c7\u01c8 \u01c8\u01c8 \u01c9\u01c8 \u01ca\u01cb "
        + "\u01cb\u01cb \u01cc\u01cb \u01f1\u01f2 \u01f2\u01f2 \u01f3\u01f2 \u0587\u0535\u0582 \u1f80\u1f88 "
        + "\u1f81\u1f89 \u1f82\u1f8a \u1f83\u1f8b \u1f84\u1f8c \u1f85\u1f8d \u1f86\u1f8e \u1f87\u1f8f "
        + "\u1f88\u1f88 \u1f89\u1f89 \u1f8a\u1f8a \u1f8b\u1f8b \u1f8c\u1f8c \u1f8d\u1f8d \u1f8e\u1f8e "
        + "\u1f8f\u1f8f \u1f90\u1f98 \u1f91\u1f99 \u1f92\u1f9a \u1f93\u1f9b \u1f94\u1f9c \u1f95\u1f9d "
        + "\u1f96\u1f9e \u1f97\u1f9f \u1f98\u1f98 \u1f99\u1f99 \u1f9a\u1f9a \u1f9b\u1f9b \u1f9c\u1f9c "
        + "\u1f9d\u1f9d \u1f9e\u1f9e \u1f9f\u1f9f \u1fa0\u1fa8 \u1fa1\u1fa9 \u1fa2\u1faa \u1fa3\u1fab "
        + "\u1fa4\u1fac \u1fa5\u1fad \u1fa6\u1fae \u1fa7\u1faf \u1fa8\u1fa8 \u1fa9\u1fa9 \u1faa\u1faa "
        + "\u1fab\u1fab \u1fac\u1fac \u1fad\u1fad \u1fae\u1fae \u1faf\u1faf \u1fb2\u1fba\u0345 \u1fb3\u1fbc "
        + "\u1fb4\u0386\u0345 \u1fb7\u0391\u0342\u0345 \u1fbc\u1fbc \u1fc2\u1fca\u0345 \u1fc3\u1fcc "
        + "\u1fc4\u0389\u0345 \u1fc7\u0397\u0342\u0345 \u1fcc\u1fcc \u1ff2\u1ffa\u0345 \u1ff3\u1ffc "
        + "\u1ff4\u038f\u0345 \u1ff7\u03a9\u0342\u0345 \u1ffc\u1ffc \ufb00Ff \ufb01Fi \ufb02Fl \ufb03Ffi "
        + "\ufb04Ffl \ufb05St \ufb06St \ufb13\u0544\u0576 \ufb14\u0544\u0565 \ufb15\u0544\u056b "
        + "\ufb16\u054e\u0576 \ufb17\u0544\u056d";

    /// <summary>Characters whose upper case is longer than one character.</summary>
    public static FrozenDictionary<char, string> Upper { get; } = Read(UpperEntries);

    /// <summary>Characters whose title case differs from their upper case, without the Georgian letters, which have no
    /// title case.</summary>
    public static FrozenDictionary<char, string> Title { get; } = Read(TitleEntries);

    private static FrozenDictionary<char, string> Read(string entries) =>
        entries.Split(' ').ToFrozenDictionary(entry => entry[0], entry => entry[1..]);
}
