using System.Collections;
using System.Globalization;
using System.Text.Json.Nodes;
using Parquet;
using Parquet.Meta;
using Parquet.Serialization;

namespace LowRank.Data.Rows;

/// <summary>Apache Parquet, including lists and structures; one row group at a time is in memory.</summary>
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
                rows[i] = null!; // releases rows that have been read
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
                throw new InputException(
                    $"a row group needs {largest / 1e9:0.0} GB of memory; the limit is {LargestGroup / 1e9:0.0} GB. " +
                    "Rewrite the file with smaller row groups.");
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

    // The library reads asynchronously; a file is available immediately.
    private static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    private static void Wait(Task task) => task.GetAwaiter().GetResult();

    private static T? Try<T>(Func<T> read, DataPlace place, DataProblems problems)
    {
        try
        {
            return read();
        }
        // The library checks little in a damaged file, so any of its exceptions means damage.
        catch (Exception failure) when (failure is not OutOfMemoryException && AssemblyFailure.Name(failure) is null)
        {
            problems.Add(place, failure is InputException ? failure.Message
                : $"the file cannot be read as Parquet ({failure.Message.TrimEnd('.')}). Check that it is complete, " +
                    "or rewrite it.");
            return default;
        }
    }
}

/// <summary>The structures of Parquet's footer and page headers (parquet.thrift), field by field.</summary>
/// <remarks>One letter per field: b boolean, y byte, h, i, l whole numbers of 2, 4, 8 bytes, s bytes; a name in
/// brackets is a structure; * in front makes it a list.</remarks>
internal static class ParquetStructures
{
    private static readonly Dictionary<string, string> Written = new()
    {
        ["File"] = "1:i 2:*(Schema) 3:l 4:*(Group) 5:*(Pair) 6:s 7:*(Order) 9:s",
        ["Schema"] = "1:i 2:i 3:i 4:s 5:i 6:i 7:i 8:i 9:i 10:(Logical)",
        ["Logical"] =
            "1:(Empty) 2:(Empty) 3:(Empty) 4:(Empty) 5:(Decimal) 6:(Empty) 7:(Time) 8:(Time) 10:(Whole) 11:(Empty) " +
            "12:(Empty) 13:(Empty) 14:(Empty) 15:(Empty)",
        ["Decimal"] = "1:i 2:i",
        ["Time"] = "1:b 2:(Unit)",
        ["Unit"] = "1:(Empty) 2:(Empty) 3:(Empty)",
        ["Whole"] = "1:y 2:b",
        ["Empty"] = "",
        ["Pair"] = "1:s 2:s",
        ["Order"] = "1:(Empty)",
        ["Group"] = "1:*(Chunk) 2:l 3:l 4:*(Sorting) 5:l 6:l 7:h",
        ["Sorting"] = "1:i 2:b 3:b",
        ["Chunk"] = "1:s 2:l 3:(Column) 4:l 5:i 6:l 7:i 9:s",
        ["Column"] =
            "1:i 2:*i 3:*s 4:i 5:l 6:l 7:l 8:*(Pair) 9:l 10:l 11:l 12:(Statistics) 13:*(Encodings) 14:l 15:i " +
            "16:(Sizes)",
        ["Statistics"] = "1:s 2:s 3:l 4:l 5:s 6:s 7:b 8:b",
        ["Encodings"] = "1:i 2:i 3:i",
        ["Sizes"] = "1:l 2:*l 3:*l",
        ["Page"] = "1:i 2:i 3:i 4:i 5:(Data) 6:(Empty) 7:(Dictionary) 8:(Data2)",
        ["Data"] = "1:i 2:i 3:i 4:i 5:(Statistics)",
        ["Dictionary"] = "1:i 2:i 3:b",
        ["Data2"] = "1:i 2:i 3:i 4:i 5:i 6:i 7:b 8:(Statistics)",
    };

