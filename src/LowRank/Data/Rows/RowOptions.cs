namespace LowRank.Data.Rows;

/// <summary>How rows are read.</summary>
public sealed record RowOptions
{
    /// <summary>What becomes of rows that cannot be used. Default: <see cref="BadRows.Error"/>.</summary>
    public BadRows OnBadRow { get; init; } = BadRows.Error;

    /// <summary>The data's names of fields by those that the task reads, such as prompt by question. Default: none.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>The user's own words around the fields; null takes the rows' form.</summary>
    public RowTemplate? Template { get; init; }

    /// <summary>What plain text means. Default: <see cref="PlainText.Pairs"/>.</summary>
    public PlainText Text { get; init; } = PlainText.Pairs;

    /// <summary>Whether a row that was there before is left out: by what is learned of texts, by every field in other tasks. Default: false.</summary>
    public bool Deduplicate { get; init; }
}
