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

    /// <summary>How tables in text are written (CSV, TSV).</summary>
    public TableOptions Csv { get; init; } = new();

    /// <summary>Whether a row that was there before is left out: by what is learned of texts, by every field in other tasks. Default: false.</summary>
    public bool Deduplicate { get; init; }

    /// <summary>Whether rows are to be answered: columns and templates of what only an answer needs may then name fields that rows lack.
    /// Default: false.</summary>
    public bool Unanswered { get; init; }
}

/// <summary>How tables in text are written.</summary>
public sealed record TableOptions
{
    /// <summary>The word for a separator that the file tells.</summary>
    public const string Auto = "auto";

    private const string Tab = "tab";

    /// <summary>What parts the columns, a character of ASCII; null lets the file tell. Default: null.</summary>
    public char? Separator { get; init; }

    /// <summary>Whether the first line names the columns; otherwise their names are 0, 1 and so on. Default: true.</summary>
    public bool Header { get; init; } = true;

    /// <summary>The separator as it is written in settings.</summary>
    internal string SeparatorWord => Separator switch { null => Auto, '\t' => Tab, { } other => other.ToString() };

    /// <summary>Reads a separator: auto, tab, or a character.</summary>
    /// <exception cref="InputException">It is none.</exception>
    internal static char? ReadSeparator(string word) => word switch
    {
        Auto => null,
        Tab or "\\t" => '\t',
        [var only] when only is '\t' or (>= ' ' and < (char)127 and not '"') => only,
        _ => throw new InputException($"the separator is \"{word}\", expected auto, tab, or one character of ASCII such as ; that is no quote."),
    };
}
