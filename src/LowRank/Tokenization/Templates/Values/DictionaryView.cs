namespace LowRank.Tokenization.Templates.Values;

/// <summary>What <c>keys()</c>, <c>values()</c> and <c>items()</c> of a dictionary return.</summary>
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