    private static readonly Dictionary<string, Dictionary<int, string>> Parsed =
        Written.ToDictionary(structure => structure.Key,
        structure => structure.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)
        .ToDictionary(field => int.Parse(field.Split(':')[0], System.Globalization.CultureInfo.InvariantCulture),
        field => field.Split(':')[1]));

    /// <summary>The type of a structure's field; null if it is unknown here.</summary>
    public static string? Field(string structure, int id) => Parsed[structure].GetValueOrDefault(id);
}

/// <summary>Rows of Parquet as JSON.</summary>
internal static class ParquetValues
{
    private const int Deepest = 32, LongestText = JsonLines.LongestLine;

    public static UnreadRow Row(IDictionary<string, object> row, DataPlace place)
    {
        try
        {
            return new ReadRow(place, Fields(row, 0));
        }
        catch (InputException failure)
        {
            return new WrongRow(place, failure.Message);
        }
    }

    private static JsonObject Fields(IDictionary<string, object> row, int depth)
    {
        var fields = new JsonObject();
        foreach ((string key, object value) in row) fields[key] = Value(key, value, depth + 1);
        return fields;
    }

    private static JsonNode? Value(string key, object? value, int depth) => value switch
    {
        _ when depth > Deepest => throw new InputException($"\"{key}\" is nested more than {Deepest} deep."),
        null or DBNull => null,
        string { Length: > LongestText } =>
        throw new InputException($"\"{key}\" has more than {LongestText >> 20} million characters. Split the row."),
        string text => text,
        bool flag => flag,
        float number => float.IsFinite(number) ? Number(number) : null,
        double number => double.IsFinite(number) ? Number(number) : null,
        int or long or short or byte or sbyte or ushort or uint or ulong or decimal => Number((IFormattable)value),
        DateTime time => time.ToString("O", CultureInfo.InvariantCulture),
        DateOnly date => date.ToString("O", CultureInfo.InvariantCulture),
        Guid id => id.ToString(),
        ReadOnlyMemory<char> text => text.ToString(),
        byte[] or ReadOnlyMemory<byte> =>
        throw new InputException(
            $"\"{key}\" contains bytes, which rows cannot hold. Remove the column from the file, or write it as text."),
        IDictionary<string, object> inner => Fields(inner, depth),
        IDictionary map => Map(key, map, depth),
        IEnumerable list => new JsonArray([.. list.Cast<object?>().Select(item => Value(key, item, depth + 1))]),
        _ => throw new InputException(
            $"\"{key}\" holds values of the type {value.GetType().Name}, which rows cannot hold. Remove the column " +
            "from the file."),
    };

    // Like a number in a JSON row, which can be read as any type that holds it.
    private static JsonNode? Number(IFormattable number) =>
        JsonNode.Parse(number.ToString(null, CultureInfo.InvariantCulture));

    private static JsonObject Map(string key, IDictionary map, int depth)
    {
        var fields = new JsonObject();
        foreach (DictionaryEntry entry in map)
            fields[Convert.ToString(entry.Key, CultureInfo.InvariantCulture) ?? ""] =
                Value(key, entry.Value, depth + 1);
        return fields;
    }
}

/// <summary>The header of a Parquet page.</summary>
internal sealed class PageSizes
{
    /// <summary>Size of the header itself, in bytes.</summary>
    public int Header { get; set; }

    /// <summary>Size in the file, in bytes.</summary>
    public long Compressed { get; private set; }

    /// <summary>Decompressed size, in bytes.</summary>
    public long Plain { get; private set; }

    /// <summary>Number of values, including missing ones.</summary>
    public long Values { get; private set; }

    /// <summary>Whether other pages refer to it.</summary>
    public bool IsDictionary { get; private set; }

    /// <summary>Receives a number of the header.</summary>
    public void Take(string structure, int field, long value)
    {
        switch (structure, field)
        {
            case ("Page", 1): IsDictionary = value == 2; break;
            case ("Page", 2): Plain = value; break;
            case ("Page", 3): Compressed = value; break;
            case ("Data" or "Data2" or "Dictionary", 1): Values = value; break;
        }
    }
}
