using System.Text.Json.Nodes;
using LowRank.Data.Forms.Foreign;

namespace LowRank.Data.Rows;

/// <summary>Rows that can be read repeatedly, each time from the beginning, in memory that does not grow with their
/// number.</summary>
/// <remarks>The file extension selects the format: <c>.jsonl</c>, <c>.ndjson</c>, <c>.json</c>, <c>.csv</c>,
/// <c>.tsv</c>, <c>.parquet</c>, <c>.txt</c>, and any other name as JSON Lines. Files may be compressed with gzip, zstd
/// or bzip2, recognised by the first bytes.</remarks>
public sealed class RowSource
{
    private RowSource(IReadOnlyList<string> paths, RowOptions options, RowSplit? split) =>
        (Paths, Options, Split) = (paths, options, split);

    /// <summary>Rows that a program holds; null where they stand in files.</summary>
    internal IReadOnlyList<JsonObject>? Held { get; private init; }

    /// <summary>Ends reading.</summary>
    internal CancellationToken Cancellation { get; private init; }

    /// <summary>The files, folders and patterns, as given.</summary>
    public IReadOnlyList<string> Paths { get; }

    /// <summary>How the rows are read.</summary>
    public RowOptions Options { get; }

    /// <summary>The part of the rows to use; null for all.</summary>
    public RowSplit? Split { get; }

    /// <summary>Creates a source of rows in files.</summary>
    /// <param name="paths">At least one file, folder (including subfolders) or pattern with *, ** and ?.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="split">The part to use; null for all.</param>
    public static RowSource From(IReadOnlyList<string> paths, RowOptions? options = null, RowSplit? split = null)
    {
        if (paths.Count == 0) throw new ArgumentException("There is no file to read.", nameof(paths));
        return new RowSource(paths, options ?? new RowOptions(), split);
    }

    /// <summary>The files that paths, folders and patterns name; without those that name none.</summary>
    public static IReadOnlyList<string> Files(IReadOnlyList<string> paths) =>
        RowFiles.Expand(paths, new DataProblems());

    /// <summary>What is wrong with paths, folders and patterns that name no file, one sentence each.</summary>
    public static IReadOnlyList<string> Missing(IReadOnlyList<string> paths) => RowFiles.Missing(paths);

    /// <summary>All rows of files in order: JSON Lines, JSON, CSV, TSV, Parquet, plain text, folders and patterns of
    /// them, compressed or not.</summary>
    /// <exception cref="InputException">Some files or rows cannot be read; lists all of them.</exception>
    public static IReadOnlyList<Row> Load(IReadOnlyList<string> paths) => From(paths).ReadAll(foreign: false);

    /// <summary>Rows of a program; messages call the first "rows, row 1".</summary>
    /// <param name="rows">Their fields; they are not changed.</param>
    /// <param name="options">How they are read; null for the defaults.</param>
    internal static RowSource From(IReadOnlyList<JsonObject> rows, RowOptions? options = null) =>
        new(["rows"], options ?? new RowOptions(), split: null) { Held = rows };

    /// <summary>The same source, split.</summary>
    public RowSource With(RowSplit? split) => new(Paths, Options, split) { Held = Held, Cancellation = Cancellation };

    /// <summary>The same source, whose reading ends at the next row once this is cancelled.</summary>
    internal RowSource With(CancellationToken cancellation) =>
        new(Paths, Options, Split) { Held = Held, Cancellation = cancellation };

    /// <summary>Starts reading.</summary>
    /// <param name="foreign">Whether to recognise forms of other programs' data.</param>
    internal RowReading Reading(bool foreign) => new(this, foreign);

    /// <summary>All rows, in order.</summary>
    /// <param name="foreign">Whether to recognise forms of other programs' data.</param>
    /// <exception cref="InputException">Some files or rows cannot be read; lists all of them.</exception>
    internal IReadOnlyList<Row> ReadAll(bool foreign)
    {
        RowReading reading = Reading(foreign);
        List<Row> all = [.. reading.Rows()];
        reading.Problems.ThrowIfAny();
        return all;
    }
}

/// <summary>How to read rows.</summary>
public sealed record RowOptions
{
    /// <summary>What to do with rows that cannot be used. Default: <see cref="BadRows.Error"/>.</summary>
    public BadRows OnBadRow { get; init; } = BadRows.Error;

    /// <summary>The data's field names by those that the task reads, such as question for prompt. Default:
    /// none.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>The user's own template; null to use the rows' form.</summary>
    public RowTemplate? Template { get; init; }

    /// <summary>The content of plain text files. Default: <see cref="PlainText.Pairs"/>.</summary>
    public PlainText Text { get; init; } = PlainText.Pairs;

    /// <summary>The layout of text tables (CSV, TSV).</summary>
    public TableOptions Csv { get; init; } = new();

    /// <summary>Whether to skip repeated rows, compared by the learned texts, or by every field in other tasks.
    /// Default: false.</summary>
    public bool Deduplicate { get; init; }

    /// <summary>Whether the rows are for prediction: fields that only the answer needs may then be missing. Default:
    /// false.</summary>
    public bool Unanswered { get; init; }
}

/// <summary>The layout of text tables.</summary>
public sealed record TableOptions
{
    /// <summary>The setting for a detected separator.</summary>
    public const string Auto = "auto";

    private const string Tab = "tab";

    /// <summary>The column separator, an ASCII character; null to detect it. Default: null.</summary>
    public char? Separator { get; init; }

    /// <summary>Whether the first line names the columns; otherwise they are named 0, 1 and so on. Default:
    /// true.</summary>
    public bool Header { get; init; } = true;

