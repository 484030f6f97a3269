using Parquet;
using Parquet.Meta;
using Parquet.Serialization;

namespace LowRank.Data.Rows;

/// <summary>Apache Parquet, lists and structures in it too; a row group at a time is in memory.</summary>
internal sealed class ParquetFormat : IRowFormat
{
    private const long LargestGroup = 1L << 32; // uncompressed bytes

    public IReadOnlyList<string> Extensions { get; } = [".parquet"];

    public bool IsStreamed => false;

    public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems)
    {
        var whole = new DataPlace(path, 0);
        int groups = Try(() => Groups(content), whole, problems);
        long number = 0;
        for (int group = 0; group < groups; group++)
        {
            int current = group;
            IList<Dictionary<string, object>>? rows = Try(() => Rows(content, current), whole, problems);
            if (rows is null) yield break;
            for (int i = 0; i < rows.Count; i++)
            {
                Dictionary<string, object> row = rows[i];
                rows[i] = null!; // let go of what has been read
                yield return ParquetValues.Row(row, new DataPlace(path, ++number) { IsRow = true });
            }
        }
    }

    private static int Groups(Stream content)
    {
        ParquetCheck.Footer(content);
        content.Position = 0;
        ParquetReader reader = Wait(ParquetReader.CreateAsync(content, leaveStreamOpen: true));
        try
        {
            long largest = reader.Metadata?.RowGroups.Select(group => group.TotalByteSize).DefaultIfEmpty().Max() ?? 0;
            if (largest > LargestGroup)
                throw new InputException($"a row group takes {largest / 1e9:0.0} GB of memory; at most {LargestGroup / 1e9:0.0} are read. Write the file anew with smaller row groups.");
            foreach (RowGroup group in reader.Metadata?.RowGroups ?? []) ParquetCheck.Pages(content, group);
            return reader.RowGroupCount;
        }
        finally
        {
            Wait(reader.DisposeAsync().AsTask());
        }
    }

    private static IList<Dictionary<string, object>> Rows(Stream content, int group)
    {
        content.Position = 0;
        return Wait(ParquetSerializer.DeserializeUntypedAsync(content, null, group)).Data;
    }

    // The library reads asynchronously; a file is there at once.
    private static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    private static void Wait(Task task) => task.GetAwaiter().GetResult();

    private static T? Try<T>(Func<T> read, DataPlace place, DataProblems problems)
    {
        try
        {
            return read();
        }
        // The library checks little of what a damaged file says: any of its slips means the same.
        catch (Exception failure) when (failure is not OutOfMemoryException && AssemblyFailure.Name(failure) is null)
        {
            problems.Add(place, failure is InputException ? failure.Message : $"the file cannot be read as Parquet ({failure.Message.TrimEnd('.')}). Check that it is whole, or write it anew.");
            return default;
        }
    }
}
