using System.Globalization;
using System.Numerics;

namespace LowRank.Jinja;

/// <summary>Python's arithmetic on numbers, strings, lists and tuples.</summary>
internal static class Arithmetic
{
    /// <summary>Python's <c>+</c>.</summary>
    public static object Add(Renderer renderer, object left, object right)
    {
        RefuseUndefined(left, right);
        if (Text.Of(left) is { } text && Text.Of(right) is { } other)
        {
            return AddText(renderer, left, right, text, other);
        }

        return (left, right) switch
        {
            (ListValue one, ListValue two) => new ListValue(AddItems(renderer, one.Items, two.Items)),
            (TupleValue one, TupleValue two) => new TupleValue(AddItems(renderer, one.Items, two.Items)),
            (string or MarkupValue, _) when left is string =>
                throw TemplateException.Type($"can only concatenate str (not \"{TypeNames.Of(right)}\") to str"),
            _ => Compute(left, right, "+", (a, b) => a + b, (a, b) => a + b),
        };
    }

    /// <summary>Python's <c>-</c>.</summary>
    public static object Subtract(object left, object right)
    {
        RefuseUndefined(left, right);
        return Compute(left, right, "-", (a, b) => a - b, (a, b) => a - b);
    }

    /// <summary>Python's <c>*</c>: strings, lists and tuples repeat.</summary>
    public static object Multiply(Renderer renderer, object left, object right)
    {
        RefuseUndefined(left, right);
        if (Numbers.Integer(left) is not null && Numbers.Integer(right) is null && right is not double)
        {
            (left, right) = (right, left);
        }

        if (Numbers.Integer(right) is not { } count || left is bool or BigInteger or double)
        {
            return Compute(left, right, "*", (a, b) => a * b, (a, b) => a * b);
        }

        var times = (long)BigInteger.Clamp(count, 0, int.MaxValue);
        return left switch
        {
            string text => Repeat(renderer, text, times),
            MarkupValue markup => new MarkupValue(Repeat(renderer, markup.Text, times)),
            ListValue list => new ListValue(Repeat(renderer, list.Items, times)),
            TupleValue tuple => new TupleValue(Repeat(renderer, tuple.Items, times)),
            _ => throw Mismatch("*", left, right),
        };
    }

    /// <summary>Python's <c>/</c>: always a float.</summary>
    public static object Divide(object left, object right)
    {
        RefuseUndefined(left, right);
        if (Numbers.Integer(left) is { } one && Numbers.Integer(right) is { } two)
        {
            return two.IsZero ? throw DivisionByZero() : Numbers.Quotient(one, two);
        }

        if (Numbers.Float(left) is not { } dividend || Numbers.Float(right) is not { } divisor)
        {
            throw Mismatch("/", left, right);
        }

        return divisor == 0 ? throw DivisionByZero() : dividend / divisor;
    }

    /// <summary>Python's <c>//</c>: rounds down.</summary>
    public static object FloorDivide(object left, object right)
    {
        RefuseUndefined(left, right);
        return Compute(left, right, "//",
            (a, b) => b.IsZero ? throw DivisionByZero() : (a - FloorRemainder(a, b)) / b,
            (a, b) => FloorDivision(a, b).Quotient);
    }

    /// <summary>Python's <c>%</c>: the result has the sign of the divisor; for strings, printf-style
    /// formatting.</summary>
    public static object Modulo(Renderer renderer, object left, object right)
    {
        if (Text.Of(left) is not null)
        {
            return PrintfFormat.Apply(renderer, left, right);
        }

        RefuseUndefined(left, right);
        return Compute(left, right, "%",
            (a, b) => b.IsZero ? throw DivisionByZero() : FloorRemainder(a, b),
            (a, b) => FloorRemainder(a, b));
    }

    /// <summary>Python's <c>**</c>.</summary>
    public static object Power(object left, object right)
    {
        RefuseUndefined(left, right);
        if (Numbers.Integer(left) is { } number && Numbers.Integer(right) is { Sign: >= 0 } exponent)
        {
            Numbers.CheckBits(Math.Max(0, number.GetBitLength() - 1) * (double)exponent);
            return BigInteger.Abs(number) <= 1
                ? (number.IsOne || exponent.IsZero ? BigInteger.One : number.IsZero ? number
                : exponent.IsEven ? 1 : number)
                : BigInteger.Pow(number, (int)exponent);
        }

