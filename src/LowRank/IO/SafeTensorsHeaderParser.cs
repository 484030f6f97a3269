using System.Text;
using System.Text.Json;

namespace LowRank.IO;

/// <summary>Parses and validates the JSON header of a safetensors file. Reports all problems together, before
/// allocating anything based on sizes in the header.</summary>
internal sealed class SafeTensorsHeaderParser
{
    // torch's kernels are compiled for at most 64 dimensions.
    private const int MaximumDimensions = 64;
    // A damaged header can have a problem in each of a million entries; a longer list is of no use.
    private const int MaximumProblems = 200;
    private const string MetadataKey = "__metadata__";

    private readonly string path;
    private readonly long dataStart;
    private readonly long fileLength;
    private readonly List<string> problems = [];
    private readonly HashSet<string> names = [];
    private readonly List<SafeTensorsEntry> entries = [];
    private readonly Dictionary<string, string> metadata = [];
    private int moreProblems;

    /// <param name="path">The path, for messages.</param>
    /// <param name="dataStart">Offset of the data in bytes: 8 plus the header's length.</param>
    /// <param name="fileLength">The length of the file in bytes.</param>
    public SafeTensorsHeaderParser(string path, long dataStart, long fileLength)
    {
        this.path = path;
        this.dataStart = dataStart;
        this.fileLength = fileLength;
    }

    /// <summary>The tensors by name, in the order of their data.</summary>
    public OrderedDictionary<string, SafeTensorsEntry> Entries { get; } = [];

    /// <summary>The metadata; empty if there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata => metadata;

    /// <summary>Reads the header.</summary>
    /// <exception cref="InputException">The header is invalid; the message lists all problems.</exception>
    public void Parse(ReadOnlySpan<byte> header)
    {
        try
        {
            ParseObject(header);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The reader throws InvalidOperationException for text that is not UTF-8 or has a lone surrogate.
            Add($"the header is not valid JSON ({e.Message.TrimEnd('.')}); this is not a safetensors file, or it " +
                "is damaged");
            Throw();
        }
        // If an entry could not be read, the positions of the others would only appear to have gaps.
        if (problems.Count == 0) CheckLayout();
        Throw();
        foreach (SafeTensorsEntry entry in entries) Entries.Add(entry.Name, entry);
    }

