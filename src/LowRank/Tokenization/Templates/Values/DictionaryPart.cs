namespace LowRank.Tokenization.Templates.Values;

/// <summary>Which part of a dictionary a view shows.</summary>
internal enum DictionaryPart
{
    /// <summary><c>keys()</c>.</summary>
    Keys,

    /// <summary><c>values()</c>.</summary>
    Values,

    /// <summary><c>items()</c>: tuples of key and value.</summary>
    Items,
}