        if (Numbers.Float(left) is not { } value || Numbers.Float(right) is not { } power)
        {
            throw Mismatch("** or pow()", left, right);
        }

        if (value == 0 && power < 0)
        {
            throw new TemplateException("ZeroDivisionError: zero to a negative power");
        }

        var result = Math.Pow(value, power);
        return double.IsFinite(result) || !double.IsFinite(value) || !double.IsFinite(power)
            ? result
            : throw new TemplateException("OverflowError: the power is too large or not a real number");
    }

    /// <summary>Python's unary minus.</summary>
    public static object Negate(object value)
    {
        RefuseUndefined(value, value);
        return Numbers.Integer(value) is { } integer ? -integer
            : value is double number ? -number
            : throw TemplateException.Type($"bad operand type for unary -: '{TypeNames.Of(value)}'");
    }

    /// <summary>Python's unary plus.</summary>
    public static object Plus(object value)
    {
        RefuseUndefined(value, value);
        return Numbers.Integer(value) is { } integer ? integer
            : value is double ? value
            : throw TemplateException.Type($"bad operand type for unary +: '{TypeNames.Of(value)}'");
    }

    private static object AddText(Renderer renderer, object left, object right, string text, string other)
    {
        // markupsafe: a value added to markup is escaped, unless it is markup itself.
        if (left is MarkupValue || right is MarkupValue)
        {
            text = left is MarkupValue ? text : MarkupValue.Escape(text);
            other = right is MarkupValue ? other : MarkupValue.Escape(other);
        }

        renderer.Budget.CheckLength((long)text.Length + other.Length);
        renderer.Budget.SpendCharacters((long)text.Length + other.Length);
        var sum = text + other;
        return left is MarkupValue || right is MarkupValue ? new MarkupValue(sum) : sum;
    }

    private static object[] AddItems(Renderer renderer, IReadOnlyList<object> left, IReadOnlyList<object> right)
    {
        renderer.Budget.Spend(left.Count + right.Count);
        return [.. left, .. right];
    }

    private static string Repeat(Renderer renderer, string text, long times)
    {
        renderer.Budget.CheckLength(text.Length * times);
        renderer.Budget.SpendCharacters(text.Length * times);
        return string.Concat(Enumerable.Repeat(text, (int)(text.Length == 0 ? 0 : times)));
    }

    private static object[] Repeat(Renderer renderer, IReadOnlyList<object> items, long times)
    {
        renderer.Budget.Spend(items.Count * times);
        return items.Count == 0 ? [] : [.. Enumerable.Repeat(items, (int)times).SelectMany(item => item)];
    }

    private static object Compute(
        object left, object right, string operation,
        Func<BigInteger, BigInteger, BigInteger> integers, Func<double, double, double> floats)
    {
        if (Numbers.Integer(left) is { } one && Numbers.Integer(right) is { } two)
        {
            return Numbers.Checked(integers(one, two));
        }

        return Numbers.Float(left) is { } first && Numbers.Float(right) is { } second
            ? floats(first, second)
            : throw Mismatch(operation, left, right);
    }

    private static BigInteger FloorRemainder(BigInteger dividend, BigInteger divisor)
    {
        var remainder = BigInteger.Remainder(dividend, divisor);
        return remainder.IsZero || remainder.Sign == divisor.Sign ? remainder : remainder + divisor;
    }

    private static double FloorRemainder(double dividend, double divisor) => FloorDivision(dividend, divisor).Remainder;

