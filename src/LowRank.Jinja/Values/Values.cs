using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>Python's <c>None</c>.</summary>
internal sealed class None
{
    private None() { }

    /// <summary>The only value.</summary>
    public static None Value { get; } = new();
}

/// <summary>
/// The value of a name, attribute or element that does not exist: it prints as nothing, is false and empty, and any
/// other use is an error. </summary>
/// <param name="Problem">The message of the error.</param>
internal sealed record UndefinedValue(string Problem)
{
    /// <summary>A variable that is not set.</summary>
    public static UndefinedValue Variable(string name) => new($"{Display.Quote(name)} is undefined");

    /// <summary>An attribute or element that a value lacks.</summary>
    public static UndefinedValue Member(object owner, object key)
    {
        var type = owner is None ? "None" : TypeNames.Of(owner) + " object";
        return Text.Of(key) is { } name
            ? new UndefinedValue($"'{type}' has no attribute {Display.Quote(name)}")
            : new UndefinedValue($"{type} has no element {Display.Brief(key)}");
    }

    /// <summary>An attribute that the sandbox does not allow.</summary>
    public static UndefinedValue Unsafe(object owner, string name) =>
        new($"access to attribute {Display.Quote(name)} of '{TypeNames.Of(owner)}' object is unsafe");

    /// <summary>The error for using the value.</summary>
    public TemplateException Use() => new(Problem);
}

/// <summary>Reads values as text.</summary>
internal static class Text
{
    /// <summary>The text of a string or markup, or null for any other value.</summary>
    public static string? Of(object value) => value switch
    {
        string text => text,
        MarkupValue markup => markup.Text,
        _ => null,
    };
}

/// <summary>
/// Text that the filters <c>safe</c> and <c>escape</c> declare to be HTML (markupsafe's <c>Markup</c>): text added to
/// it is escaped, even if the template's own output is not. </summary>
internal sealed record MarkupValue(string Text)
{
    /// <summary>Escapes text as HTML.</summary>
    public static string Escape(string text)
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var character in text)
        {
            _ = character switch
            {
                '&' => result.Append("&amp;"),
                '<' => result.Append("&lt;"),
                '>' => result.Append("&gt;"),
                '\'' => result.Append("&#39;"),
                '"' => result.Append("&#34;"),
                _ => result.Append(character),
            };
        }

        return result.ToString();
    }
}

/// <summary>A Python list; the sandbox does not let templates change it.</summary>
internal sealed record ListValue(IReadOnlyList<object> Items);

/// <summary>A Python tuple.</summary>
/// <param name="Items">The items.</param>
/// <param name="Names">Attribute names of the items, if it is a named tuple.</param>
internal sealed record TupleValue(IReadOnlyList<object> Items, IReadOnlyList<string>? Names = null);

/// <summary>A Python dictionary: keeps the order of its keys; the sandbox does not let templates change it.</summary>
internal sealed class DictionaryValue(ValueComparer keys)
{
    /// <summary>The items in order.</summary>
    public OrderedDictionary<object, object> Items { get; } = new(keys);
}

/// <summary>The result of a dictionary's <c>keys()</c>, <c>values()</c> and <c>items()</c>.</summary>
internal sealed record DictionaryView(DictionaryValue Dictionary, DictionaryPart Part)
{
    /// <summary>The items of the view.</summary>
    public IEnumerable<object> Items => Part switch
    {
        DictionaryPart.Keys => Dictionary.Items.Keys,
        DictionaryPart.Values => Dictionary.Items.Values,
        _ => Dictionary.Items.Select(pair => (object)new TupleValue([pair.Key, pair.Value])),
    };
}

/// <summary>The part of a dictionary that a view shows.</summary>
internal enum DictionaryPart
{
    /// <summary><c>keys()</c>.</summary>
    Keys,

    /// <summary><c>values()</c>.</summary>
    Values,

    /// <summary><c>items()</c>: tuples of key and value.</summary>
    Items,
}

/// <summary>A Python range; the sandbox allows no more than 100 000 numbers.</summary>
internal sealed record RangeValue(long Start, long Stop, long Step)
{
    /// <summary>The maximum number of numbers.</summary>
    public const int MaximumCount = 100_000;

    /// <summary>The number of numbers.</summary>
    public Int128 Count
    {
        get
        {
            var distance = Step > 0 ? (Int128)Stop - Start : (Int128)Start - Stop;
            return distance <= 0 ? 0 : ((distance - 1) / Int128.Abs(Step)) + 1;
        }
    }

    /// <summary>The number at an index.</summary>
    public long this[long index] => Start + (index * Step);
}

/// <summary>A Python iterator or generator: returns its items once, one after another, computing each on
/// request.</summary>
/// <param name="TypeName">Python's name of the type, such as <c>generator</c>.</param>
/// <param name="Items">The items; a later reader continues where the previous one stopped.</param>
internal sealed record IteratorValue(string TypeName, IEnumerator<object> Items)
{
    /// <summary>A generator, which is what most filters return.</summary>
    public static IteratorValue Generator(IEnumerable<object> items) => new("generator", items.GetEnumerator());

    /// <summary>The remaining items.</summary>
    public IEnumerable<object> Rest()
    {
        while (Items.MoveNext())
        {
            yield return Items.Current;
        }
    }
}

/// <summary>Jinja's <c>cycler</c>: returns its items in turn, starting again after the last.</summary>
internal sealed class CyclerValue(IReadOnlyList<object> items)
{
    private int _position;

    /// <summary>The next item.</summary>
    public object Current => items[_position];

    /// <summary>Returns an item and moves on to the next one.</summary>
    public object Next()
    {
        var item = Current;
        _position = (_position + 1) % items.Count;
        return item;
    }

    /// <summary>Starts again.</summary>
    public void Reset() => _position = 0;
}

/// <summary>Jinja's <c>namespace</c>: the only value whose attributes a template can assign.</summary>
internal sealed class NamespaceValue
{
    /// <summary>The attributes, in the order in which they were first set.</summary>
    public OrderedDictionary<string, object> Attributes { get; } = new(StringComparer.Ordinal);
}

/// <summary>Something callable: a global function, a method with its object, or the body of a call block.</summary>
/// <param name="Name">The name for messages.</param>
/// <param name="Call">The function to call.</param>
internal sealed record FunctionValue(string Name, Func<Renderer, Arguments, object> Call);

/// <summary>Python's names of the types, for messages.</summary>
internal static class TypeNames
{
    /// <summary>The name of a value's type.</summary>
    public static string Of(object value) => value switch
    {
        string => "str",
        MarkupValue => "Markup",
        bool => "bool",
        BigInteger => "int",
        double => "float",
        None => "NoneType",
        UndefinedValue => "Undefined",
        ListValue => "list",
        TupleValue => "tuple",
        DictionaryValue => "dict",
        DictionaryView { Part: DictionaryPart.Keys } => "dict_keys",
        DictionaryView { Part: DictionaryPart.Values } => "dict_values",
        DictionaryView => "dict_items",
        RangeValue => "range",
        IteratorValue iterator => iterator.TypeName,
        NamespaceValue => "Namespace",
        MacroValue => "Macro",
        LoopValue => "LoopContext",
        CyclerValue => "Cycler",
        _ => "builtin_function_or_method",
    };
}
