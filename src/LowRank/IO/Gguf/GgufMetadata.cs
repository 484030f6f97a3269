using System.Globalization;

namespace LowRank.IO.Gguf;

/// <summary>The keys and values of a GGUF file, in file order.</summary>
/// <remarks>A value is a <see cref="byte"/>, <see cref="sbyte"/>, <see cref="ushort"/>, <see cref="short"/>,
/// <see cref="uint"/>, <see cref="int"/>, <see cref="float"/>, <see cref="bool"/>, <see cref="string"/>,
/// <see cref="ulong"/>, <see cref="long"/>, <see cref="double"/>, or an array of one of them.</remarks>
internal sealed class GgufMetadata
{
    private readonly OrderedDictionary<string, object> values = [];

    /// <summary>The values by key.</summary>
    public IReadOnlyDictionary<string, object> Values => values;

    /// <summary>Adds a key, or replaces its value; null leaves it out.</summary>
    public GgufMetadata Set(string key, object? value)
    {
        if (value is not null) values[key] = value;
        return this;
    }

    /// <summary>Whether a key is there.</summary>
    public bool Has(string key) => values.ContainsKey(key);

    /// <summary>A text; null if the key is missing or holds something else.</summary>
    public string? Text(string key) => values.GetValueOrDefault(key) as string;

    /// <summary>A whole number of any width; null if the key is missing or holds something else.</summary>
    public long? Integer(string key) => values.GetValueOrDefault(key) switch
    {
        byte or sbyte or ushort or short or uint or int or long =>
            Convert.ToInt64(values[key], CultureInfo.InvariantCulture),
        ulong number when number <= long.MaxValue => (long)number,
        _ => null,
    };

    /// <summary>A number of any type; null if the key is missing or holds something else.</summary>
    public double? Number(string key) => values.GetValueOrDefault(key) switch
    {
        float number => number,
        double number => number,
        _ => Integer(key),
    };

    /// <summary>A truth value; null if the key is missing or holds something else.</summary>
    public bool? Flag(string key) => values.GetValueOrDefault(key) as bool?;

    /// <summary>A list of texts; null if the key is missing or holds something else.</summary>
    public IReadOnlyList<string>? Texts(string key) => values.GetValueOrDefault(key) as string[];

    /// <summary>A list of whole numbers; null if the key is missing or holds something else.</summary>
    public IReadOnlyList<long>? Integers(string key) => values.GetValueOrDefault(key) is Array array
        && Type.GetTypeCode(array.GetType().GetElementType()) is >= TypeCode.SByte and <= TypeCode.Int64
        ? [.. array.Cast<object>().Select(each => Convert.ToInt64(each, CultureInfo.InvariantCulture))] : null;

    /// <summary>A list of float32 numbers; null if the key is missing or holds something else.</summary>
    public IReadOnlyList<float>? Numbers(string key) => values.GetValueOrDefault(key) as float[];
}

/// <summary>The types of values in GGUF's metadata.</summary>
internal enum GgufValueType : uint
{
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    Text = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
}