    // Like CPython's float_divmod, to the last bit.
    private static (double Quotient, double Remainder) FloorDivision(double dividend, double divisor)
    {
        if (divisor == 0)
        {
            throw DivisionByZero();
        }

        var remainder = dividend % divisor;
        var quotient = (dividend - remainder) / divisor;
        if (remainder == 0)
        {
            remainder = Math.CopySign(0, divisor);
        }
        else if ((divisor < 0) != (remainder < 0))
        {
            remainder += divisor;
            quotient -= 1;
        }

        if (quotient == 0)
        {
            return (Math.CopySign(0, dividend / divisor), remainder);
        }

        var floor = Math.Floor(quotient);
        return (quotient - floor > 0.5 ? floor + 1 : floor, remainder);
    }

    private static void RefuseUndefined(object left, object right)
    {
        if (left is UndefinedValue || right is UndefinedValue)
        {
            throw ((left as UndefinedValue) ?? (UndefinedValue)right).Use();
        }
    }

    private static TemplateException DivisionByZero() => new("ZeroDivisionError: division by zero");

    private static TemplateException Mismatch(string operation, object left, object right) => TemplateException.Type(
        $"unsupported operand type(s) for {operation}: '{TypeNames.Of(left)}' and '{TypeNames.Of(right)}'");
}

/// <summary>Reads values as numbers. Integers may have any size; booleans count as 0 and 1.</summary>
internal static class Numbers
{
    // Python itself refuses to print integers beyond 4300 digits; larger ones are an attack.
    private const long MaximumBits = 65_536;

    /// <summary>The value as an integer, if it is an integer or a boolean.</summary>
    public static BigInteger? Integer(object value) => value switch
    {
        BigInteger number => number,
        bool boolean => boolean ? BigInteger.One : BigInteger.Zero,
        _ => null,
    };

    /// <summary>The value as a float, if it is a number.</summary>
    public static double? Float(object value) => value is double number ? number : Integer(value) is { } integer
        ? ToFloat(integer)
        : null;

    /// <summary>An integer as a float.</summary>
    public static double ToFloat(BigInteger integer)
    {
        // The cast truncates large values; parsing the text rounds to the nearest value, as Python does.
        var value = BigInteger.Abs(integer) < (BigInteger.One << 53)
            ? (double)integer
            : double.Parse(integer.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return double.IsInfinity(value)
            ? throw new TemplateException("OverflowError: int too large to convert to float")
            : value;
    }

    /// <summary>The float nearest to a quotient of integers. Dividing the two as floats would miss it for large
    /// values.</summary>
    public static double Quotient(BigInteger dividend, BigInteger divisor)
    {
        const int Precision = 66;
        var exact = BigInteger.One << 53;
        if (BigInteger.Abs(dividend) <= exact && BigInteger.Abs(divisor) <= exact)
        {
            return (double)dividend / (double)divisor;
        }

        // Enough bits to round once; the last bit shows whether there is a remainder.
        var shift = (int)(Precision + divisor.GetBitLength() - dividend.GetBitLength());
        var scaled = BigInteger.Abs(shift >= 0 ? dividend << shift : dividend);
        var quotient =
            BigInteger.DivRem(scaled, BigInteger.Abs(shift >= 0 ? divisor : divisor << -shift), out var rest);
        var magnitude = Math.ScaleB(ToFloat(rest.IsZero ? quotient : quotient | BigInteger.One), -shift);
        return double.IsInfinity(magnitude)
            ? throw new TemplateException("OverflowError: integer division result too large for a float")
            : dividend.Sign * divisor.Sign < 0 ? -magnitude : magnitude;
    }

    /// <summary>The value as an index or count, clamped to the range of long.</summary>
    public static long Index(object value, string what)
    {
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        var integer = Integer(value)
            ?? throw TemplateException.Type($"{what} must be an integer, not '{TypeNames.Of(value)}'");
        return (long)BigInteger.Clamp(integer, long.MinValue / 2, long.MaxValue / 2);
    }

    /// <summary>Refuses an integer that is too large.</summary>
    public static BigInteger Checked(BigInteger value) => value.GetBitLength() > MaximumBits
        ? throw new TemplateException($"an integer has more than {MaximumBits} bits")
        : value;

    /// <summary>Refuses a size before the integer is computed.</summary>
    public static void CheckBits(double bits)
    {
        if (bits > MaximumBits)
        {
            throw new TemplateException($"an integer would have more than {MaximumBits} bits");
        }
    }
}
