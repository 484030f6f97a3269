namespace LowRank.Data.Forms;

/// <summary>One of the forms a row may have.</summary>
internal interface ISampleForm
{
    /// <summary>The form as messages show it.</summary>
    string Shape { get; }

    /// <summary>Keys that every row of the form has and no row of another.</summary>
    IReadOnlyList<string> Keys { get; }

    /// <summary>Further keys that belong to the form.</summary>
    IReadOnlyList<string> OptionalKeys { get; }

    /// <summary>Makes examples of a row that has all of <see cref="Keys"/>: one, or several of a conversation.</summary>
    /// <exception cref="InputException">The row is wrong; each problem without its place.</exception>
    IReadOnlyList<TokenizedExample> Tokenize(Sample sample);
}
