namespace LowRank.Jinja;

/// <summary>The filters that take items from sequences or split them.</summary>
internal static class SequenceFilters
{
    // A list takes as much memory as several items.
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
        return Iteration.Of(renderer, value).FirstOrDefault()
            ?? new UndefinedValue("No first item, sequence was empty");
    }

    private static object Last(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("last", 0, 0);
        var items = Iteration.Reversed(renderer, value)
            ?? throw TemplateException.Type(
                $"'{TypeNames.Of(value)}' object is not reversible; the filter 'list' makes it so");
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
            _ => Fault(TemplateException.Type("Can only get item pairs from a mapping")),
        });
    }

    // Generators fail when they are read, not when they are created.
    private static IEnumerable<object> Fault(TemplateException fault)
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
            throw new TemplateException("ZeroDivisionError: the filter 'slice' cannot make 0 slices");
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

    // Unlike value.name, this never falls back to the element with that name.
    private static object Attribute(Renderer renderer, object value, Arguments arguments)
    {
        var name = TextArgument.Require(arguments.Bind("attr", 1, "name")[0]!, "attr");
        return Members.Find(renderer, value, name) ?? UndefinedValue.Member(value, name);
    }
}

/// <summary>The filters that apply a test or a filter to every item. They are lazy: an item is evaluated when it is
/// requested.</summary>
internal static class SelectionFilters
{
    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["map"] = (renderer, value, arguments) => IteratorValue.Generator(Map(renderer, value, arguments)),
        ["select"] = Selection(false, true),
        ["reject"] = Selection(false, false),
        ["selectattr"] = Selection(true, true),
        ["rejectattr"] = Selection(true, false),
    };

    private static IEnumerable<object> Map(Renderer renderer, object value, Arguments arguments)
    {
        if (!Truth.Of(renderer, value))
        {
            yield break;
        }

        var map = Mapping(renderer, arguments);
        foreach (var item in Iteration.Of(renderer, value))
        {
            yield return map(item);
        }
    }

    private static Func<object, object> Mapping(Renderer renderer, Arguments arguments)
    {
        if (arguments.Positional.Count == 0 && arguments.Named.Any(argument => argument.Key == "attribute"))
        {
            var values = arguments.Bind("map", 0, "attribute", "default");
            return AttributePath.Reader(renderer, values[0], values[1]);
        }

        if (arguments.Positional.Count == 0)
        {
            throw new TemplateException("the filter 'map' requires the name of a filter, or attribute=");
        }

        var name = TextArgument.Require(arguments.Positional[0], "map");
        var rest = arguments with { Positional = [.. arguments.Positional.Skip(1)] };
        return item => FilterTable.Apply(renderer, name, item, rest);
    }

    private static FilterFunction Selection(bool byAttribute, bool expected) => (renderer, value, arguments) =>
        IteratorValue.Generator(Select(renderer, value, arguments, byAttribute, expected));

    private static IEnumerable<object> Select(
        Renderer renderer, object value, Arguments arguments, bool byAttribute, bool expected)
    {
        if (!Truth.Of(renderer, value))
        {
            yield break;
        }

        var passes = Condition(renderer, arguments, byAttribute);
        foreach (var item in Iteration.Of(renderer, value))
        {
            if (passes(item) == expected)
            {
                yield return item;
            }
        }
    }

    private static Func<object, bool> Condition(Renderer renderer, Arguments arguments, bool byAttribute)
    {
        var used = byAttribute ? 1 : 0;
        if (arguments.Positional.Count < used)
        {
            throw new TemplateException("the name of the attribute is missing");
        }

        var read = AttributePath.Reader(renderer, byAttribute ? arguments.Positional[0] : null);
        if (arguments.Positional.Count == used)
        {
            return item => Truth.Of(renderer, read(item));
        }

        var name = TextArgument.Require(arguments.Positional[used], "select");
        var rest = arguments with { Positional = [.. arguments.Positional.Skip(used + 1)] };
        return item => TestTable.Apply(renderer, name, read(item), rest);
    }
}

