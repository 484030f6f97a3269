namespace LowRank.Tokenization.Templates.Values;

/// <summary>Jinja's <c>cycler</c>: gives its items in turn, beginning again after the last.</summary>
internal sealed class CyclerValue(IReadOnlyList<object> items)
{
    private int _position;

    /// <summary>The item that comes next.</summary>
    public object Current => items[_position];

    /// <summary>Gives an item and goes on to the next one.</summary>
    public object Next()
    {
        var item = Current;
        _position = (_position + 1) % items.Count;
        return item;
    }

    /// <summary>Begins again.</summary>
    public void Reset() => _position = 0;
}
