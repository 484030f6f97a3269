using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Models;

/// <summary>Reads a model's <c>config.json</c> key by key and collects all problems, so that
/// <see cref="ThrowIfInvalid"/> reports them together.</summary>
public sealed class ConfigReader
{
    private const int MostParts = 10_000;

    private readonly JsonObject root;
    private readonly string file;
    private readonly List<string> problems = [];
    private readonly HashSet<string> asked = [];

    private ConfigReader(JsonObject root, string file)
    {
        this.root = root;
        this.file = file;
    }

    /// <summary>The keys and values as read.</summary>
    public JsonObject Root => root;

    /// <summary>The value of <c>model_type</c>; empty if missing, which is recorded as a problem.</summary>
    public string ModelType { get; private init; } = "";

    /// <summary>Keys that nothing has read so far and that may change the outputs. Complete once the model is
    /// built.</summary>
    public IReadOnlyList<string> UnknownKeys =>
        [.. root.Where(key => key.Value is not null && !asked.Contains(key.Key) && !InertConfigKeys.Contains(key.Key))
            .Select(key => key.Key)];

    /// <summary>Opens a file.</summary>
    /// <exception cref="InputException">The file is missing, is not a JSON object, or has no
    /// <c>model_type</c>.</exception>
    public static ConfigReader Open(string path)
    {
        if (!File.Exists(path))
            throw new InputException(
                $"{path} was not found. Expected a Hugging Face model folder with config.json and model.safetensors.");
        return Parse(SmallFile.ReadText(path), path);
    }

    /// <summary>Parses a text; messages use <paramref name="file"/> as the file name.</summary>
    /// <exception cref="InputException">The text is not a JSON object, or has no <c>model_type</c>.</exception>
    public static ConfigReader Parse(string json, string file)
    {
        JsonObject root = JsonObjects.Parse(json, file);
        if (root["model_type"] is not JsonValue value || !value.TryGetValue(out string? type))
            throw new InputException(
                $"{file}: the key model_type is missing. Expected the name of a model family, such as \"llama\" or " +
                "\"bert\".");
        return new ConfigReader(root, file) { ModelType = type };
    }

    /// <summary>Whether the file has the key with a value other than null.</summary>
    public bool Has(string key) => Value(key) is not null;

    /// <summary>The largest accepted width or vocabulary size: sums and small multiples of sizes stay valid tensor
    /// sizes.</summary>
    public const int LargestSize = 1 << 24;

    /// <summary>A required size: an integer from 1 to <see cref="LargestSize"/>.</summary>
    public int Positive(string key)
    {
        if (Number(key) is not { } number) return Missing(key, "a positive whole number", 1);
        return AtMost(key, CheckPositive(key, number), LargestSize);
    }

    /// <summary>Like <see cref="Positive"/>, or <paramref name="otherwise"/> if the key is missing or null.</summary>
    public int SizeOr(string key, int otherwise) => AtMost(key, PositiveOr(key, otherwise), LargestSize);

    /// <summary>A number of parts, such as experts, or <paramref name="otherwise"/> if the key is missing or
    /// null.</summary>
    public int CountOr(string key, int otherwise) => AtMost(key, PositiveOr(key, otherwise), MostParts);

    /// <summary>The number of layers; required.</summary>
    /// <remarks>Bounded, because an absurd number would fill the memory before a missing weight is noticed.</remarks>
    public int Layers(string key) => AtMost(key, Positive(key), MostParts);

    /// <summary>A positive integer, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public int PositiveOr(string key, int otherwise) =>
        Number(key) is { } number ? CheckPositive(key, number) : otherwise;

    /// <summary>A finite number, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public double NumberOr(string key, double otherwise) => Number(key) ?? otherwise;

    /// <summary>A number from 0 to 1, such as a fraction, epsilon or standard deviation, or
    /// <paramref name="otherwise"/> if the key is missing or null.</summary>
    public double ShareOr(string key, double otherwise)
    {
        if (Number(key) is not { } number) return otherwise;
        if (number is >= 0 and <= 1) return number;
        Reject(key, root[key]!.ToJsonString(), "a number from 0 to 1");
        return otherwise;
    }