/// <summary>The filters that sort, group or select items.</summary>
internal static class OrderFilters
{
    private static readonly string[] GroupNames = ["grouper", "list"];

    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["sort"] = Sort,
        ["dictsort"] = DictionarySort,
        ["unique"] = Unique,
        ["groupby"] = GroupBy,
        ["min"] = (renderer, value, arguments) => Extreme(renderer, value, arguments, "min", false),
        ["max"] = (renderer, value, arguments) => Extreme(renderer, value, arguments, "max", true),
    };

    private static object Sort(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("sort", 0, "reverse", "case_sensitive", "attribute");
        var key = AttributePath.KeyReader(renderer, values[2], IsTrue(renderer, values[1]));
        return new ListValue(Sorting.Sort(renderer, Iteration.Of(renderer, value), key, IsTrue(renderer, values[0])));
    }

    private static object DictionarySort(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("dictsort", 0, "case_sensitive", "by", "reverse");
        var place = values[1] is null ? 0 : Text.Of(values[1]!) switch
        {
            "key" => 0,
            "value" => 1,
            _ => throw new TemplateException("the filter 'dictsort' sorts by \"key\" or \"value\""),
        };
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        var dictionary = value as DictionaryValue
            ?? throw TemplateException.Type($"the filter 'dictsort' needs a dictionary, not {TypeNames.Of(value)}");
        var caseSensitive = IsTrue(renderer, values[0]);
        return new ListValue(Sorting.Sort(
            renderer,
            new DictionaryView(dictionary, DictionaryPart.Items).Items,
            item => AttributePath.Fold(((TupleValue)item).Items[place], caseSensitive),
            IsTrue(renderer, values[2])));
    }

    private static object Unique(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("unique", 0, "case_sensitive", "attribute");
        return IteratorValue.Generator(Unique(renderer, value, values[1], IsTrue(renderer, values[0])));
    }

    private static IEnumerable<object> Unique(Renderer renderer, object value, object? attribute, bool caseSensitive)
    {
        var read = AttributePath.Reader(renderer, attribute);
        var seen = new HashSet<object>(renderer.Keys);
        foreach (var item in Iteration.Of(renderer, value))
        {
            if (seen.Add(AttributePath.Fold(read(item), caseSensitive)))
            {
                yield return item;
            }
        }
    }

    private static object GroupBy(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("groupby", 1, "attribute", "default", "case_sensitive");
        var read = AttributePath.Reader(renderer, values[0], values[1]);
        var caseSensitive = IsTrue(renderer, values[2]);
        var groups = new List<(object Key, List<object> Items)>();
        foreach (var item in Sorting.Sort(
            renderer, Iteration.Of(renderer, value), item => AttributePath.Fold(read(item), caseSensitive)))
        {
            var key = AttributePath.Fold(read(item), caseSensitive);
            if (groups.Count == 0 || !Comparison.Equal(renderer, groups[^1].Key, key))
            {
                groups.Add((key, []));
            }

            groups[^1].Items.Add(item);
        }

        // The key is that of the first item in its group.
        return new ListValue([.. groups.Select(group =>
            new TupleValue([read(group.Items[0]), new ListValue(group.Items)], GroupNames))]);
    }

    private static object Extreme(Renderer renderer, object value, Arguments arguments, string name, bool largest)
    {
        var values = arguments.Bind(name, 0, "case_sensitive", "attribute");
        var read = AttributePath.Reader(renderer, values[1]);
        object? best = null;
        object? bestKey = null;
        foreach (var item in Iteration.Of(renderer, value))
        {
            var key = AttributePath.Fold(read(item), IsTrue(renderer, values[0]));
            if (bestKey is null || (largest
                ? Comparison.Less(renderer, bestKey, key)
                : Comparison.Less(renderer, key, bestKey)))
            {
                (best, bestKey) = (item, key);
            }
        }

        return best ?? new UndefinedValue("No aggregated item, sequence was empty");
    }

    private static bool IsTrue(Renderer renderer, object? flag) => flag is not null && Truth.Of(renderer, flag);
}
