using System.Globalization;
using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>The functions that every template can call.</summary>
internal static class GlobalFunctions
{
    private static readonly FunctionValue[] Functions =
    [
        new("range", (_, arguments) => Range(arguments)),
        new("dict", Dictionary),
        new("namespace", Namespace),
        new("cycler", (_, arguments) => Cycler(arguments)),
        new("joiner", (_, arguments) => Joiner(arguments)),
        new("raise_exception", RaiseException),
        new("strftime_now", StrftimeNow),
        new("lipsum", (_, _) => throw TemplateException.Unsupported("the function 'lipsum'")),
    ];

    /// <summary>The functions' names.</summary>
    public static IEnumerable<string> Names => Functions.Select(function => function.Name);

    /// <summary>A scope with the functions.</summary>
    public static Scope CreateScope()
    {
        var scope = new Scope(null);
        foreach (var function in Functions)
        {
            scope.Set(function.Name, function);
        }

        return scope;
    }

    private static RangeValue Range(Arguments arguments)
    {
        var values = arguments.BindPositional("range", 1, 3);
        var numbers = values.Select(value => value is null ? 0 : Numbers.Index(value, "an argument of range"))
            .ToArray();
        var range = values[1] is null
            ? new RangeValue(0, numbers[0], 1)
            : new RangeValue(numbers[0], numbers[1], values[2] is null ? 1 : numbers[2]);
        if (range.Step == 0)
        {
            throw TemplateException.Value("range() arg 3 must not be zero");
        }

        return range.Count <= RangeValue.MaximumCount
            ? range
            : throw new TemplateException($"a range of {range.Count} numbers is larger than {RangeValue.MaximumCount}");
    }

    private static DictionaryValue Dictionary(Renderer renderer, Arguments arguments)
    {
        var dictionary = new DictionaryValue(renderer.Keys);
        if (arguments.Positional.Count > 1)
        {
            throw TemplateException.Type($"dict expected at most 1 argument, got {arguments.Positional.Count}");
        }

        foreach (var (key, value) in arguments.Positional.SelectMany(source => Pairs(renderer, source)))
        {
            dictionary.Items[key] = value;
        }

        foreach (var (name, value) in arguments.Named)
        {
            dictionary.Items[name] = value;
        }

        return dictionary;
    }

    private static IEnumerable<KeyValuePair<object, object>> Pairs(Renderer renderer, object source)
    {
        if (source is DictionaryValue dictionary)
        {
            return dictionary.Items;
        }

        return Iteration.Of(renderer, source).Select(item => Iteration.List(renderer, item) is [var key, var value]
            ? KeyValuePair.Create(key, value)
            : throw TemplateException.Value("a dictionary is made of pairs of key and value"));
    }

    private static NamespaceValue Namespace(Renderer renderer, Arguments arguments)
    {
        var space = new NamespaceValue();
        foreach (var (key, value) in Dictionary(renderer, arguments).Items)
        {
            var name = Text.Of(key) ?? throw TemplateException.Type("the names of a namespace must be strings");
            space.Attributes[name] = value;
        }

        return space;
    }

    private static CyclerValue Cycler(Arguments arguments) =>
        arguments.Positional.Count > 0 && arguments.Named.Count == 0
        ? new CyclerValue(arguments.Positional)
        : throw new TemplateException("cycler takes at least one item, and no names");

    // Returns nothing the first time and the separator from then on.
    private static FunctionValue Joiner(Arguments arguments)
    {
        var separator = arguments.Bind("joiner", 0, "sep")[0] ?? ", ";
        var used = false;
        return new FunctionValue("joiner", (_, call) =>
        {
            call.BindPositional("joiner", 0, 0);
            var result = used ? separator : "";
            used = true;
            return result;
        });
    }

    private static object RaiseException(Renderer renderer, Arguments arguments)
    {
        var message = arguments.Bind("raise_exception", 1, "message")[0]!;
        throw new TemplateException("the template refuses this input: " + Display.Text(renderer, message));
    }

    private static object StrftimeNow(Renderer renderer, Arguments arguments)
    {
        var format = arguments.Bind("strftime_now", 1, "format")[0]!;
        return DateFormat.Format(
            renderer,
            renderer.Clock.GetLocalNow(),
            Text.Of(format)
            ?? throw TemplateException.Type($"strftime() argument must be str, not {TypeNames.Of(format)}"));
    }
}

/// <summary>Python's <c>strftime</c> in the C locale, with the flags of glibc (<c>%-d</c>, <c>%_d</c>,
/// <c>%^a</c>).</summary>
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

    // The text of a directive, and its fill character if it is a number.
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
        // Python's naive time has neither an offset nor a zone name.
        'z' or 'Z' => "",
        'c' => Format(renderer, time, "%a %b %e %H:%M:%S %Y"),
        'D' or 'x' => Format(renderer, time, "%m/%d/%y"),
        'F' => Format(renderer, time, "%Y-%m-%d"),
        'R' => Format(renderer, time, "%H:%M"),
        'r' => Format(renderer, time, "%I:%M:%S %p"),
        'T' or 'X' => Format(renderer, time, "%H:%M:%S"),
        _ => throw TemplateException.Unsupported($"the directive '%{directive}' of strftime_now"),
    };

    private static (string Text, char Fill) Zeros(int value, int width) =>
        (value.ToString(CultureInfo.InvariantCulture).PadLeft(width, '0'), '0');

    private static (string Text, char Fill) Spaces(int value) =>
        (value.ToString(CultureInfo.InvariantCulture).PadLeft(2), ' ');
}
