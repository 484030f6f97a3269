using System.Globalization;
using System.Text.Json;

namespace LowRank.Server.Requests;

/// <summary>The fields of a request, or of an object in it: each is read once by its name, and what is wrong with any
/// of them is reported together.</summary>
/// <remarks>null counts as left out. A field that nobody has read is refused by <see cref="End"/>: none is ignored in
/// silence.</remarks>
internal sealed class RequestFields
{
    private readonly JsonElement element;
    private readonly string path;
    private readonly List<RequestProblem> problems;
    private readonly HashSet<string> known = new(StringComparer.Ordinal);

    /// <summary>The fields of a request's body.</summary>
    public RequestFields(JsonElement body) : this(body, "", []) { }

    private RequestFields(JsonElement element, string path, List<RequestProblem> problems) =>
        (this.element, this.path, this.problems) = (element, path, problems);

    /// <summary>What is wrong so far.</summary>
    public IReadOnlyList<RequestProblem> Problems => problems;

    /// <summary>Whether a field is given; it counts as read.</summary>
    public bool Has(string name) => Any(name) is not null;

    /// <summary>A field as it is; null if it is left out.</summary>
    public JsonElement? Any(string name)
    {
        known.Add(name);
        return element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? value : null;
    }

    /// <summary>A text.</summary>
    public string? Text(string name)
    {
        if (Any(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.String) return value.GetString();
        Wrong(name, value, "a text");
        return null;
    }

    /// <summary>A text that has to be there.</summary>
    public string RequiredText(string name)
    {
        if (Text(name) is { } text) return text;
        Require(name);
        return "";
    }

    /// <summary>One of several words.</summary>
    public string? Word(string name, params IReadOnlyList<string> words)
    {
        if (Text(name) is not { } text) return null;
        if (words.Contains(text)) return text;
        Problem(name, $"is \"{Shortened(text)}\", expected {string.Join(" or ", words)}");
        return null;
    }

    /// <summary>A whole number.</summary>
    public long? Whole(string name, long least, long most)
    {
        if (Any(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) && number >= least
            && number <= most) return number;
        Wrong(name, value, string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"));
        return null;
    }

    /// <summary>A whole number that fits into an <see cref="int"/>.</summary>
    public int? Count(string name, int least, int most = int.MaxValue) => (int?)Whole(name, least, most);

    /// <summary>A finite number.</summary>
    public double? Number(string name, double least, double most)
    {
        if (Any(name) is not { } value) return null;
        if (AsNumber(value) is { } number && number >= least && number <= most) return number;
        Wrong(name, value, string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}"));
        return null;
    }

    /// <summary>A truth value.</summary>
    public bool? Flag(string name)
    {
        if (Any(name) is not { } value) return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();
        Wrong(name, value, "true or false");
        return null;
    }

    /// <summary>An object, whose problems are reported with these.</summary>
    public RequestFields? Object(string name)
    {
        if (Any(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Object) return Inside(value, Full(name));
        Wrong(name, value, "an object");
        return null;
    }

    /// <summary>A list.</summary>
    public IReadOnlyList<JsonElement>? List(string name, int most)
    {
        if (Any(name) is not { } value) return null;
        if (value.ValueKind != JsonValueKind.Array)
        {
            Wrong(name, value, "a list");
            return null;
        }
        if (value.GetArrayLength() <= most) return [.. value.EnumerateArray()];
        Problem(name, string.Create(CultureInfo.InvariantCulture,
            $"has {value.GetArrayLength()} entries, expected at most {most}"), "too_many");
        return null;
    }

    /// <summary>A list of objects.</summary>
    public IReadOnlyList<RequestFields>? Objects(string name, int most)
    {
        if (List(name, most) is not { } list) return null;
        List<RequestFields> objects = [];
        foreach ((int number, JsonElement item) in list.Index())
        {
            string at = string.Create(CultureInfo.InvariantCulture, $"{name}[{number}]");
            if (item.ValueKind == JsonValueKind.Object) objects.Add(Inside(item, Full(at)));
            else Wrong(at, item, "an object");
        }
        return objects;
    }

    /// <summary>A list of texts, or a text alone.</summary>
    public IReadOnlyList<string>? Texts(string name, int most)
    {
        if (Any(name) is { ValueKind: JsonValueKind.String } alone) return [alone.GetString()!];
        if (List(name, most) is not { } list) return null;
        foreach ((int number, JsonElement item) in list.Index())
            if (item.ValueKind != JsonValueKind.String)
                Wrong(string.Create(CultureInfo.InvariantCulture, $"{name}[{number}]"), item, "a text");
        return [.. list.Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)];
    }

    /// <summary>Names fields that may be given and change nothing here.</summary>
    public void Accept(params ReadOnlySpan<string> names)
    {
        foreach (string name in names) known.Add(name);
    }

    /// <summary>Refuses fields that would change the answer and are not supported.</summary>
    /// <param name="why">The end of a sentence that begins with the field.</param>
    /// <param name="names">The fields.</param>
    public void Refuse(string why, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
            if (Has(name)) Problem(name, why, "unsupported_parameter");
    }

    /// <summary>Refuses a field that is missing.</summary>
    public void Require(string name)
    {
        if (!Has(name)) Problem(name, "is missing", "missing_required_parameter");
    }

    /// <summary>Adds a problem.</summary>
    /// <param name="name">The field.</param>
    /// <param name="what">The end of a sentence that begins with the field.</param>
    /// <param name="code">What is wrong, for programs.</param>
    public void Problem(string name, string what, string code = "invalid_value")
    {
        var problem = new RequestProblem(Full(name), $"`{Full(name)}` {what}", code);
        if (!problems.Contains(problem)) problems.Add(problem); // a field may be read twice
    }

    /// <summary>Adds a problem of a value of another kind than expected.</summary>
    public void Wrong(string name, JsonElement value, string expected) =>
        Problem(name, $"is {Describe(value)}, expected {expected}");

    /// <summary>Refuses fields that nobody has read.</summary>
    public void RefuseOthers()
    {
        foreach (JsonProperty property in element.EnumerateObject())
            if (!known.Contains(property.Name))
                Problem(Shortened(property.Name), "is not a field of this request", "unknown_parameter");
    }

    /// <summary>Refuses fields that nobody has read, and reports all problems.</summary>
    /// <exception cref="ApiException">There are problems.</exception>
    public void End()
    {
        RefuseOthers();
        ThrowIfAny();
    }

    /// <summary>Reports all problems.</summary>
    /// <exception cref="ApiException">There are problems.</exception>
    public void ThrowIfAny()
    {
        const int Named = 20;
        if (problems.Count == 0) return;
        string all = string.Join("; ", problems.Take(Named).Select(problem => problem.Text))
            + (problems.Count > Named ? string.Create(
                CultureInfo.InvariantCulture, $"; and {problems.Count - Named} more") : "");
        throw ApiException.Invalid(all + ".", problems[0].Field, problems[0].Code);
    }

    /// <summary>The object as it is.</summary>
    public JsonElement Element => element;

    /// <summary>A value in words for messages: what it is, and itself if it is short.</summary>
    public static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => $"\"{Shortened(value.GetString()!)}\"",
        JsonValueKind.Number => Shortened(value.GetRawText()),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };

    /// <summary>A finite number; null for anything else.</summary>
    public static double? AsNumber(JsonElement value) => value.ValueKind == JsonValueKind.Number
        && value.TryGetDouble(out double number) && double.IsFinite(number) ? number : null;

    /// <summary>A text from a client as messages may quote it.</summary>
    public static string Shortened(string text)
    {
        const int Longest = 60;
        string plain = new([.. text.Take(Longest).Select(letter => char.IsControl(letter) ? ' ' : letter)]);
        if (plain.Length > 0 && char.IsHighSurrogate(plain[^1])) plain = plain[..^1];
        return text.Length > Longest ? plain + "…" : plain;
    }

    private RequestFields Inside(JsonElement value, string at) => new(value, at, problems);

    private string Full(string name) => path.Length == 0 ? name : $"{path}.{name}";
}

/// <summary>What is wrong with a field.</summary>
/// <param name="Field">Its full name.</param>
/// <param name="Text">What is wrong, a sentence without its full stop.</param>
/// <param name="Code">What is wrong, for programs.</param>
internal sealed record RequestProblem(string Field, string Text, string Code);
