using System.Collections.Frozen;
using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>The filters by name.</summary>
internal static class FilterTable
{
    // Filters that jinja2 has and this engine does not.
    private static readonly string[] Unsupported = ["urlize", "wordwrap", "random", "pprint", "striptags"];

    private static readonly FrozenDictionary<string, FilterFunction> Filters = TextFilters.All
        .Concat(NumberFilters.All)
        .Concat(SequenceFilters.All)
        .Concat(SelectionFilters.All)
        .Concat(OrderFilters.All)
        .Concat(HtmlFilters.All)
        .ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>What is wrong with the name of a filter, or null.</summary>
    public static string? Problem(string name) => Filters.ContainsKey(name) ? null
        : Unsupported.Contains(name) ? $"the filter '{name}' is not supported"
        : $"there is no filter named '{name}'";

    /// <summary>Whether a filter exists.</summary>
    public static bool Has(string name) => Filters.ContainsKey(name);

    /// <summary>Applies a filter.</summary>
    public static object Apply(Renderer renderer, string name, object value, Arguments arguments)
    {
        if (!Filters.TryGetValue(name, out var filter))
        {
            throw new TemplateException(Problem(name)!);
        }

        renderer.Budget.Spend(1);
        Cost.Charge(renderer, value);
        var result = filter(renderer, value, arguments);
        Cost.Charge(renderer, result);
        return result;
    }
}

/// <summary>The function of a filter or a method.</summary>
internal delegate object FilterFunction(Renderer renderer, object value, Arguments arguments);

/// <summary>The filters that return numbers.</summary>
internal static class NumberFilters
{
    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["int"] = Integer,
        ["float"] = Float,
        ["abs"] = Absolute,
        ["round"] = Round,
        ["sum"] = Sum,
        ["length"] = Length,
        ["count"] = Length,
    };

    private static object Integer(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("int", 0, "default", "base");
        var numberBase = values[1] is null ? 10 : Numbers.Integer(values[1]!);
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        if (Numbers.Integer(value) is { } integer)
        {
            return integer;
        }

        var text = Text.Of(value);
        if (text is not null && numberBase is { } known && (known.IsZero || (known >= 2 && known <= 36))
            && NumberText.Integer(text, (int)known) is { } parsed)
        {
            return parsed;
        }

        var number = text is null ? value as double? : NumberText.Float(text);
        if (value is double infinite && double.IsInfinity(infinite))
        {
            throw new TemplateException("OverflowError: cannot convert float infinity to integer");
        }

        return number is { } found && double.IsFinite(found)
            ? new BigInteger(Math.Truncate(found))
            : values[0] ?? BigInteger.Zero;
    }

    private static object Float(Renderer renderer, object value, Arguments arguments)
    {
        var missing = arguments.Bind("float", 0, "default")[0] ?? 0.0;
        return NumberText.ToFloat(value) ?? missing;
    }

    private static object Absolute(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("abs", 0, 0);
        return value switch
        {
            UndefinedValue undefined => throw undefined.Use(),
            double number => Math.Abs(number),
            _ => BigInteger.Abs(Numbers.Integer(value)
                ?? throw TemplateException.Type($"bad operand type for abs(): '{TypeNames.Of(value)}'")),
        };
    }

    private static object Round(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("round", 0, "precision", "method");
        var precision =
            (int)Math.Clamp(values[0] is null ? 0 : Numbers.Index(values[0]!, "the precision of round"), -1000, 1000);
        var method = values[1] is null ? "common" : TextArgument.Require(values[1]!, "round");
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        if (method == "common" && Numbers.Integer(value) is { } integer)
        {
            return RoundInteger(integer, precision);
        }

        var number = Numbers.Float(value)
            ?? throw TemplateException.Type($"type {TypeNames.Of(value)} doesn't define round");
        var factor = Math.Pow(10, precision);
        return method switch
        {
            "common" => FloatText.RoundTo(number, precision),
            "ceil" => Whole(Math.Ceiling(number * factor)) / factor,
            "floor" => Whole(Math.Floor(number * factor)) / factor,
            _ => throw new TemplateException("the method of round must be common, ceil or floor"),
        };
    }

    private static double Whole(double value) => double.IsFinite(value)
        ? value
        : throw new TemplateException("OverflowError: cannot round infinity or NaN");

    // Negative precisions round before the point, ties to even.
    private static BigInteger RoundInteger(BigInteger value, int precision)
    {
        if (precision >= 0)
        {
            return value;
        }

        var unit = BigInteger.Pow(10, -precision);
        var quotient = BigInteger.DivRem(BigInteger.Abs(value), unit, out var remainder);
        var order = (remainder * 2).CompareTo(unit);
        quotient += order > 0 || (order == 0 && !quotient.IsEven) ? 1 : 0;
        return quotient * unit * value.Sign;
    }

    private static object Sum(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("sum", 0, "attribute", "start");
        var total = values[1] ?? BigInteger.Zero;
        if (total is string or MarkupValue)
        {
            throw TemplateException.Type("sum() can't sum strings");
        }

        var read = AttributePath.Reader(renderer, values[0]);
        return Iteration.Of(renderer, value).Aggregate(total, (sum, item) => Arithmetic.Add(renderer, sum, read(item)));
    }

    private static object Length(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("length", 0, 0);
        return new BigInteger(Iteration.RequireLength(renderer, value));
    }
}

