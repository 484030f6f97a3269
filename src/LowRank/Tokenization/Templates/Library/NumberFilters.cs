using System.Numerics;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The filters that make numbers.</summary>
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
            throw new TemplateFault("OverflowError: cannot convert float infinity to integer");
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
                ?? throw TemplateFault.Type($"bad operand type for abs(): '{TypeNames.Of(value)}'")),
        };
    }

    private static object Round(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("round", 0, "precision", "method");
        var precision = (int)Math.Clamp(values[0] is null ? 0 : Numbers.Index(values[0]!, "the precision of round"), -1000, 1000);
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
            ?? throw TemplateFault.Type($"type {TypeNames.Of(value)} doesn't define round");
        var factor = Math.Pow(10, precision);
        return method switch
        {
            "common" => FloatText.RoundTo(number, precision),
            "ceil" => Whole(Math.Ceiling(number * factor)) / factor,
            "floor" => Whole(Math.Floor(number * factor)) / factor,
            _ => throw new TemplateFault("the method of round must be common, ceil or floor"),
        };
    }

    private static double Whole(double value) => double.IsFinite(value)
        ? value
        : throw new TemplateFault("OverflowError: cannot round infinity or NaN");

    // Negative places round before the point, ties to even.
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
            throw TemplateFault.Type("sum() can't sum strings");
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