    private void ParseObject(ReadOnlySpan<byte> header)
    {
        if (header.Length == 0 || header[0] != (byte)'{')
        {
            Add("the header does not begin with '{'; this is not a safetensors file, or it is damaged");
            return;
        }
        var reader = new Utf8JsonReader(header, new JsonReaderOptions { MaxDepth = 8 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            if (!names.Add(name)) Add($"'{name}' stands in the header twice; each name may stand there once");
            if (name == MetadataKey) ParseMetadata(ref reader);
            else ParseEntry(ref reader, name);
        }
        // Spaces may follow (the writer pads with them); the reader throws here on anything else.
        reader.Read();
    }

    private void ParseMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            Add($"{MetadataKey} is {Describe(ref reader)}; expected an object of strings");
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                Add($"{MetadataKey}: the value of '{key}' is {Describe(ref reader)}; expected a string");
                reader.Skip();
            }
            else if (!metadata.TryAdd(key, reader.GetString()!))
            {
                Add($"{MetadataKey}: '{key}' stands there twice");
            }
        }
    }

    private void ParseEntry(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            Add($"tensor '{name}' is {Describe(ref reader)}; expected an object with dtype, shape and data_offsets");
            reader.Skip();
            return;
        }
        int before = problems.Count + moreProblems;
        string? type = null;
        long[]? shape = null, offsets = null;
        var fields = new HashSet<string>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string field = reader.GetString()!;
            reader.Read();
            if (!fields.Add(field)) Add($"tensor '{name}': {field} is given twice");
            switch (field)
            {
                case "dtype": type = ParseType(ref reader, name); break;
                case "shape": shape = ParseNumbers(ref reader, name, field, MaximumDimensions); break;
                case "data_offsets": offsets = ParseNumbers(ref reader, name, field, 2); break;
                default:
                    Add($"tensor '{name}': unknown field '{field}'; expected dtype, shape and data_offsets");
                    reader.Skip();
                    break;
            }
        }
        foreach (string field in new[] { "dtype", "shape", "data_offsets" })
            if (!fields.Contains(field)) Add($"tensor '{name}': {field} is missing");
        if (problems.Count + moreProblems == before) AddEntry(name, type!, shape!, offsets!);
    }

    private string? ParseType(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            Add($"tensor '{name}': dtype is {Describe(ref reader)}; expected a string");
            reader.Skip();
            return null;
        }
        string type = reader.GetString()!;
        if (SafeTensorsDataType.Find(type) is not null) return type;
        Add($"tensor '{name}': unknown dtype '{type}'; expected one of {SafeTensorsDataType.AllNames}");
        return null;
    }

    private long[]? ParseNumbers(ref Utf8JsonReader reader, string name, string field, int maximumCount)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            Add($"tensor '{name}': {field} is {Describe(ref reader)}; expected an array of whole numbers");
            reader.Skip();
            return null;
        }
        var numbers = new List<long>();
        bool valid = true;
        int count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            count++;
            if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long number) && number >= 0)
            {
                if (count <= maximumCount) numbers.Add(number);
                continue;
            }
            if (valid)
                Add($"tensor '{name}': {field}[{count - 1}] is {Describe(ref reader)}; expected a whole number " +
                    $"from 0 to {long.MaxValue}");
            valid = false;
            reader.Skip();
        }
        if (count > maximumCount)
            Add($"tensor '{name}': {field} has {count} numbers; expected at most {maximumCount}");
        return valid && count <= maximumCount ? [.. numbers] : null;
    }

    private void AddEntry(string name, string type, long[] shape, long[] offsets)
    {
        if (offsets.Length != 2)
        {
            Add($"tensor '{name}': data_offsets has {offsets.Length} numbers; expected 2, begin and end");
            return;
        }
        (long begin, long end) = (offsets[0], offsets[1]);
        if (begin > end)
        {
            Add($"tensor '{name}': its data begins at {begin} but ends at {end}, before that");
            return;
        }
        int bits = SafeTensorsDataType.Find(type)!.Bits;
        UInt128 elements = 1;
        foreach (long size in shape)
        {
            // A dimension of 0 makes the tensor empty, but torch still multiplies the other dimensions for its strides.
            elements *= (UInt128)Math.Max(size, 1);
            if (elements * (UInt128)bits > (UInt128)long.MaxValue)
            {
                Add($"tensor '{name}': the shape {Format(shape)} has more elements than can be addressed");
                return;
            }
        }
        if (shape.Contains(0)) elements = 0;
        UInt128 expectedBits = elements * (UInt128)bits;
        if (expectedBits % 8 != 0 || expectedBits / 8 != (UInt128)(end - begin))
        {
            Add($"tensor '{name}': its data is {end - begin} bytes long (from {begin} to {end}), but {type} of shape " +
                $"{Format(shape)} takes {(expectedBits + 7) / 8}");
            return;
        }
        if (end > fileLength - dataStart)
        {
            Add($"tensor '{name}': its data ends at {end}, but the file's data at {fileLength - dataStart}; the " +
                "file was cut off: download or save it again");
            return;
        }
        entries.Add(new SafeTensorsEntry(name, type, shape, dataStart + begin, dataStart + end, path));
    }

    private void CheckLayout()
    {
        entries.Sort((a, b) => (a.Begin, a.End).CompareTo((b.Begin, b.End)));
        long expected = dataStart;
        string previous = "";
        foreach (SafeTensorsEntry entry in entries)
        {
            if (entry.Begin < expected)
                Add($"tensor '{entry.Name}': its data begins at {entry.Begin - dataStart}, inside that of " +
                    $"'{previous}', which ends at {expected - dataStart}");
            else if (entry.Begin > expected)
                Add($"tensor '{entry.Name}': its data begins at {entry.Begin - dataStart}, expected " +
                    $"{expected - dataStart}: {entry.Begin - expected} bytes before it belong to no tensor");
            if (entry.End < expected) continue;
            expected = entry.End;
            previous = entry.Name;
        }
        if (expected < fileLength)
            Add($"{fileLength - expected} bytes after the last tensor belong to none (the data should end at " +
                $"{expected - dataStart}, the file's ends at {fileLength - dataStart})");
    }

    private void Add(string problem)
    {
        if (problems.Count < MaximumProblems) problems.Add(problem);
        else moreProblems++;
    }

    private void Throw()
    {
        if (problems.Count == 0) return;
        if (moreProblems > 0) problems.Add($"and {moreProblems} more problems");
        throw new InputException($"{path} cannot be used:", problems);
    }

    private static string Format(long[] shape) => $"[{string.Join(", ", shape)}]";

    private static string Describe(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.Number =>
            Encoding.UTF8.GetString(reader.ValueSpan.Length > 40 ? reader.ValueSpan[..40] : reader.ValueSpan),
        JsonTokenType.String => "a string",
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.True => "true",
        JsonTokenType.False => "false",
        _ => "null",
    };
}
