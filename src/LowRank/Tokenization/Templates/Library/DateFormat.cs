using System.Globalization;
using System.Text;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Python's <c>strftime</c> in the C locale, with the flags of glibc (<c>%-d</c>, <c>%_d</c>, <c>%^a</c>).</summary>
internal static class DateFormat
{
    /// <summary>Formats a time.</summary>
    public static string Format(Renderer renderer, DateTimeOffset time, string format)
    {
        var result = new StringBuilder();
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                result.Append(format[i]);
                continue;
            }

            i++;
            var flag = format[i] is '-' or '_' or '0' or '^' && i + 1 < format.Length ? format[i++] : '\0';
            result.Append(Flagged(Field(renderer, time, format[i]), flag));
            renderer.Budget.CheckLength(result.Length);
        }

        return result.ToString();
    }

    private static string Flagged((string Text, char Fill) field, char flag)
    {
        var bare = field.Fill == '\0' ? field.Text : field.Text.TrimStart('0', ' ').PadLeft(1, '0');
        return flag switch
        {
            '-' => bare,
            '_' => bare.PadLeft(field.Text.Length),
            '0' when field.Fill != '\0' => bare.PadLeft(field.Text.Length, '0'),
            '^' => field.Text.ToUpperInvariant(),
            _ => field.Text,
        };
    }

    // The text of a directive, and what fills it up where it is a number.
    private static (string Text, char Fill) Field(Renderer renderer, DateTimeOffset time, char directive)
    {
        return directive switch
        {
            'd' => Zeros(time.Day, 2),
            'm' => Zeros(time.Month, 2),
            'Y' => Zeros(time.Year, 4),
            'y' => Zeros(time.Year % 100, 2),
            'C' => Zeros(time.Year / 100, 2),
            'H' => Zeros(time.Hour, 2),
            'I' => Zeros(((time.Hour + 11) % 12) + 1, 2),
            'M' => Zeros(time.Minute, 2),
            'S' => Zeros(time.Second, 2),
            'f' => (time.ToString("ffffff", CultureInfo.InvariantCulture), '0'),
            'j' => Zeros(time.DayOfYear, 3),
            'e' => Spaces(time.Day),
            'k' => Spaces(time.Hour),
            'l' => Spaces(((time.Hour + 11) % 12) + 1),
            'u' => Zeros(time.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)time.DayOfWeek, 1),
            'w' => Zeros((int)time.DayOfWeek, 1),
            'U' => Zeros((time.DayOfYear + 6 - (int)time.DayOfWeek) / 7, 2),
            'W' => Zeros((time.DayOfYear + 6 - (((int)time.DayOfWeek + 6) % 7)) / 7, 2),
            'V' => Zeros(ISOWeek.GetWeekOfYear(time.DateTime), 2),
            'G' => Zeros(ISOWeek.GetYear(time.DateTime), 4),
            'g' => Zeros(ISOWeek.GetYear(time.DateTime) % 100, 2),
            _ => (Words(renderer, time, directive), '\0'),
        };
    }

    private static string Words(Renderer renderer, DateTimeOffset time, char directive) => directive switch
    {
        'a' => time.ToString("ddd", CultureInfo.InvariantCulture),
        'A' => time.ToString("dddd", CultureInfo.InvariantCulture),
        'b' or 'h' => time.ToString("MMM", CultureInfo.InvariantCulture),
        'B' => time.ToString("MMMM", CultureInfo.InvariantCulture),
        'p' => time.Hour < 12 ? "AM" : "PM",
        'P' => time.Hour < 12 ? "am" : "pm",
        'n' => "\n",
        't' => "\t",
        '%' => "%",
        // Python's naive time has neither offset nor name of a zone.
        'z' or 'Z' => "",
        'c' => Format(renderer, time, "%a %b %e %H:%M:%S %Y"),
        'D' or 'x' => Format(renderer, time, "%m/%d/%y"),
        'F' => Format(renderer, time, "%Y-%m-%d"),
        'R' => Format(renderer, time, "%H:%M"),
        'r' => Format(renderer, time, "%I:%M:%S %p"),
        'T' or 'X' => Format(renderer, time, "%H:%M:%S"),
        _ => throw TemplateFault.Unsupported($"the directive '%{directive}' of strftime_now"),
    };

    private static (string Text, char Fill) Zeros(int value, int width) =>
        (value.ToString(CultureInfo.InvariantCulture).PadLeft(width, '0'), '0');

    private static (string Text, char Fill) Spaces(int value) =>
        (value.ToString(CultureInfo.InvariantCulture).PadLeft(2), ' ');
}
