using System.Text.Json.Nodes;
using LowRank.Data.Forms.Foreign;

namespace LowRank.Data.Rows;

/// <summary>One pass over a source, and what was met on the way.</summary>
internal sealed class RowReading(RowSource source, bool foreign)
{
    private readonly ForeignForms forms = new();
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
            List<string> all = [.. notes, .. forms.Notes];
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
        try
        {
            Rename(row);
            if (source.Options.Template is { } template) row = template.Apply(row);
            else if (foreign) row = forms.Convert(row);
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
        using Stream? content = RowFiles.Open(path, format.IsStreamed, Problems);
        if (content is null) yield break;
        long before = Problems.Count;
        bool any = false;
        using IEnumerator<UnreadRow> rows = format.Read(content, path, source.Options.Text, Problems).GetEnumerator();
        while (MoveNext(rows, path))
        {
            any = true;
            yield return rows.Current;
        }
        if (!any && Problems.Count == before)
            Problems.Add(new DataPlace(path, 0), format is JsonLinesFormat ? "the file has no rows. Expected one JSON object a line." : "the file has no rows.");
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
        foreach ((string ours, string theirs) in source.Options.Columns)
        {
            if (!row.ContainsKey(theirs))
            {
                if (row.ContainsKey(ours)) continue; // data of several sources, some of which have the name already
                throw new InputException($"the row has no \"{theirs}\", which data.columns.{ours} names; it has {string.Join(", ", row.Select(field => $"\"{field.Key}\""))}.");
            }
            JsonNode? value = row[theirs];
            row.Remove(theirs);
            row[ours] = value;
        }
    }
}
