namespace LowRank.Tokenization.Templates.Values;

/// <summary>A Python iterator or generator: gives its items once, one after the other, computing each when it is asked for.</summary>
/// <param name="TypeName">Python's name of the type, such as <c>generator</c>.</param>
/// <param name="Items">The items; begun once and continued by every later reader.</param>
internal sealed record IteratorValue(string TypeName, IEnumerator<object> Items)
{
    /// <summary>A generator, which is what most filters return.</summary>
    public static IteratorValue Generator(IEnumerable<object> items) => new("generator", items.GetEnumerator());

    /// <summary>The items that are left.</summary>
    public IEnumerable<object> Rest()
    {
        while (Items.MoveNext())
        {
            yield return Items.Current;
        }
    }
}
