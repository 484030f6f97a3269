using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace LowRank.Adapters.Patterns;

/// <summary>A regular expression in the syntax of Python's <c>re</c>, as in adapter configs, run by .NET with Python's
/// semantics.</summary>
internal sealed class PythonRegex
{
    // far more than a path of a hundred characters needs; stops patterns that backtrack endlessly
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    private readonly Regex regex;
    private readonly string pattern;
    private readonly string key;

    private PythonRegex(string translated, string pattern, string key)
    {
        this.pattern = pattern;
        this.key = key;
        try
        {
            regex = new Regex(translated, RegexOptions.CultureInvariant, Limit);
        }
        catch (ArgumentException failure)
        {
            throw new InputException($"{key}: \"{pattern}\" is no regular expression: {failure.Message}", failure);
        }
    }

    /// <summary>Python's <c>re.fullmatch(pattern, path)</c>.</summary>
    /// <param name="pattern">The user's pattern.</param>
    /// <param name="key">The config's key, for messages.</param>
    public static PythonRegex Whole(string pattern, string key) =>
        new($@"\A(?:{PythonRegexTranslator.Translate(pattern, key, embedded: false)})\z", pattern, key);

    /// <summary>Python's <c>re.match(before + pattern + after, path)</c>: from the start to any end.</summary>
    /// <param name="before">Our text before the user's pattern, with the same meaning in Python and .NET.</param>
    /// <param name="pattern">The user's pattern.</param>
    /// <param name="after">Our text after it.</param>
    /// <param name="key">The config's key, for messages.</param>
    public static PythonRegex Within(string before, string pattern, string after, string key) =>
        new($@"\A(?:{before}{PythonRegexTranslator.Translate(pattern, key, embedded: true)}{after})", pattern, key);

    /// <summary>Number of groups in the whole expression, including the surrounding ones.</summary>
    public int GroupCount => regex.GetGroupNumbers().Length - 1;

    /// <summary>Whether the pattern matches the path.</summary>
    public bool IsMatch(string path) => Match(path).Success;

    /// <summary>The match; groups are numbered as in Python.</summary>
    /// <exception cref="InputException">The pattern takes longer than a second on one path.</exception>
    public Match Match(string path)
    {
        try
        {
            return regex.Match(path);
        }
        catch (RegexMatchTimeoutException failure)
        {
            throw new InputException(
                $"{key}: \"{pattern}\" takes more than a second on \"{path}\"; write it without nested repetitions",
                failure);
        }
    }
}

/// <summary>Translates Python's regular expression syntax to .NET's. Rejects constructs with another meaning in .NET
/// and those that Python itself rejects.</summary>
/// <remarks>Source: the manual of Python's <c>re</c> module. One rule is not checked, because it cannot change which
/// path matches a valid pattern: Python requires look-behinds of fixed width.</remarks>
internal sealed class PythonRegexTranslator
{
    private const string Escapes = "AbBdDsSwWZafnrtvxu";
    private const string ClassEscapes = "bdDsSwWafnrtvxu";

    private readonly string pattern;
    private readonly string key;
    private readonly bool embedded;
    private readonly StringBuilder result = new();
    private readonly HashSet<string> names = [];
    private int position;
    private int groups;
    private bool usesNumbers;

    private PythonRegexTranslator(string pattern, string key, bool embedded)
    {
        this.pattern = pattern;
        this.key = key;
        this.embedded = embedded;
    }

    /// <summary>The pattern in .NET's syntax.</summary>
    /// <param name="pattern">The pattern in Python's syntax.</param>
    /// <param name="key">The config's key, for messages.</param>
    /// <param name="embedded">Whether it is part of a longer expression, where Python accepts no flags.</param>
    /// <exception cref="InputException">The pattern cannot be run with the same meaning.</exception>
    public static string Translate(string pattern, string key, bool embedded) =>
        new PythonRegexTranslator(pattern, key, embedded).Run();

    private string Run()
    {
        while (position < pattern.Length)
        {
            switch (pattern[position])
            {
                case '\\': Escape(); break;
                case '[': CharacterClass(); break;
                case '(': Group(); break;
                case '{' when At("{,"): OpenQuantifier(); break;
                default: result.Append(pattern[position++]); break;
            }
        }
        if (usesNumbers && names.Count > 0)
            throw Refuse(
                "mixes named groups with group numbers, which .NET counts otherwise than Python; refer to groups " +
                "by name");
        return result.ToString();
    }

    private bool At(string text) => string.CompareOrdinal(pattern, position, text, 0, text.Length) == 0;

    private InputException Refuse(string why) => new($"{key}: \"{pattern}\" {why}");

    private void Escape()
    {
        if (position + 1 == pattern.Length) throw Refuse("ends in a single backslash");
        char letter = pattern[position + 1];
        if (char.IsAsciiDigit(letter)) BackReference();
        else if (letter == 'Z') Replace(2, @"\z");
        else if (char.IsAsciiLetter(letter) && !Escapes.Contains(letter)) throw RefuseEscape(letter);
        else CopyEscape(letter);
    }

    // Python allows any punctuation to be escaped; .NET allows no backslash before word characters such as "_"
    private void CopyEscape(char letter)
    {
        bool needless = letter == '_' || (!char.IsAscii(letter) && char.IsLetterOrDigit(letter));
        if (needless) Replace(2, letter.ToString());
        else Copy(2);
    }

