using System.Text.Json.Nodes;
using LowRank.Data.Forms.Foreign;

namespace LowRank.Data.Rows;

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
            if (duplicates > 0) all.Add($"{(duplicates == 1 ? "1 row was" : $"{duplicates} rows were")} there before and left out (data.deduplicate).");
            return [.. all, .. Problems.Notes];
        }
    }

    /// <summary>The rows in their order; wrong ones are noted and passed over.</summary>
    public IEnumerable<Sample> Rows() => Unread().Select(Finish).OfType<Sample>();

    /// <summary>The rows as they are found in the files, before anything is done with them.</summary>
    public IEnumerable<UnreadRow> Unread() => RowFiles.Expand(source.Paths, Problems, notes).SelectMany(Unread);

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
        if (!source.Options.Deduplicate || seen.Add(RowIdentity.Exact(row, foreign))) return new Sample(unread.Place, row);
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
            Problems.Add(new DataPlace(path, 0), format is JsonLinesFormat ? "the file has no rows. Expected one JSON object a line." : "the file has no rows.");
    }

    // What comes through a pipe is told by what it is, unless its name tells.
    private Stream? Open(string path, ref IRowFormat format)
    {
        const int Looked = 1 << 16;
        if (RowFormats.Knows(path) || !RowFiles.IsReadOnce(path)) return RowFiles.Open(path, format.IsStreamed, Problems);
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
            // Data of several sources, some of which have the name already; or a label, which rows to be answered need not have.
            else if (!row.ContainsKey(ours) && !source.Options.Unanswered)
                throw new InputException($"the row has no \"{theirs}\", which data.columns.{ours} names; columns found: {Sample.Columns(row)}.");
        }
        foreach (string theirs in source.Options.Columns.Values) row.Remove(theirs);
        foreach ((string ours, JsonNode? value) in found) row[ours] = value?.Parent is null ? value : value.DeepClone();
    }
}
