using System.Text.Json.Nodes;
using LowRank.Data.Forms.Foreign;

namespace LowRank.Data.Rows;

/// <summary>Rows that can be read again and again, each time from their beginning, in memory that does not grow with
/// them.</summary>
/// <remarks>Files are read by their names: <c>.jsonl</c>, <c>.ndjson</c>, <c>.json</c>, <c>.csv</c>, <c>.tsv</c>,
/// <c>.parquet</c>, <c>.txt</c>, and any other name as JSON Lines; compressed by gzip, zstd or bzip2 too, which the
/// first bytes tell.</remarks>
public sealed class RowSource
{
    private RowSource(IReadOnlyList<string> paths, RowOptions options, RowSplit? split) =>
        (Paths, Options, Split) = (paths, options, split);

    /// <summary>Rows that a program holds; null where they stand in files.</summary>
    internal IReadOnlyList<JsonObject>? Held { get; private init; }

    /// <summary>Files, folders and patterns, as they were given.</summary>
    public IReadOnlyList<string> Paths { get; }

    /// <summary>How they are read.</summary>
    public RowOptions Options { get; }

    /// <summary>Which of the rows are taken; null for all.</summary>
    public RowSplit? Split { get; }

    /// <summary>Rows of files.</summary>
    /// <param name="paths">At least one: files; folders, with those below; patterns with *, ** and ?.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="split">Which of them; null for all.</param>
    public static RowSource Of(IReadOnlyList<string> paths, RowOptions? options = null, RowSplit? split = null)
    {
        if (paths.Count == 0) throw new ArgumentException("There is no file to read.", nameof(paths));
        return new RowSource(paths, options ?? new RowOptions(), split);
    }

    /// <summary>Rows of a program; messages call the first "rows, row 1".</summary>
    /// <param name="rows">Their fields; they are not changed.</param>
    /// <param name="options">How they are read; null for the defaults.</param>
    internal static RowSource Of(IReadOnlyList<JsonObject> rows, RowOptions? options = null) =>
        new(["rows"], options ?? new RowOptions(), split: null) { Held = rows };

    /// <summary>The same source, split.</summary>
    public RowSource With(RowSplit? split) => new(Paths, Options, split) { Held = Held };

    /// <summary>Begins to read.</summary>
    /// <param name="foreign">Whether forms that other programs' data has are recognised.</param>
    internal RowReading Reading(bool foreign) => new(this, foreign);

    /// <summary>All rows, in their order.</summary>
    /// <param name="foreign">Whether forms that other programs' data has are recognised.</param>
    /// <exception cref="InputException">Files or rows that cannot be read: all at once.</exception>
    internal IReadOnlyList<Sample> ReadAll(bool foreign)
    {
        RowReading reading = Reading(foreign);
        List<Sample> samples = [.. reading.Rows()];
        reading.Problems.ThrowIfAny();
        return samples;
    }
}

/// <summary>How rows are read.</summary>
public sealed record RowOptions
{
    /// <summary>What becomes of rows that cannot be used. Default: <see cref="BadRows.Error"/>.</summary>
    public BadRows OnBadRow { get; init; } = BadRows.Error;

    /// <summary>The data's names of fields by those that the task reads, such as prompt by question. Default:
    /// none.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>The user's own words around the fields; null takes the rows' form.</summary>
    public RowTemplate? Template { get; init; }

    /// <summary>What plain text means. Default: <see cref="PlainText.Pairs"/>.</summary>
    public PlainText Text { get; init; } = PlainText.Pairs;

    /// <summary>How tables in text are written (CSV, TSV).</summary>
    public TableOptions Csv { get; init; } = new();

    /// <summary>Whether a row that was there before is left out: by what is learned of texts, by every field in other
    /// tasks. Default: false.</summary>
    public bool Deduplicate { get; init; }

    /// <summary>Whether rows are to be answered: columns and templates of what only an answer needs may then name
    /// fields that rows lack. Default: false.</summary>
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

    /// <summary>Whether the first line names the columns; otherwise their names are 0, 1 and so on. Default:
    /// true.</summary>
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
        _ => throw new InputException(
            $"the separator is \"{word}\", expected auto, tab, or one character of ASCII such as ; that is no quote."),
    };
}

/// <summary>One pass over a source, and what was met on the way.</summary>
internal sealed class RowReading(RowSource source, bool foreign)
{
    private readonly ForeignForms forms = new();
    private readonly KnownColumns columns = new();
    private readonly HashSet<UInt128> seen = [];
    private readonly List<string> notes = [];
    private long duplicates;

    /// <summary>What is wrong.</summary>
    public DataProblems Problems { get; } = new(source.Options.OnBadRow);

    /// <summary>What the user should know, a sentence each.</summary>
    public IReadOnlyList<string> Notes
    {
        get
        {
            List<string> all = [.. notes, .. forms.Notes, .. columns.Notes];
            if (duplicates > 0)
                all.Add($"{(duplicates == 1 ? "1 row was" : $"{duplicates} rows were")} there before and left out " +
                    "(data.deduplicate).");
            return [.. all, .. Problems.Notes];
        }
    }

    /// <summary>The rows in their order; wrong ones are noted and passed over.</summary>
    public IEnumerable<Sample> Rows() => Unread().Select(Finish).OfType<Sample>();

    /// <summary>The rows as they are found in the files, before anything is done with them.</summary>
    public IEnumerable<UnreadRow> Unread() => source.Held is { } held
        ? held.Select((row, number) => new ReadRow(
            new DataPlace(source.Paths[0], number + 1) { IsRow = true }, row.DeepClone().AsObject()))
        : RowFiles.Expand(source.Paths, Problems, notes).SelectMany(Unread);