    private InputException RefuseEscape(char letter) =>
        Refuse($"holds \\{letter}, which Python's regular expressions do not have or .NET's do not; write it in " +
            "other words");

    private void BackReference()
    {
        int end = position + 1;
        while (end < pattern.Length && char.IsAsciiDigit(pattern[end])) end++;
        string digits = pattern[(position + 1)..end];
        if (digits[0] == '0' || digits.Length > 2)
            throw Refuse($"holds the octal escape \\{digits}; write it as \\x and two digits");
        if (embedded)
            throw Refuse(
                $"refers to a group by number (\\{digits}), which counts PEFT's own groups around it; refer to it " +
                "by name");
        if (int.Parse(digits, CultureInfo.InvariantCulture) > groups)
            throw Refuse($"refers to group {digits}, but only {groups} groups stand before");
        usesNumbers = true;
        Copy(end - position);
    }

    private void CharacterClass()
    {
        int start = position;
        Copy(1);
        if (At("^")) Copy(1);
        if (At("]")) Replace(1, @"\]"); // the first bracket stands for itself in Python
        while (!At("]"))
        {
            if (position >= pattern.Length) throw Refuse($"opens a [ at position {start} and never closes it");
            if (At("[")) Replace(1, @"\["); // .NET would read "-[" as a subtraction
            else if (At("\\")) ClassEscape();
            else Copy(1);
        }
        Copy(1);
    }

    private void ClassEscape()
    {
        if (position + 1 == pattern.Length) throw Refuse("ends in a single backslash");
        char letter = pattern[position + 1];
        if (char.IsAsciiDigit(letter) || (char.IsAsciiLetter(letter) && !ClassEscapes.Contains(letter)))
            throw RefuseEscape(letter);
        CopyEscape(letter);
    }

    private void Group()
    {
        if (!At("(?"))
        {
            groups++;
            Copy(1);
        }
        else if (At("(?P<")) NamedGroup();
        else if (At("(?P=")) NamedReference();
        else if (At("(?#")) Copy(End(')') + 1 - position);
        else if (At("(?(")) Conditional();
        else if (At("(?:") || At("(?=") || At("(?!") || At("(?>")) Copy(3);
        else if (At("(?<=") || At("(?<!")) Copy(4);
        else Flags();
    }

    private void NamedGroup()
    {
        int end = End('>');
        string name = pattern[(position + 4)..end];
        if (!IsName(name) || !names.Add(name))
            throw Refuse($"names a group \"{name}\", which is no name or stands there twice");
        groups++;
        Replace(end + 1 - position, $"(?<{name}>");
    }

    private void NamedReference()
    {
        int end = End(')');
        string name = pattern[(position + 4)..end];
        if (!names.Contains(name)) throw Refuse($"refers to the group \"{name}\", which does not stand before");
        Replace(end + 1 - position, $@"\k<{name}>");
    }

    private void Conditional()
    {
        int end = End(')');
        string group = pattern[(position + 3)..end];
        bool isNumber = group.Length > 0 && group.All(char.IsAsciiDigit);
        if (isNumber && embedded)
            throw Refuse($"asks for a group by number ({group}), which counts PEFT's own groups around it");
        if (!isNumber && !names.Contains(group))
            throw Refuse($"asks for the group \"{group}\", which does not stand before");
        usesNumbers |= isNumber;
        Copy(end + 1 - position);
    }

    // (?i) at the very start, (?i:…) anywhere; (?x) would require Python's handling of whitespace
    private void Flags()
    {
        int end = position + 2;
        while (end < pattern.Length && pattern[end] is 'i' or 'm' or 's' or '-') end++;
        bool scoped = end < pattern.Length && pattern[end] == ':';
        bool global = end < pattern.Length && pattern[end] == ')' && end > position + 2 && !pattern[position..end]
            .Contains('-');
        if (!scoped && !global)
        {
            string found = pattern[position..Math.Min(pattern.Length, end + 1)];
            throw Refuse(
                $"holds \"{found}\", which Python's regular expressions do not have or .NET's do not; write it in " +
                "other words");
        }
        if (global && (position > 0 || embedded))
            throw Refuse(
                $"sets flags where Python takes none: write {pattern[position..end]}:…) around the part they are for");
        Copy(end + 1 - position);
    }

    // "{,5}" means "{0,5}" in Python and is literal text in .NET
    private void OpenQuantifier()
    {
        int end = position + 2;
        while (end < pattern.Length && char.IsAsciiDigit(pattern[end])) end++;
        if (end < pattern.Length && pattern[end] == '}') Replace(2, "{0,");
        else Copy(1);
    }

    private int End(char closing)
    {
        int end = pattern.IndexOf(closing, position + 2);
        return end >= 0 ? end
            : throw Refuse($"opens {pattern[position..Math.Min(pattern.Length, position + 4)]} and never closes it");
    }

    private static bool IsName(string name) =>
        name.Length > 0 && !char.IsAsciiDigit(name[0])
            && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '_');

    private void Copy(int length)
    {
        result.Append(pattern, position, length);
        position += length;
    }

    private void Replace(int length, string text)
    {
        result.Append(text);
        position += length;
    }
}