    /// <summary>The separator in the form used in settings.</summary>
    internal string SeparatorWord => Separator switch { null => Auto, '\t' => Tab, { } other => other.ToString() };

    /// <summary>Parses a separator: auto, tab, or a character.</summary>
    /// <exception cref="InputException">The word is not a separator.</exception>
    internal static char? ReadSeparator(string word) => word switch
    {
        Auto => null,
        Tab or "\\t" => '\t',
        [var only] when only is '\t' or (>= ' ' and < (char)127 and not '"') => only,
        _ => throw new InputException(
            $"the separator is \"{word}\", expected auto, tab, or one ASCII character such as ; except a quote."),
    };
}

/// <summary>One pass over a source, with its problems and notes.</summary>
internal sealed class RowReading(RowSource source, bool foreign)
{
    private readonly ForeignForms forms = new();
    private readonly KnownColumns columns = new();
    private readonly HashSet<UInt128> seen = [];
    private readonly List<Words> notes = [];
    private long duplicates;

    /// <summary>The problems.</summary>
    public DataProblems Problems { get; } = new(source.Options.OnBadRow);

    /// <summary>Notes for the user, one sentence each.</summary>
    public IReadOnlyList<Words> Notes
    {
        get
        {
            List<Words> all = [.. notes, .. forms.Notes, .. columns.Notes];
            if (duplicates > 0)
                all.Add($"{(duplicates == 1 ? "1 row was" : $"{duplicates} rows were")} skipped as repeated" +
                    $"{KnownSettings.Deduplicate.Aside}.");
            return [.. all, .. Problems.Notes];
        }
    }

    /// <summary>The rows in order; invalid ones are recorded and skipped.</summary>
    public IEnumerable<Row> Rows() => Unread().Select(Finish).OfType<Row>();

    /// <summary>The unprocessed rows of the files.</summary>
    public IEnumerable<UnreadRow> Unread() => source.Held is { } held
        ? held.Select((row, number) => new ReadRow(
            new DataPlace(source.Paths[0], number + 1) { IsRow = true }, row.DeepClone().AsObject()))
        : RowFiles.Expand(source.Paths, Problems, notes).SelectMany(Unread);

    /// <summary>Processes a row as the source requires.</summary>
    /// <returns>Null if the row is invalid, which is recorded, or is skipped.</returns>
    /// <exception cref="OperationCanceledException">Reading was cancelled.</exception>
    public Row? Finish(UnreadRow unread)
    {
        source.Cancellation.ThrowIfCancellationRequested();
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
            Problems.Add(unread.Place, failure);
            return null;
        }
        if (source.Split is { } split && !split.Takes(row, foreign)) return null;
        if (!source.Options.Deduplicate || seen.Add(RowIdentity.Exact(row, foreign)))
            return new Row(unread.Place, row);
        duplicates++;
        return null;
    }

    private IEnumerable<UnreadRow> Unread(string path)
    {
        IRowFormat format = RowFormats.For(path);
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

    // The content of a pipe decides its format, unless its name does.
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
        // Looks up all fields before renaming any: two may be swapped, and messages name the file's own columns.
        var found = new List<(string Ours, JsonNode? Value)>();
        foreach ((string ours, string theirs) in source.Options.Columns)
        {
            if (row.TryGetPropertyValue(theirs, out JsonNode? value)) found.Add((ours, value));
            // Some of several sources may already use the name, and rows for prediction need no label.
            else if (!row.ContainsKey(ours) && !source.Options.Unanswered)
                throw new InputException(
                    $"the row has no \"{theirs}\", which {KnownSettings.Columns} gives for \"{ours}\"; columns " +
                    $"found: {Row.Columns(row)}.");
        }
        foreach (string theirs in source.Options.Columns.Values) row.Remove(theirs);
        foreach ((string ours, JsonNode? value) in found) row[ours] = value?.Parent is null ? value : value.DeepClone();
    }
}

/// <summary>A row whose format provides its fields directly.</summary>
internal sealed class ReadRow(DataPlace place, JsonObject row) : UnreadRow(place)
{
    public override long Bytes { get; } = Size(row);

    public override JsonObject Read(DataProblems problems) => row;

    // A rough estimate: 64 bytes per value plus its text.
    private static long Size(JsonNode? node) => 64 + node switch
    {
        JsonObject fields => fields.Sum(field => Size(field.Value)),
        JsonArray list => list.Sum(Size),
        _ => Row.AsText(node)?.Length * 2L ?? 0,
    };
}

/// <summary>A row found in a file, which is parsed on demand.</summary>
internal abstract class UnreadRow(DataPlace place)
{
    /// <summary>The place of the row.</summary>
    public DataPlace Place { get; } = place;

    /// <summary>The fields; null if the row cannot be read, which is recorded.</summary>
    public abstract JsonObject? Read(DataProblems problems);

    /// <summary>The approximate memory size.</summary>
    public abstract long Bytes { get; }

    /// <summary>A copy of the row that stays valid after the next row of the file is read.</summary>
    public virtual UnreadRow Keep() => this;
}

/// <summary>A row that cannot be read.</summary>
internal sealed class WrongRow(DataPlace place, Problem problem) : UnreadRow(place)
{
    public WrongRow(DataPlace place, string problem) : this(place, new Problem(problem)) { }

    public override long Bytes => problem.ToString().Length * 2L;

    public override JsonObject? Read(DataProblems problems)
    {
        problems.Add(Place, problem);
        return null;
    }
}
