using System.Numerics;

namespace LowRank.Jinja;

/// <summary>Jinja's <c>loop</c>. Looks ahead only if the template needs it, as the reference does.</summary>
internal sealed class LoopValue
{
    private readonly object _iterable;
    private IEnumerator<object> _items;
    private object? _before;
    private object? _current;
    private object? _after;
    private long? _length;
    private TupleValue? _lastChanged;

    /// <param name="renderer">The rendering.</param>
    /// <param name="iterable">The iterated value.</param>
    /// <param name="recurse">Renders the loop again for other items; null if the loop is not recursive.</param>
    /// <param name="depth">The depth of a recursive loop, from 0.</param>
    public LoopValue(Renderer renderer, object iterable, Func<Renderer, Arguments, object>? recurse, int depth)
    {
        _iterable = iterable;
        _items = Iteration.Of(renderer, iterable).GetEnumerator();
        Recurse = recurse;
        Depth = depth;
    }

    /// <summary>Renders the loop again for other items; null if the loop is not recursive.</summary>
    public Func<Renderer, Arguments, object>? Recurse { get; }

    /// <summary>The depth of a recursive loop, from 0.</summary>
    public int Depth { get; }

    /// <summary>The index of the current item, from 0.</summary>
    public long Index { get; private set; } = -1;

    /// <summary>Whether the current item is the last one.</summary>
    public bool IsLast => Peek() is null;

    /// <summary>The item before the current one.</summary>
    public object Previous => Index == 0 || _before is null ? new UndefinedValue("there is no previous item") : _before;

    /// <summary>The item after the current one.</summary>
    public object Following => Peek() ?? new UndefinedValue("there is no next item");

    /// <summary>Goes to the next item.</summary>
    public bool MoveNext(out object item)
    {
        var next = Peek();
        item = next ?? None.Value;
        if (next is null)
        {
            return false;
        }

        _after = null;
        _before = _current;
        _current = next;
        Index++;
        return true;
    }

    /// <summary>The number of items; reads a generator to its end.</summary>
    public long Length(Renderer renderer)
    {
        if (_length is { } known)
        {
            return known;
        }

        if (Iteration.Length(renderer, _iterable) is { } length)
        {
            return (_length = length).Value;
        }

        var rest = new List<object>();
        while (_items.MoveNext())
        {
            rest.Add(_items.Current);
        }

        _items = rest.GetEnumerator();
        return (_length = rest.Count + Index + 1 + (_after is null ? 0 : 1)).Value;
    }

    /// <summary>Whether the values differ from those of the previous call.</summary>
    public bool Changed(Renderer renderer, IReadOnlyList<object> values)
    {
        var now = new TupleValue(values);
        if (_lastChanged is not null && Comparison.Equal(renderer, _lastChanged, now))
        {
            return false;
        }

        _lastChanged = now;
        return true;
    }

    private object? Peek() => _after ??= _items.MoveNext() ? _items.Current : null;
}

/// <summary>The attributes of <c>loop</c>.</summary>
internal static class LoopMembers
{
    /// <summary>An attribute, or null if there is none with that name.</summary>
    public static object? Find(Renderer renderer, LoopValue loop, string name) => name switch
    {
        "index" => new BigInteger(loop.Index + 1),
        "index0" => new BigInteger(loop.Index),
        "revindex" => new BigInteger(loop.Length(renderer) - loop.Index),
        "revindex0" => new BigInteger(loop.Length(renderer) - loop.Index - 1),
        "first" => loop.Index == 0,
        "last" => loop.IsLast,
        "length" => new BigInteger(loop.Length(renderer)),
        "depth" => new BigInteger(loop.Depth + 1),
        "depth0" => new BigInteger(loop.Depth),
        "previtem" => loop.Previous,
        "nextitem" => loop.Following,
        "cycle" => new FunctionValue(name, (_, arguments) => Cycle(loop, arguments)),
        "changed" => new FunctionValue(name, (inner, arguments) => loop.Changed(inner, arguments.Positional)),
        _ => null,
    };

    private static object Cycle(LoopValue loop, Arguments arguments) => arguments.Positional.Count == 0
        ? throw TemplateException.Type("no items for cycling given")
        : arguments.Positional[(int)(loop.Index % arguments.Positional.Count)];
}