    /// <summary>A row with everything done that the source asks for.</summary>
    /// <returns>Null where it is wrong, which is noted, or left out.</returns>
    public Sample? Finish(UnreadRow unread)
    {
        if (unread.Read(Problems) is not { } row) return null;
        NullFields.Remove(row);
        try
        {
            Rename(row);
            if (source.Options.Template is { } template) row = template.Apply(row, source.Options.Unanswered);
            else if (foreign) row = forms.Convert(row, source.Options.Unanswered);
            else columns.Rename(row);
        }
        catch (InputException failure)
        {
            foreach (string problem in failure.Problems) Problems.Add(unread.Place, problem);
            return null;
        }
        if (source.Split is { } split && !split.Takes(row, foreign)) return null;
        if (!source.Options.Deduplicate || seen.Add(RowIdentity.Exact(row, foreign)))
            return new Sample(unread.Place, row);
        duplicates++;
        return null;
    }

    private IEnumerable<UnreadRow> Unread(string path)
    {
        IRowFormat format = RowFormats.Of(path);
        using Stream? content = Open(path, ref format);
        if (content is null) yield break;
        long before = Problems.Count;
        bool any = false;
        path = RowFiles.Name(path);
        using IEnumerator<UnreadRow> rows = format.Read(content, path, source.Options, Problems).GetEnumerator();
        while (MoveNext(rows, path))
        {
            any = true;
            yield return rows.Current;
        }
        if (!any && Problems.Count == before)
            Problems.Add(new DataPlace(path, 0), format is JsonLinesFormat
                ? "the file has no rows. Expected one JSON object per line." : "the file has no rows.");
    }

    // What comes through a pipe is told by what it is, unless its name tells.
    private Stream? Open(string path, ref IRowFormat format)
    {
        const int Looked = 1 << 16;
        if (RowFormats.Knows(path) || !RowFiles.IsReadOnce(path))
            return RowFiles.Open(path, format.IsStreamed, Problems);
        if (RowFiles.Open(path, streamed: true, Problems) is not { } content) return null;
        try
        {
            var peeked = new PeekedStream(content, Looked);
            format = RowFormats.OfContent(peeked.Beginning, source.Options);
            return peeked;
        }
        catch (Exception failure) when (Decompression.IsDamage(failure))
        {
            Problems.Add(new DataPlace(RowFiles.Name(path), 0), Decompression.Damaged(failure));
            content.Dispose();
            return null;
        }
    }

    private bool MoveNext(IEnumerator<UnreadRow> rows, string path)
    {
        try
        {
            return rows.MoveNext();
        }
        catch (Exception failure) when (Decompression.IsDamage(failure))
        {
            Problems.Add(new DataPlace(path, 0), Decompression.Damaged(failure));
            return false;
        }
    }

    private void Rename(JsonObject row)
    {
        // All are looked up before one is renamed: two may change places, and messages name the file's own columns.
        var found = new List<(string Ours, JsonNode? Value)>();
        foreach ((string ours, string theirs) in source.Options.Columns)
        {
            if (row.TryGetPropertyValue(theirs, out JsonNode? value)) found.Add((ours, value));
            // Data of several sources, some of which have the name already; or a label, which rows to be answered need
            // not have.
            else if (!row.ContainsKey(ours) && !source.Options.Unanswered)
                throw new InputException(
                    $"the row has no \"{theirs}\", which data.columns.{ours} names; columns found: " +
                    $"{Sample.Columns(row)}.");
        }
        foreach (string theirs in source.Options.Columns.Values) row.Remove(theirs);
        foreach ((string ours, JsonNode? value) in found) row[ours] = value?.Parent is null ? value : value.DeepClone();
    }
}

/// <summary>A row whose format gives its fields at once.</summary>
internal sealed class ReadRow(DataPlace place, JsonObject row) : UnreadRow(place)
{
    public override long Bytes { get; } = Size(row);

    public override JsonObject Read(DataProblems problems) => row;

    // Roughly: 64 bytes a value beside its text.
    private static long Size(JsonNode? node) => 64 + node switch
    {
        JsonObject fields => fields.Sum(field => Size(field.Value)),
        JsonArray list => list.Sum(Size),
        _ => Sample.AsText(node)?.Length * 2L ?? 0,
    };
}

/// <summary>A row that was found in a file and is read when it is needed.</summary>
internal abstract class UnreadRow(DataPlace place)
{
    /// <summary>Where it stands.</summary>
    public DataPlace Place { get; } = place;

    /// <summary>Its fields; null where it cannot be read, which is noted.</summary>
    public abstract JsonObject? Read(DataProblems problems);

    /// <summary>About how much memory it takes.</summary>
    public abstract long Bytes { get; }

    /// <summary>The row in memory of its own, for keeping beyond the next one of the file.</summary>
    public virtual UnreadRow Keep() => this;
}

/// <summary>A row that cannot be read.</summary>
internal sealed class WrongRow(DataPlace place, string problem) : UnreadRow(place)
{
    public override long Bytes => problem.Length * 2L;

    public override JsonObject? Read(DataProblems problems)
    {
        problems.Add(Place, problem);
        return null;
    }
}

/// <summary>What becomes of rows that cannot be used.</summary>
public enum BadRows
{
    /// <summary>They end the run; all are counted, and the first ten shown.</summary>
    Error,

    /// <summary>They are left out, counted, and the first ten shown.</summary>
    Skip,
}