/// <summary>The filters for HTML. Without automatic escaping they only affect text that is added to their
/// result.</summary>
internal static class HtmlFilters
{
    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["safe"] = (renderer, value, arguments) => Safe(renderer, value, arguments),
        ["escape"] = (renderer, value, arguments) => Escape(renderer, value, arguments, false),
        ["e"] = (renderer, value, arguments) => Escape(renderer, value, arguments, false),
        ["forceescape"] = (renderer, value, arguments) => Escape(renderer, value, arguments, true),
        ["xmlattr"] = Attributes,
    };

    private static MarkupValue Safe(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("safe", 0, 0);
        return new MarkupValue(Display.Text(renderer, value));
    }

    private static MarkupValue Escape(Renderer renderer, object value, Arguments arguments, bool force)
    {
        arguments.BindPositional("escape", 0, 0);
        return value is MarkupValue markup && !force
            ? markup
            : new MarkupValue(MarkupValue.Escape(Display.Text(renderer, value)));
    }

    private static object Attributes(Renderer renderer, object value, Arguments arguments)
    {
        var space = arguments.Bind("xmlattr", 0, "autospace")[0] is not { } flag || Truth.Of(renderer, flag);
        if (value is not DictionaryValue dictionary)
        {
            throw TemplateException.Type($"the filter 'xmlattr' needs a dictionary, not {TypeNames.Of(value)}");
        }

        var parts = new List<string>();
        foreach (var (key, item) in dictionary.Items)
        {
            if (item is None or UndefinedValue)
            {
                continue;
            }

            var name = TextArgument.Require(key, "xmlattr");
            if (name.Any(character => character is '/' or '>' or '=' or ' ' or (>= '\t' and <= '\r')))
            {
                throw TemplateException.Value($"Invalid character in attribute name: {Display.Quote(name)}");
            }

            parts.Add($"{Escaped(renderer, key)}=\"{Escaped(renderer, item)}\"");
        }

        return (space && parts.Count > 0 ? " " : "") + string.Join(' ', parts);
    }

    private static string Escaped(Renderer renderer, object value) => value is MarkupValue markup
        ? markup.Text
        : MarkupValue.Escape(Display.Text(renderer, value));
}

/// <summary>The filter <c>urlencode</c>.</summary>
internal static class UrlFilter
{
    /// <summary>Quotes text for a URL; the pairs of a dictionary or list become a query.</summary>
    public static object Encode(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("urlencode", 0, 0);
        if (value is string or MarkupValue || Iteration.Find(renderer, value) is null)
        {
            return Quote(Display.Text(renderer, value), false);
        }

        var pairs = value is DictionaryValue dictionary
            ? dictionary.Items.Select(pair => (pair.Key, pair.Value))
            : Iteration.Of(renderer, value).Select(item => Iteration.List(renderer, item) is [var key, var other]
                ? (key, other)
                : throw TemplateException.Value("urlencode needs pairs of key and value"));
        return string.Join('&', pairs.Select(pair =>
            $"{Quote(Display.Text(renderer, pair.Item1), true)}={Quote(Display.Text(renderer, pair.Item2), true)}"));
    }

    private static string Quote(string text, bool isQuery)
    {
        var result = new StringBuilder();
        foreach (var value in Encoding.UTF8.GetBytes(text))
        {
            var character = (char)value;
            if (char.IsAsciiLetterOrDigit(character) || character is '_' or '.' or '-' or '~'
                || (character == '/' && !isQuery))
            {
                result.Append(character);
            }
            else if (character == ' ' && isQuery)
            {
                result.Append('+');
            }
            else
            {
                result.Append('%').Append(value.ToString("X2"));
            }
        }

        return result.ToString();
    }
}
