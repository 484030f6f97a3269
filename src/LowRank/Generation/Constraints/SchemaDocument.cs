using System.Globalization;
using System.Text.Json;

namespace LowRank.Generation;

/// <summary>A schema within a document.</summary>
/// <param name="Schema">The schema.</param>
/// <param name="Path">Where it stands: a JSON Pointer after #.</param>
internal sealed record SchemaPlace(JsonElement Schema, string Path)
{
    /// <summary>A schema inside of this one.</summary>
    public SchemaPlace In(JsonElement schema, params IReadOnlyList<string> names) =>
        new(schema, Path + string.Concat(names.Select(name => "/" + Escaped(name))));

    public bool Equals(SchemaPlace? other) => other is not null && Path == other.Path;

    public override int GetHashCode() => Path.GetHashCode(StringComparison.Ordinal);

    private static string Escaped(string name) =>
        name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);
}

/// <summary>A JSON Schema with everything that it refers to.</summary>
internal sealed class SchemaDocument
{
    private const int MostNested = 100;
    private const int MostShown = 20; // problems

    private readonly Dictionary<string, SchemaPlace> anchors = new(StringComparer.Ordinal);
    private readonly List<string> problems = [];
    private readonly HashSet<string> reported = new(StringComparer.Ordinal);
    private readonly string? id;

    public SchemaDocument(JsonElement root)
    {
        Root = new SchemaPlace(root, "#");
        if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("$id", out JsonElement name)
            && name.ValueKind == JsonValueKind.String)
            id = name.GetString()!.TrimEnd('#');
        Index(Root, 0);
    }

    /// <summary>What compiling it may cost: a few seconds at most.</summary>
    public WorkBudget Budget { get; } = new(30_000_000);

    /// <summary>The whole schema.</summary>
    public SchemaPlace Root { get; }

    /// <summary>Notes a problem.</summary>
    public void Report(SchemaPlace place, string? keyword, string problem)
    {
        string path = keyword is null ? place.Path : place.In(place.Schema, keyword).Path;
        if (reported.Add(path)) problems.Add($"{path}: {problem}");
    }

    /// <summary>Throws if there were problems.</summary>
    public void Check()
    {
        if (problems.Count == 0) return;
        IEnumerable<string> shown = problems.Take(MostShown);
        if (problems.Count > MostShown) shown = shown.Append($"and {problems.Count - MostShown} more");
        throw new InputException("The JSON Schema cannot be used:", [.. shown]);
    }

    /// <summary>What a reference refers to; null, and reported, if that is not in the document.</summary>
    public SchemaPlace? Find(SchemaPlace from, string reference)
    {
        string local = id is { Length: > 0 } && (reference == id
            || reference.StartsWith(id + "#", StringComparison.Ordinal)) ? reference[id.Length..] : reference;
        if (local is "" or "#") return Root;
        if (local[0] != '#')
        {
            Report(from, "$ref", $"\"{reference}\" is outside of the schema; only references into the schema itself, " +
                "such as \"#/$defs/name\", are supported");
            return null;
        }
        SchemaPlace? found = local[1] == '/' ? Follow(local[2..]) : anchors.GetValueOrDefault(local[1..]);
        if (found is null) Report(from, "$ref", $"\"{reference}\" is not in the schema");
        return found;
    }

    private SchemaPlace? Follow(string pointer)
    {
        SchemaPlace at = Root;
        foreach (string part in pointer.Split('/'))
        {
            string name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal)
                .Replace("~0", "~", StringComparison.Ordinal);
            JsonElement inner;
            if (at.Schema.ValueKind == JsonValueKind.Object && at.Schema.TryGetProperty(name, out inner))
                at = at.In(inner, name);
            else if (at.Schema.ValueKind == JsonValueKind.Array && int.TryParse(name, NumberStyles.None,
                CultureInfo.InvariantCulture, out int index) && index >= 0
                && index < at.Schema.GetArrayLength())
                at = at.In(at.Schema[index], name);
            else return null;
        }
        return at;
    }

    // Finds anchors, and schemas that are documents of their own.
    private void Index(SchemaPlace place, int depth)
    {
        if (depth > MostNested) throw new InputException(
            $"The JSON Schema is nested more than {MostNested} deep. Make it flatter.");
        if (place.Schema.ValueKind != JsonValueKind.Object) return;
        foreach (JsonProperty keyword in place.Schema.EnumerateObject())
        {
            if (keyword.Name == "$anchor" && keyword.Value.ValueKind == JsonValueKind.String)
                anchors[keyword.Value.GetString()!] = place;
            if (keyword.Name == "$id" && depth > 0 && keyword.Value.ValueKind == JsonValueKind.String)
                Report(place, "$id", "is supported at the root alone: references are resolved within one document");
            foreach (SchemaPlace inner in SchemaKeywords.Inside(place, keyword)) Index(inner, depth + 1);
        }
    }
}
