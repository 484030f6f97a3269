using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The filters that take from sequences or cut them.</summary>
internal static class SequenceFilters
{
    // A list takes as much room as several items.
    private const int ListCost = 8;

    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["default"] = Default,
        ["d"] = Default,
        ["first"] = First,
        ["last"] = Last,
        ["list"] = List,
        ["items"] = Items,
        ["reverse"] = Reverse,
        ["batch"] = Batch,
        ["slice"] = Slice,
        ["attr"] = Attribute,
    };

    private static object Default(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("default", 0, "default_value", "boolean");
        var replacesFalse = values[1] is not null && Truth.Of(renderer, values[1]!);
        return value is UndefinedValue || (replacesFalse && !Truth.Of(renderer, value)) ? values[0] ?? "" : value;
    }

    private static object First(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("first", 0, 0);
        return Iteration.Of(renderer, value).FirstOrDefault() ?? new UndefinedValue("No first item, sequence was empty");
    }

    private static object Last(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("last", 0, 0);
        var items = Iteration.Reversed(renderer, value)
            ?? throw TemplateFault.Type($"'{TypeNames.Of(value)}' object is not reversible; the filter 'list' makes it so");
        return items.FirstOrDefault() ?? new UndefinedValue("No last item, sequence was empty");
    }

    private static object List(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("list", 0, 0);
        return new ListValue(Iteration.List(renderer, value));
    }

    private static object Items(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("items", 0, 0);
        return IteratorValue.Generator(value switch
        {
            UndefinedValue => [],
            DictionaryValue dictionary => new DictionaryView(dictionary, DictionaryPart.Items).Items,
            _ => Fault(TemplateFault.Type("Can only get item pairs from a mapping")),
        });
    }

    // Generators fail when they are read, not when they are made.
    private static IEnumerable<object> Fault(TemplateFault fault)
    {
        yield return fault is null ? None.Value : throw fault;
    }

    private static object Reverse(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("reverse", 0, 0);
        if (Text.Of(value) is { } text)
        {
            var reversed = CodePoints.Slice(text, SliceRange.Resolve(CodePoints.Length(text), null, null, -1));
            return value is MarkupValue ? new MarkupValue(reversed) : reversed;
        }

        if (Iteration.Reversed(renderer, value) is { } items)
        {
            var type = value switch
            {
                ListValue => "list_reverseiterator",
                RangeValue => "range_iterator",
                DictionaryValue => "dict_reversekeyiterator",
                _ => "reversed",
            };
            return new IteratorValue(type, items.GetEnumerator());
        }

        var list = Iteration.List(renderer, value);
        list.Reverse();
        return new ListValue(list);
    }

    private static object Batch(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("batch", 1, "linecount", "fill_with");
        return IteratorValue.Generator(Batches(renderer, value, values[0]!, values[1]));
    }

    private static IEnumerable<object> Batches(Renderer renderer, object value, object size, object? fill)
    {
        var count = Numbers.Index(size, "the linecount of batch");
        var batch = new List<object>();
        foreach (var item in Iteration.Of(renderer, value))
        {
            if (batch.Count == count)
            {
                yield return new ListValue(batch);
                batch = [];
            }

            batch.Add(item);
        }

        if (batch.Count > 0)
        {
            if (fill is not (null or None) && batch.Count < count)
            {
                renderer.Budget.Spend(count - batch.Count);
                batch.AddRange(Enumerable.Repeat(fill, (int)(count - batch.Count)));
            }

            yield return new ListValue(batch);
        }
    }

    private static object Slice(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("slice", 1, "slices", "fill_with");
        return IteratorValue.Generator(Slices(renderer, value, values[0]!, values[1]));
    }

    private static IEnumerable<object> Slices(Renderer renderer, object value, object number, object? fill)
    {
        var slices = Numbers.Index(number, "the number of slices");
        var items = Iteration.List(renderer, value);
        if (slices == 0)
        {
            throw new TemplateFault("ZeroDivisionError: the filter 'slice' cannot make 0 slices");
        }

        var start = 0;
        for (long i = 0; i < slices; i++)
        {
            renderer.Budget.Spend(ListCost);
            var hasExtra = i < items.Count % slices;
            var count = (int)(items.Count / slices) + (hasExtra ? 1 : 0);
            var slice = items.GetRange(start, count);
            start += count;
            if (fill is not (null or None) && !hasExtra)
            {
                slice.Add(fill);
            }

            yield return new ListValue(slice);
        }
    }

    // Unlike value.name this never falls back to the element of that name.
    private static object Attribute(Renderer renderer, object value, Arguments arguments)
    {
        var name = TextArgument.Require(arguments.Bind("attr", 1, "name")[0]!, "attr");
        return Members.Find(renderer, value, name) ?? UndefinedValue.Member(value, name);
    }
}
