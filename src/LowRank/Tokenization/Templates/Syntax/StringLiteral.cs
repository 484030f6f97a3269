using System.Globalization;
using System.Text;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>String literals with Python's escapes.</summary>
internal static class StringLiteral
{
    private const string Simple = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";

    /// <summary>The value of what stands between the quotes.</summary>
    public static string Unescape(string raw, int line)
    {
        if (!raw.Contains('\\'))
        {
            return raw;
        }

        var result = new StringBuilder(raw.Length);
        for (var i = 0; i < raw.Length;)
        {
            if (raw[i] != '\\')
            {
                result.Append(raw[i++]);
            }
            else
            {
                i = Escape(raw, i + 1, result, line);
            }
        }

        return result.ToString();
    }

    // Appends what the escape at a place stands for and returns the place after it.
    private static int Escape(string raw, int position, StringBuilder result, int line)
    {
        var character = raw[position];
        var simple = 0;
        while (simple < Simple.Length && Simple[simple] != character)
        {
            simple += 2;
        }

        if (simple < Simple.Length)
        {
            result.Append(Simple[simple + 1]);
            return position + 1;
        }

        switch (character)
        {
            case '\n':
                return position + 1;
            case 'x':
                return Hexadecimal(raw, position + 1, 2, result, line);
            case 'u':
                return Hexadecimal(raw, position + 1, 4, result, line);
            case 'U':
                return Hexadecimal(raw, position + 1, 8, result, line);
            case 'N':
                throw TemplateFault.Unsupported("the escape \\N{name} in a string", line);
            case >= '0' and <= '7':
                return Octal(raw, position, result);
            default:
                // Python keeps the backslash of an escape it does not know.
                result.Append('\\').Append(character);
                return position + 1;
        }
    }

    private static int Hexadecimal(string raw, int start, int digits, StringBuilder result, int line)
    {
        if (start + digits > raw.Length
            || !uint.TryParse(raw.AsSpan(start, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)
            || code > 0x10ffff)
        {
            throw new TemplateFault($"a string has an escape with other than {digits} hexadecimal digits of a character", line);
        }

        Append(result, (int)code);
        return start + digits;
    }

    private static int Octal(string raw, int start, StringBuilder result)
    {
        var code = 0;
        var end = start;
        while (end < raw.Length && end < start + 3 && raw[end] is >= '0' and <= '7')
        {
            code = (code * 8) + (raw[end++] - '0');
        }

        Append(result, code);
        return end;
    }

    private static void Append(StringBuilder result, int code)
    {
        if (code <= 0xffff)
        {
            result.Append((char)code);
        }
        else
        {
            result.Append(char.ConvertFromUtf32(code));
        }
    }
}
