using System.Numerics;

namespace LowRank.Jinja;

/// <summary>Equality, order and membership as in Python.</summary>
internal static class Comparison
{
    /// <summary>Python's <c>==</c>.</summary>
    public static bool Equal(Renderer renderer, object left, object right)
    {
        renderer.Budget.Spend(1);
        if (Text.Of(left) is { } text)
        {
            renderer.Budget.SpendCharacters(text.Length);
            return Text.Of(right) is { } other && text == other;
        }

        if (left is UndefinedValue)
        {
            return right is UndefinedValue;
        }

        if (left is bool or BigInteger or double)
        {
            return right is bool or BigInteger or double && CompareNumbers(left, right) == 0;
        }

        return (left, right) switch
        {
            (ListValue one, ListValue two) => EqualItems(renderer, one.Items, two.Items),
            (TupleValue one, TupleValue two) => EqualItems(renderer, one.Items, two.Items),
            (DictionaryValue one, DictionaryValue two) => EqualDictionaries(renderer, one, two),
            (RangeValue one, RangeValue two) => EqualRanges(one, two),
            (DictionaryView one, DictionaryView two) => EqualViews(renderer, one, two),
            _ => ReferenceEquals(left, right),
        };
    }

    /// <summary>Python's <c>&lt;</c>.</summary>
    public static bool Less(Renderer renderer, object left, object right) => Order(renderer, left, right, "<") < 0;

    /// <summary>
    /// The order of two values: negative, zero or positive, or null for a comparison with NaN. An error if Python
    /// refuses to order the two types. </summary>
    public static int? Order(Renderer renderer, object left, object right, string operation)
    {
        renderer.Budget.Spend(1);
        if (left is UndefinedValue || right is UndefinedValue)
        {
            throw ((left as UndefinedValue) ?? (UndefinedValue)right).Use();
        }

        if (Text.Of(left) is { } text && Text.Of(right) is { } other)
        {
            renderer.Budget.SpendCharacters(Math.Min(text.Length, other.Length));
            return CodePoints.Compare(text, other);
        }

        if (left is bool or BigInteger or double && right is bool or BigInteger or double)
        {
            return CompareNumbers(left, right);
        }

        return (left, right) switch
        {
            (ListValue one, ListValue two) => OrderItems(renderer, one.Items, two.Items, operation),
            (TupleValue one, TupleValue two) => OrderItems(renderer, one.Items, two.Items, operation),
            _ => throw TemplateException.Type(
                $"'{operation}' not supported between instances of '{TypeNames.Of(left)}' and '{TypeNames.Of(right)}'"),
        };
    }

    /// <summary>Python's <c>in</c>.</summary>
    public static bool Contains(Renderer renderer, object container, object item)
    {
        switch (container)
        {
            case string or MarkupValue:
                var whole = Text.Of(container)!;
                var part = Text.Of(item) ?? throw TemplateException.Type(
                    $"'in <string>' requires string as left operand, not {TypeNames.Of(item)}");
                renderer.Budget.SpendCharacters(whole.Length + part.Length);
                return whole.Contains(part, StringComparison.Ordinal);
            case DictionaryValue dictionary:
                return dictionary.Items.ContainsKey(item);
            case DictionaryView { Part: DictionaryPart.Keys } view:
                return view.Dictionary.Items.ContainsKey(item);
            default:
                var items = Iteration.Find(renderer, container) ?? throw TemplateException.Type(
                    $"argument of type '{TypeNames.Of(container)}' is not iterable");
                return items.Any(candidate => Same(renderer, candidate, item));
        }
    }

    // Python's containers treat every item as equal to itself, even NaN.
    private static bool Same(Renderer renderer, object left, object right) =>
        ReferenceEquals(left, right) || Equal(renderer, left, right);

    private static int? CompareNumbers(object left, object right)
    {
        if (Numbers.Integer(left) is { } one && Numbers.Integer(right) is { } two)
        {
            return one.CompareTo(two);
        }

        if (left is double first && right is double second)
        {
            return double.IsNaN(first) || double.IsNaN(second) ? null : first.CompareTo(second);
        }

        return left is double number
            ? CompareMixed(number, Numbers.Integer(right)!.Value)
            : -CompareMixed((double)right, Numbers.Integer(left)!.Value);
    }

    private static int? CompareMixed(double number, BigInteger integer)
    {
        if (!double.IsFinite(number))
        {
            return double.IsNaN(number) ? null : Math.Sign(number);
        }

        var whole = new BigInteger(Math.Floor(number));
        var order = whole.CompareTo(integer);
        return order != 0 ? order : number > Math.Floor(number) ? 1 : 0;
    }

    private static bool EqualItems(Renderer renderer, IReadOnlyList<object> left, IReadOnlyList<object> right)
    {
        if (left.Count != right.Count)
        {
            return false;
        }

        renderer.Budget.Enter();
        var equal = true;
        for (var i = 0; equal && i < left.Count; i++)
        {
            equal = Same(renderer, left[i], right[i]);
        }

        renderer.Budget.Leave();
        return equal;
    }