    /// <summary>A token id, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public int TokenOr(string key, int otherwise)
    {
        if (Number(key) is not { } number) return otherwise;
        if (number >= 0 && number < LargestSize && number == Math.Floor(number)) return (int)number;
        Reject(key, root[key]!.ToJsonString(), "a token's number, a whole number from 0");
        return otherwise;
    }

    /// <summary>A boolean, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public bool FlagOr(string key, bool otherwise)
    {
        if (Value(key) is not { } node) return otherwise;
        if (node.GetValueKind() is JsonValueKind.True or JsonValueKind.False) return node.GetValue<bool>();
        Reject(key, node.ToJsonString(), "true or false");
        return otherwise;
    }

    /// <summary>A string, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public string TextOr(string key, string otherwise)
    {
        if (Value(key) is not { } node) return otherwise;
        if (node.GetValueKind() == JsonValueKind.String) return node.GetValue<string>();
        Reject(key, node.ToJsonString(), "a text");
        return otherwise;
    }

    /// <summary>An object, or null when the key is missing or null.</summary>
    public JsonObject? Object(string key)
    {
        if (Value(key) is not { } node) return null;
        if (node is JsonObject value) return value;
        Reject(key, node.ToJsonString(), "an object");
        return null;
    }

    /// <summary>A list of strings, or null when the key is missing or null.</summary>
    public IReadOnlyList<string>? Texts(string key)
    {
        if (Value(key) is not { } node) return null;
        if (node is JsonArray array && array.All(item => item?.GetValueKind() == JsonValueKind.String))
            return [.. array.Select(item => item!.GetValue<string>())];
        Reject(key, node.ToJsonString(), "a list of texts");
        return null;
    }

    /// <summary>The token ids under a key that holds one id or a list of them; empty when missing or null.</summary>
    public IReadOnlyList<int> TokenIds(string key)
    {
        if (Value(key) is not { } node) return [];
        try
        {
            return node is JsonArray array ? [.. array.Select(item => item!.GetValue<int>())] : [node.GetValue<int>()];
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or NullReferenceException)
        {
            Reject(key, node.ToJsonString(), "a token id or a list of token ids");
            return [];
        }
    }

    /// <summary>Records that a key requests something unsupported.</summary>
    public void Reject(string key, string found, string expected) =>
        problems.Add($"{file}: {key} is {found}; supported here: {expected}.");

    /// <inheritdoc cref="Reject(string, string, string)"/>
    public void Reject(string key, double found, string expected) =>
        Reject(key, found.ToString(CultureInfo.InvariantCulture), expected);

    /// <summary>Finishes reading.</summary>
    /// <exception cref="InputException">There were problems; the message lists all of them with their keys.</exception>
    public void ThrowIfInvalid()
    {
        QuantizationConfig.Check(this);
        if (problems.Count > 0)
            throw new InputException($"{file} asks for a model that cannot be built:", problems);
    }

    private JsonNode? Value(string key)
    {
        asked.Add(key);
        return root[key];
    }

    private double? Number(string key)
    {
        if (Value(key) is not { } node) return null;
        if (node is JsonValue value && value.TryGetValue(out double number) && double.IsFinite(number)) return number;
        Reject(key, node.ToJsonString(), "a number");
        return null;
    }

    private int CheckPositive(string key, double number)
    {
        if (number >= 1 && number <= int.MaxValue && number == Math.Floor(number)) return (int)number;
        Reject(key, number, "a positive whole number");
        return 1;
    }

    private int AtMost(string key, int number, int most)
    {
        if (number <= most) return number;
        Reject(key, number, $"1 to {most}");
        return 1;
    }

    private int Missing(string key, string expected, int stand)
    {
        problems.Add($"{file}: {key} is missing; expected {expected}.");
        return stand;
    }
}
