namespace LowRank.Jinja;

/// <summary>Iterates over the items of values. Every item counts as a step.</summary>
internal static class Iteration
{
    /// <summary>The items of a value: the keys of a dictionary, the characters of a string.</summary>
    public static IEnumerable<object> Of(Renderer renderer, object value) => Find(renderer, value)
        ?? throw TemplateException.Type($"'{TypeNames.Of(value)}' object is not iterable");

    /// <summary>The items of a value, or null if it is not iterable.</summary>
    public static IEnumerable<object>? Find(Renderer renderer, object value)
    {
        var items = value switch
        {
            string text => CodePoints.Each(text),
            MarkupValue markup => CodePoints.Each(markup.Text),
            ListValue list => list.Items,
            TupleValue tuple => tuple.Items,
            DictionaryValue dictionary => dictionary.Items.Keys,
            DictionaryView view => view.Items,
            RangeValue range => Numbers(range),
            IteratorValue iterator => iterator.Rest(),
            UndefinedValue => [],
            _ => null,
        };
        return items is null ? null : Count(renderer, items);
    }

    /// <summary>The items of a value as a list.</summary>
    public static List<object> List(Renderer renderer, object value) => [.. Of(renderer, value)];

    /// <summary>The number of items of a value, or null if unknown.</summary>
    public static long? Length(Renderer renderer, object value)
    {
        switch (value)
        {
            case string text:
                renderer.Budget.SpendCharacters(text.Length);
                return CodePoints.Length(text);
            case MarkupValue markup:
                return Length(renderer, markup.Text);
            case ListValue list:
                return list.Items.Count;
            case TupleValue tuple:
                return tuple.Items.Count;
            case DictionaryValue dictionary:
                return dictionary.Items.Count;
            case DictionaryView view:
                return view.Dictionary.Items.Count;
            case RangeValue range:
                return (long)range.Count;
            case UndefinedValue:
                return 0;
            case LoopValue loop:
                return loop.Length(renderer);
            default:
                return null;
        }
    }

    /// <summary>The number of items of a value; an error if unknown.</summary>
    public static long RequireLength(Renderer renderer, object value) => Length(renderer, value)
        ?? throw TemplateException.Type($"object of type '{TypeNames.Of(value)}' has no len()");

    /// <summary>The items from last to first, or null if the value does not support it.</summary>
    public static IEnumerable<object>? Reversed(Renderer renderer, object value) => value switch
    {
        string or MarkupValue or ListValue or TupleValue or DictionaryValue or DictionaryView or RangeValue
            or UndefinedValue => Of(renderer, value).Reverse(),
        _ => null,
    };

    private static IEnumerable<object> Numbers(RangeValue range)
    {
        for (long i = 0; i < range.Count; i++)
        {
            yield return new System.Numerics.BigInteger(range[i]);
        }
    }

    private static IEnumerable<object> Count(Renderer renderer, IEnumerable<object> items)
    {
        foreach (var item in items)
        {
            renderer.Budget.Spend(1);
            yield return item;
        }
    }
}
