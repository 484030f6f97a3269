using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Models;

/// <summary>
/// Reads a model's <c>config.json</c> key by key and collects everything that is wrong with it, so that all problems
/// are reported at once by <see cref="ThrowIfInvalid"/>.
/// </summary>
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

    /// <summary>The value of <c>model_type</c>; empty when it is missing, which is recorded as a problem.</summary>
    public string ModelType { get; private init; } = "";

    /// <summary>Keys with a value that nothing has asked for so far and that are not known to leave the outputs as they
    /// are. Complete once the model is built.</summary>
    public IReadOnlyList<string> UnknownKeys =>
        [.. root.Where(key => key.Value is not null && !asked.Contains(key.Key) && !InertConfigKeys.Contains(key.Key))
            .Select(key => key.Key)];

    /// <summary>Opens a file.</summary>
    /// <exception cref="InputException">The file is missing, is not a JSON object, or names no
    /// <c>model_type</c>.</exception>
    public static ConfigReader Open(string path)
    {
        if (!File.Exists(path))
            throw new InputException(
                $"{path} was not found. Expected a Hugging Face model folder with config.json and model.safetensors.");
        return Parse(SmallFile.ReadText(path), path);
    }

    /// <summary>Parses a text; <paramref name="file"/> is the name used in messages.</summary>
    /// <exception cref="InputException">The text is not a JSON object, or names no <c>model_type</c>.</exception>
    public static ConfigReader Parse(string json, string file)
    {
        JsonObject root = JsonObjects.Parse(json, file);
        if (root["model_type"] is not JsonValue value || !value.TryGetValue(out string? type))
            throw new InputException(
                $"{file}: the key model_type is missing, expected one of: " +
                $"{string.Join(", ", Families.FamilyRegistry.ModelTypes)}.");
        return new ConfigReader(root, file) { ModelType = type };
    }

    /// <summary>Whether the key stands in the file with a value other than null.</summary>
    public bool Has(string key) => Value(key) is not null;

    /// <summary>The largest width or vocabulary that is taken: sums and small multiples of sizes stay numbers that
    /// tensors have.</summary>
    public const int LargestSize = 1 << 24;

    /// <summary>A size, which must be there: a whole number from 1 to <see cref="LargestSize"/>.</summary>
    public int Positive(string key)
    {
        if (Number(key) is not { } number) return Missing(key, "a positive whole number", 1);
        return AtMost(key, CheckPositive(key, number), LargestSize);
    }

    /// <summary>As <see cref="Positive"/>, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public int SizeOr(string key, int otherwise) => AtMost(key, PositiveOr(key, otherwise), LargestSize);

    /// <summary>How many parts of a kind a model has, as experts; or <paramref name="otherwise"/> when the key is
    /// missing or null.</summary>
    public int CountOr(string key, int otherwise) => AtMost(key, PositiveOr(key, otherwise), MostParts);

    /// <summary>The number of a model's layers, which must be there.</summary>
    /// <remarks>Bounded, since a number that no model has would fill the memory before a weight is missed.</remarks>
    public int Layers(string key) => AtMost(key, Positive(key), MostParts);

    /// <summary>A whole number above zero, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public int PositiveOr(string key, int otherwise) =>
        Number(key) is { } number ? CheckPositive(key, number) : otherwise;

    /// <summary>A finite number, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public double NumberOr(string key, double otherwise) => Number(key) ?? otherwise;

    /// <summary>A number from 0 to 1, as shares, epsilons and standard deviations are; or <paramref name="otherwise"/>
    /// when the key is missing or null.</summary>
    public double ShareOr(string key, double otherwise)
    {
        if (Number(key) is not { } number) return otherwise;
        if (number is >= 0 and <= 1) return number;
        Reject(key, root[key]!.ToJsonString(), "a number from 0 to 1");
        return otherwise;
    }

    /// <summary>A token's number, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public int TokenOr(string key, int otherwise)
    {
        if (Number(key) is not { } number) return otherwise;
        if (number >= 0 && number < LargestSize && number == Math.Floor(number)) return (int)number;
        Reject(key, root[key]!.ToJsonString(), "a token's number, a whole number from 0");
        return otherwise;
    }

    /// <summary>A truth value, or <paramref name="otherwise"/> when the key is missing or null.</summary>
    public bool FlagOr(string key, bool otherwise)
    {
        if (Value(key) is not { } node) return otherwise;
        if (node.GetValueKind() is JsonValueKind.True or JsonValueKind.False) return node.GetValue<bool>();
        Reject(key, node.ToJsonString(), "true or false");
        return otherwise;
    }

    /// <summary>A text, or <paramref name="otherwise"/> when the key is missing or null.</summary>
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

    /// <summary>A list of texts, or null when the key is missing or null.</summary>
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

    /// <summary>Records that a key asks for what is not supported.</summary>
    public void Reject(string key, string found, string expected) =>
        problems.Add($"{file}: {key} is {found}; supported here: {expected}.");

    /// <summary>Ends the reading.</summary>
    /// <exception cref="InputException">Anything was wrong: every problem, each naming its key.</exception>
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
        Reject(key, number.ToString(), "a positive whole number");
        return 1;
    }

    private int AtMost(string key, int number, int most)
    {
        if (number <= most) return number;
        Reject(key, number.ToString(), $"1 to {most}");
        return 1;
    }

    private int Missing(string key, string expected, int stand)
    {
        problems.Add($"{file}: {key} is missing; expected {expected}.");
        return stand;
    }
}
