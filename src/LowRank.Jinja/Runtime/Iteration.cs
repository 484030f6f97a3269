namespace LowRank.Jinja;

/// <summary>Goes over the items of values. Every item counts as a step.</summary>
internal static class Iteration
{
    /// <summary>The items of a value: of a dictionary its keys, of a string its characters.</summary>
    public static IEnumerable<object> Of(Renderer renderer, object value) => Find(renderer, value)
        ?? throw TemplateException.Type($"'{TypeNames.Of(value)}' object is not iterable");

    /// <summary>The items of a value, or null where it has none to go over.</summary>
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

    /// <summary>How many items a value has, or null where it does not know.</summary>
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

    /// <summary>How many items a value has; a fault where it does not know.</summary>
    public static long RequireLength(Renderer renderer, object value) => Length(renderer, value)
        ?? throw TemplateException.Type($"object of type '{TypeNames.Of(value)}' has no len()");

    /// <summary>The items from the last to the first, or null where the value cannot tell.</summary>
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
