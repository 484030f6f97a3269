using System.Numerics;

namespace LowRank.Jinja;

/// <summary>The methods of lists, tuples and ranges.</summary>
internal static class SequenceMethods
{
    /// <summary>A method, or null if there is none with that name.</summary>
    public static FilterFunction? Find(string name, bool isList) => name switch
    {
        "count" => Count,
        "index" => Index,
        "copy" when isList => (_, value, arguments) =>
        {
            arguments.BindPositional("copy", 0, 0);
            return value;
        },
        _ => null,
    };

    private static object Count(Renderer renderer, object value, Arguments arguments)
    {
        var item = arguments.BindPositional("count", 1, 1)[0]!;
        return new BigInteger(Iteration.Of(renderer, value).Count(other => Comparison.Equal(renderer, other, item)));
    }

    private static object Index(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.BindPositional("index", 1, 3);
        var items = Iteration.List(renderer, value);
        var range = SliceRange.Resolve(items.Count, Bound(values[1]), Bound(values[2]), 1);
        for (var i = range.Start; i < range.Start + range.Count; i++)
        {
            if (Comparison.Equal(renderer, items[(int)i], values[0]!))
            {
                return new BigInteger(i);
            }
        }

        throw TemplateException.Value($"{Display.Brief(values[0]!)} is not in the {TypeNames.Of(value)}");
    }

    private static long? Bound(object? value) => value is null ? null : Numbers.Index(value, "an index");
}

/// <summary>The read-only methods of dictionaries.</summary>
internal static class DictionaryMethods
{
    /// <summary>A method, or null if there is none with that name.</summary>
    public static FilterFunction? Find(string name) => name switch
    {
        "get" => Get,
        "items" => View("items", DictionaryPart.Items),
        "keys" => View("keys", DictionaryPart.Keys),
        "values" => View("values", DictionaryPart.Values),
        "copy" => (_, value, arguments) =>
        {
            arguments.BindPositional("copy", 0, 0);
            return value;
        },
        "fromkeys" => (_, _, _) => throw TemplateException.Unsupported("the method 'fromkeys' of dictionaries"),
        _ => null,
    };

    private static object Get(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.BindPositional("get", 1, 2);
        return ((DictionaryValue)value).Items.TryGetValue(values[0]!, out var found) ? found : values[1] ?? None.Value;
    }

    private static FilterFunction View(string name, DictionaryPart part) => (_, value, arguments) =>
    {
        arguments.BindPositional(name, 0, 0);
        return new DictionaryView((DictionaryValue)value, part);
    };
}

/// <summary>The attributes and methods of numbers.</summary>
internal static class NumberMethods
{
    /// <summary>An attribute or method, or null if there is none with that name.</summary>
    public static object? Find(object value, string name) => name switch
    {
        "real" => value is double ? value : Numbers.Integer(value)!.Value,
        "imag" => value is double ? 0.0 : BigInteger.Zero,
        "numerator" when value is not double => Numbers.Integer(value)!.Value,
        "denominator" when value is not double => BigInteger.One,
        "is_integer" => Members.Method((_, self, arguments) =>
        {
            arguments.BindPositional(name, 0, 0);
            return self is not double number || double.IsInteger(number);
        }, value, name),
        "conjugate" => Members.Method((_, self, arguments) =>
        {
            arguments.BindPositional(name, 0, 0);
            return self is double ? self : Numbers.Integer(self)!.Value;
        }, value, name),
        "bit_length" when value is not double => Members.Method((_, self, arguments) =>
        {
            arguments.BindPositional(name, 0, 0);
            var magnitude = BigInteger.Abs(Numbers.Integer(self)!.Value);
            return new BigInteger(magnitude.IsZero ? 0 : magnitude.GetBitLength());
        }, value, name),
        _ => null,
    };
}
