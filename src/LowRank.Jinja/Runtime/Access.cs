using System.Collections.Frozen;
using System.Globalization;
using System.Numerics;

namespace LowRank.Jinja;

/// <summary>Attributes, elements and slices as in jinja2's sandbox.</summary>
internal static class Access
{
    /// <summary><c>value.name</c>: the attribute, else the element with that name.</summary>
    public static object Attribute(Renderer renderer, object value, string name) =>
        Members.Find(renderer, value, name)
        ?? Element(renderer, value, name)
        ?? UndefinedValue.Member(value, name);

    /// <summary><c>value[key]</c>: the element, else, for a text key, the attribute with that name.</summary>
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
            throw TemplateException.Type($"'{TypeNames.Of(value)}' object cannot be sliced");
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

    // An element, or null if there is none or the value has no elements.
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

/// <summary>The attributes and methods of values that the immutable sandbox of Python lets templates use.</summary>
internal static class Members
{
    private static readonly FrozenSet<string> ListMutators = FrozenSet.ToFrozenSet(
        ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"]);

    private static readonly FrozenSet<string> DictionaryMutators = FrozenSet.ToFrozenSet(
        ["clear", "pop", "popitem", "setdefault", "update"]);

    /// <summary>The attribute or method of a value, or null if it has none with that name.</summary>
    public static object? Find(Renderer renderer, object value, string name)
    {
        if (name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal)
            && value is not DictionaryValue && (value is not UndefinedValue || name == "__class__"))
        {
            return UndefinedValue.Unsafe(value, name);
        }

        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        return value switch
        {
            string or MarkupValue => Method(TextMethods.Find(name), value, name),
            ListValue when ListMutators.Contains(name) => UndefinedValue.Unsafe(value, name),
            ListValue or TupleValue => OfSequence(value, name),
            DictionaryValue when DictionaryMutators.Contains(name) => UndefinedValue.Unsafe(value, name),
            DictionaryValue => Method(DictionaryMethods.Find(name), value, name),
            NamespaceValue space => OfNamespace(space, name),
            LoopValue loop => LoopMembers.Find(renderer, loop, name),
            CyclerValue cycler => OfCycler(cycler, name),
            MacroValue macro => OfMacro(macro, name),
            RangeValue range => OfRange(range, name),
            bool or BigInteger or double => NumberMethods.Find(value, name),
            _ => null,
        };
    }

    /// <summary>A method with its object.</summary>
    public static FunctionValue? Method(FilterFunction? method, object self, string name) => method is null
        ? null
        : new FunctionValue(name, (renderer, arguments) =>
        {
            Cost.Charge(renderer, self);
            return method(renderer, self, arguments);
        });

    private static object? OfSequence(object value, string name)
    {
        if (value is TupleValue { Names: { } names } tuple)
        {
            for (var i = 0; i < names.Count; i++)
            {
                if (names[i] == name)
                {
                    return tuple.Items[i];
                }
            }
        }

        return Method(SequenceMethods.Find(name, value is ListValue), value, name);
    }

    private static object? OfNamespace(NamespaceValue space, string name) =>
        !space.Attributes.TryGetValue(name, out var value) ? null
        : name.StartsWith('_') ? UndefinedValue.Unsafe(space, name)
        : value;

    private static object? OfCycler(CyclerValue cycler, string name) => name switch
    {
        "current" => cycler.Current,
        "next" => new FunctionValue(name, (_, _) => cycler.Next()),
        "reset" => new FunctionValue(name, (_, _) =>
        {
            cycler.Reset();
            return None.Value;
        }),
        _ => null,
    };

    private static object? OfMacro(MacroValue macro, string name) => name switch
    {
        "name" => macro.Definition.Name,
        "arguments" => new TupleValue([.. macro.Definition.Parameters.Select(parameter => parameter.Name)]),
        "catch_kwargs" => macro.Definition.UsesNamedRest,
        "catch_varargs" => macro.Definition.UsesPositionalRest,
        "caller" => macro.Definition.UsesCaller,
        _ => null,
    };

    private static object? OfRange(RangeValue range, string name) => name switch
    {
        "start" => new BigInteger(range.Start),
        "stop" => new BigInteger(range.Stop),
        "step" => new BigInteger(range.Step),
        _ => Method(SequenceMethods.Find(name, false), range, name),
    };
}

/// <summary>Reads the attribute that a filter names: names separated by dots; numbers are indexes.</summary>
internal static class AttributePath
{
    /// <summary>A function that reads the attribute of an item.</summary>
    /// <param name="renderer">The rendering.</param>
    /// <param name="attribute">The path; without one, the item itself.</param>
    /// <param name="missing">The replacement for an undefined value on the path, or null.</param>
    public static Func<object, object> Reader(Renderer renderer, object? attribute, object? missing = null)
    {
        var parts = Parts(attribute);
        return item =>
        {
            foreach (var part in parts)
            {
                renderer.Budget.Spend(1);
                item = Access.Item(renderer, item, part);
                if (item is UndefinedValue && missing is not (null or None))
                {
                    item = missing;
                }
            }

            return item;
        };
    }

    /// <summary>A function that reads an item's sort keys; several paths are separated by commas.</summary>
    public static Func<object, object> KeyReader(Renderer renderer, object? attribute, bool caseSensitive)
    {
        var paths = attribute is not null && Text.Of(attribute) is { } text
            ? text.Split(',').Select(path => Reader(renderer, path)).ToList()
            : [Reader(renderer, attribute)];
        return item => new TupleValue([.. paths.Select(read => Fold(read(item), caseSensitive))]);
    }

    /// <summary>Text in lower case, unless case matters; any other value unchanged.</summary>
    public static object Fold(object value, bool caseSensitive) =>
        !caseSensitive && Text.Of(value) is { } text ? CaseMapping.Lower(text) : value;

    private static List<object> Parts(object? attribute)
    {
        if (attribute is null or None)
        {
            return [];
        }

        return Text.Of(attribute) is not { } path
            ? [attribute]
            : [.. path.Split('.').Select(object (part) => part.Length is > 0 and < 19 && part.All(char.IsAsciiDigit)
                ? BigInteger.Parse(part, CultureInfo.InvariantCulture)
                : part)];
    }
}

/// <summary>The positions that a slice takes from a sequence of known length.</summary>
/// <param name="Start">The first position, if there is one.</param>
/// <param name="Stop">The exclusive end.</param>
/// <param name="Step">The distance between positions.</param>
/// <param name="Count">The number of positions.</param>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
internal readonly record struct SliceRange(long Start, long Stop, long Step, long Count)
{
    /// <summary>Resolves the bounds as Python does: negative bounds count from the end, bounds outside are
    /// clamped.</summary>
    public static SliceRange Resolve(long length, long? start, long? stop, long step)
    {
        if (step == 0)
        {
            throw TemplateException.Value("slice step cannot be zero");
        }

        var lower = step > 0 ? 0 : -1;
        var upper = step > 0 ? length : length - 1;
        var first = Clamp(start, length, lower, upper) ?? (step > 0 ? lower : upper);
        var end = Clamp(stop, length, lower, upper) ?? (step > 0 ? upper : lower);
        var distance = step > 0 ? end - first : first - end;
        var count = distance <= 0 ? 0 : ((distance - 1) / Math.Abs(step)) + 1;
        return new SliceRange(first, end, step, count);
    }

    private static long? Clamp(long? bound, long length, long lower, long upper) => bound is not { } value
        ? null
        : Math.Clamp(value < 0 ? value + length : value, lower, Math.Max(lower, upper));
}