    private static bool EqualDictionaries(Renderer renderer, DictionaryValue left, DictionaryValue right)
    {
        if (left.Items.Count != right.Items.Count)
        {
            return false;
        }

        renderer.Budget.Enter();
        var equal = left.Items.All(pair =>
            right.Items.TryGetValue(pair.Key, out var value) && Same(renderer, pair.Value, value));
        renderer.Budget.Leave();
        return equal;
    }

    // Keys and items compare as sets; values only with themselves.
    private static bool EqualViews(Renderer renderer, DictionaryView left, DictionaryView right) =>
        left.Part != DictionaryPart.Values && right.Part == left.Part
        && left.Dictionary.Items.Count == right.Dictionary.Items.Count
        && left.Items.All(item => Contains(renderer, right, item));

    private static bool EqualRanges(RangeValue left, RangeValue right) => left.Count == right.Count
        && (left.Count == 0 || (left.Start == right.Start && (left.Count == 1 || left.Step == right.Step)));

    private static int? OrderItems(
        Renderer renderer, IReadOnlyList<object> left, IReadOnlyList<object> right, string operation)
    {
        renderer.Budget.Enter();
        int? order = left.Count - right.Count;
        for (var i = 0; i < Math.Min(left.Count, right.Count); i++)
        {
            if (!Same(renderer, left[i], right[i]))
            {
                order = Order(renderer, left[i], right[i], operation);
                break;
            }
        }

        renderer.Budget.Leave();
        return order;
    }
}

/// <summary>Equality of dictionary keys as in Python: 1, 1.0 and True are the same key; lists and dictionaries cannot
/// be keys.</summary>
internal sealed class ValueComparer(Renderer renderer) : IEqualityComparer<object>
{
    public new bool Equals(object? x, object? y) => Comparison.Equal(renderer, x!, y!);

    public int GetHashCode(object obj)
    {
        switch (obj)
        {
            case string text:
                return Hash(text);
            case MarkupValue markup:
                return Hash(markup.Text);
            case bool boolean:
                return (boolean ? BigInteger.One : BigInteger.Zero).GetHashCode();
            case double number when double.IsInteger(number):
                return new BigInteger(number).GetHashCode();
            case TupleValue tuple:
                return HashItems(tuple);
            case ListValue or DictionaryValue:
                throw TemplateException.Type($"unhashable type: '{TypeNames.Of(obj)}'");
            case UndefinedValue:
                return 0;
            case BigInteger or double:
                return obj.GetHashCode();
            default:
                return System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(obj);
        }
    }

    private int Hash(string text)
    {
        renderer.Budget.SpendCharacters(text.Length);
        return text.GetHashCode(StringComparison.Ordinal);
    }

    private int HashItems(TupleValue tuple)
    {
        renderer.Budget.Enter();
        var hash = new HashCode();
        foreach (var item in tuple.Items)
        {
            renderer.Budget.Spend(1);
            hash.Add(GetHashCode(item));
        }

        renderer.Budget.Leave();
        return hash.ToHashCode();
    }
}

/// <summary>Python's stable sort.</summary>
internal static class Sorting
{
    /// <summary>Sorts items by their keys; items with equal keys keep their order, also in descending sorts.</summary>
    public static List<object> Sort(
        Renderer renderer, IEnumerable<object> items, Func<object, object> key, bool descending = false)
    {
        var entries = items.Select(item => (Key: key(item), Item: item)).ToArray();
        var buffer = new (object Key, object Item)[entries.Length];
        Sort(entries, buffer, 0, entries.Length, (left, right) => descending
            ? Comparison.Less(renderer, right, left)
            : Comparison.Less(renderer, left, right));
        return [.. entries.Select(entry => entry.Item)];
    }

    private static void Sort(
        (object Key, object Item)[] entries, (object Key, object Item)[] buffer, int start, int end,
        Func<object, object, bool> less)
    {
        if (end - start < 2)
        {
            return;
        }

        var middle = start + ((end - start) / 2);
        Sort(entries, buffer, start, middle, less);
        Sort(entries, buffer, middle, end, less);
        var left = start;
        var right = middle;
        for (var i = start; i < end; i++)
        {
            // Takes the left item unless the right one is less, which keeps equal keys in order.
            var takeRight = left == middle || (right < end && less(entries[right].Key, entries[left].Key));
            buffer[i] = takeRight ? entries[right++] : entries[left++];
        }

        Array.Copy(buffer, start, entries, start, end - start);
    }
}

/// <summary>Truth of values.</summary>
internal static class Truth
{
    /// <summary>Whether a value counts as true in a condition.</summary>
    public static bool Of(Renderer renderer, object value) => value switch
    {
        bool boolean => boolean,
        None or UndefinedValue => false,
        string text => text.Length > 0,
        MarkupValue markup => markup.Text.Length > 0,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        LoopValue loop => loop.Length(renderer) > 0,
        _ => Iteration.Length(renderer, value) is not 0,
    };
}
