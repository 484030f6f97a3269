using System.Collections;
using System.Globalization;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

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
        string { Length: > LongestText } => throw new InputException($"\"{key}\" has more than {LongestText >> 20} million characters. Split the row."),
        string text => text,
        bool flag => flag,
        float number => float.IsFinite(number) ? Number(number) : null,
        double number => double.IsFinite(number) ? Number(number) : null,
        int or long or short or byte or sbyte or ushort or uint or ulong or decimal => Number((IFormattable)value),
        DateTime time => time.ToString("O", CultureInfo.InvariantCulture),
        DateOnly date => date.ToString("O", CultureInfo.InvariantCulture),
        Guid id => id.ToString(),
        ReadOnlyMemory<char> text => text.ToString(),
        byte[] or ReadOnlyMemory<byte> => throw new InputException($"\"{key}\" holds bytes, which no form of rows has. Leave the column out of the file, or write it as text."),
        IDictionary<string, object> inner => Fields(inner, depth),
        IDictionary map => Map(key, map, depth),
        IEnumerable list => new JsonArray([.. list.Cast<object?>().Select(item => Value(key, item, depth + 1))]),
        _ => throw new InputException($"\"{key}\" holds values of the type {value.GetType().Name}, which no form of rows has. Leave the column out of the file."),
    };

    // As a row of JSON has it: a number that can be read as any type that holds it.
    private static JsonNode? Number(IFormattable number) => JsonNode.Parse(number.ToString(null, CultureInfo.InvariantCulture));

    private static JsonObject Map(string key, IDictionary map, int depth)
    {
        var fields = new JsonObject();
        foreach (DictionaryEntry entry in map)
            fields[Convert.ToString(entry.Key, CultureInfo.InvariantCulture) ?? ""] = Value(key, entry.Value, depth + 1);
        return fields;
    }
}
