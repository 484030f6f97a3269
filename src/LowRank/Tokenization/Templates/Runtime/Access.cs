using LowRank.Tokenization.Templates.Library;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Attributes, elements and slices, as jinja2's sandbox gives them out.</summary>
internal static class Access
{
    /// <summary><c>value.name</c>: the attribute, else the element of that name.</summary>
    public static object Attribute(Renderer renderer, object value, string name) =>
        Members.Find(renderer, value, name)
        ?? Element(renderer, value, name)
        ?? UndefinedValue.Member(value, name);

    /// <summary><c>value[key]</c>: the element, else, for text, the attribute of that name.</summary>
    public static object Item(Renderer renderer, object value, object key) =>
        Element(renderer, value, key)
        ?? (Text.Of(key) is { } name ? Members.Find(renderer, value, name) : null)
        ?? UndefinedValue.Member(value, key);

    /// <summary><c>value[start:stop:step]</c>.</summary>
    public static object Slice(Renderer renderer, object value, object start, object stop, object step)
    {
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        if (value is not (string or MarkupValue or ListValue or TupleValue or RangeValue))
        {
            throw TemplateFault.Type($"'{TypeNames.Of(value)}' object cannot be sliced");
        }

        var range = SliceRange.Resolve(
            Iteration.RequireLength(renderer, value), Bound(start), Bound(stop), Bound(step) ?? 1);
        renderer.Budget.Spend(range.Count);
        return value switch
        {
            string text => CodePoints.Slice(text, range),
            MarkupValue markup => new MarkupValue(CodePoints.Slice(markup.Text, range)),
            ListValue list => new ListValue(Take(list.Items, range)),
            TupleValue tuple => new TupleValue(Take(tuple.Items, range)),
            _ => Take((RangeValue)value, range),
        };
    }

    // An element, or null where there is none or the value has no elements.
    private static object? Element(Renderer renderer, object value, object key)
    {
        switch (value)
        {
            case UndefinedValue undefined:
                throw undefined.Use();
            case DictionaryValue dictionary:
                return IsHashable(key) && dictionary.Items.TryGetValue(key, out var found) ? found : null;
            case ListValue or TupleValue or RangeValue or string or MarkupValue when Numbers.Integer(key) is not null:
                return At(renderer, value, Numbers.Index(key, "an index"));
            default:
                return null;
        }
    }

    private static object? At(Renderer renderer, object value, long index)
    {
        if (Text.Of(value) is { } text)
        {
            renderer.Budget.SpendCharacters(text.Length);
            var character = CodePoints.At(text, index);
            return character is not null && value is MarkupValue ? new MarkupValue(character) : character;
        }

        var length = Iteration.RequireLength(renderer, value);
        index = index < 0 ? index + length : index;
        return index < 0 || index >= length ? null : value switch
        {
            ListValue list => list.Items[(int)index],
            TupleValue tuple => tuple.Items[(int)index],
            _ => new System.Numerics.BigInteger(((RangeValue)value)[index]),
        };
    }

    private static bool IsHashable(object key) => key switch
    {
        ListValue or DictionaryValue => false,
        TupleValue tuple => tuple.Items.All(item => item is not (ListValue or DictionaryValue)),
        _ => true,
    };

    private static long? Bound(object bound) => bound is None ? null : Numbers.Index(bound, "a slice index");

    private static object[] Take(IReadOnlyList<object> items, SliceRange range)
    {
        var result = new object[range.Count];
        for (long i = 0; i < range.Count; i++)
        {
            result[i] = items[(int)(range.Start + (i * range.Step))];
        }

        return result;
    }

    private static RangeValue Take(RangeValue value, SliceRange range) => new(
        value.Start + (range.Start * value.Step), value.Start + (range.Stop * value.Step), value.Step * range.Step);
}
