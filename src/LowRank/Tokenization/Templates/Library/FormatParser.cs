using System.Globalization;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Parses what follows the colon in <c>"{:...}".format</c>: [[fill]align][sign][#][0][width][grouping][.precision][kind].</summary>
internal static class FormatParser
{
    /// <summary>Parses a specification.</summary>
    public static FormatSpecification Parse(string text)
    {
        var result = new FormatSpecification();
        var position = 0;
        var fill = text.Length > 0 ? CodePoints.At(text, 0)! : "";
        if (fill.Length < text.Length && IsAlign(text[fill.Length]))
        {
            result = result with { Fill = fill, Align = text[fill.Length] };
            position = fill.Length + 1;
        }
        else if (text.Length > 0 && IsAlign(text[0]))
        {
            result = result with { Align = text[0] };
            position = 1;
        }

        if (At(text, position) is '+' or '-' or ' ')
        {
            result = result with { Sign = text[position++] };
        }

        if (At(text, position) == '#')
        {
            result = result with { Alternative = true };
            position++;
        }

        if (At(text, position) == '0' && result.Align == ' ')
        {
            result = result with { Fill = "0", Align = '=' };
            position++;
        }

        return Sizes(text, position, result);
    }

    private static FormatSpecification Sizes(string text, int position, FormatSpecification result)
    {
        result = result with { Width = Math.Max(0, Number(text, ref position)) };
        if (At(text, position) is ',' or '_')
        {
            result = result with { Grouping = text[position++] };
        }

        if (At(text, position) == '.')
        {
            position++;
            var precision = Number(text, ref position);
            result = result with
            {
                Precision = precision >= 0 ? precision : throw TemplateFault.Value("Format specifier missing precision"),
            };
        }

        if (position < text.Length)
        {
            result = result with { Kind = text[position++] };
        }

        return position == text.Length
            ? result
            : throw TemplateFault.Value($"Invalid format specifier '{text}'");
    }

    private static bool IsAlign(char character) => character is '<' or '>' or '^' or '=';

    private static int Number(string text, ref int position)
    {
        var start = position;
        while (char.IsAsciiDigit(At(text, position)))
        {
            position++;
        }

        return position == start ? -1
            : int.TryParse(text.AsSpan(start, position - start), CultureInfo.InvariantCulture, out var value) ? value
            : throw TemplateFault.Value("Too many decimal digits in format string");
    }

    private static char At(string text, int position) => position < text.Length ? text[position] : '\0';
}
