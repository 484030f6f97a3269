using System.Text.Encodings.Web;
using System.Text.Json;
using LowRank.Generation;

namespace LowRank.Tests.Generation.Constraints;

/// <summary>The official JSON-Schema-Test-Suite, draft 2020-12: each schema is refused, naming a path, or every valid
/// instance is accepted and every invalid one rejected.</summary>
public sealed class JsonSchemaSuiteTests
{
    private static readonly string Folder =
        Path.Combine(RepositoryFiles.Root, "tests", "LowRank.Tests", "Fixtures", "json-schema-suite");

    private static readonly JsonSerializerOptions Relaxed =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // The exceptions, each by name: "refused" with the paths that are named, "narrower" for valid instances that are
    // never written (other spellings of numbers, rare forms of formats), "wider" for invalid ones that could be.
    [Fact]
    public void All_cases_are_as_the_suite_says_but_for_those_listed()
    {
        List<string> found = [];
        int right = 0;
        foreach (string path in Directory.EnumerateFiles(Folder, "*.json", SearchOption.AllDirectories)
            .Order(StringComparer.Ordinal))
        {
            using var file = JsonDocument.Parse(File.ReadAllText(path));
            string name = Path.GetRelativePath(Folder, path)[..^".json".Length].Replace('\\', '/');
            foreach (JsonElement group in file.RootElement.EnumerateArray()) right += Run(name, group, found);
        }
        Assert.InRange(right, 1000, int.MaxValue);
        Assert.Equal(File.ReadAllLines(Path.Combine(Folder, "exceptions.txt")), found);
    }

    private static int Run(string file, JsonElement group, List<string> found)
    {
        string place = $"{file}: {group.GetProperty("description").GetString()}";
        JsonElement schema = group.GetProperty("schema");
        TokenConstraint constraint;
        try
        {
            constraint = TextConstraint.JsonSchema(schema).Compile(ConstraintCases.Bytes);
        }
        catch (InputException e)
        {
            string paths = string.Join(' ', e.Problems.Select(problem => problem.Split(": ")[0]));
            bool isEmpty = e.Message.Contains("allows no value", StringComparison.Ordinal);
            found.Add($"refused | {place} | {(isEmpty ? "allows nothing" : paths)}");
            return 0;
        }
        List<string> names = [];
        Collect(schema, names);
        int right = 0;
        foreach (JsonElement test in group.GetProperty("tests").EnumerateArray())
        {
            bool isValid = test.GetProperty("valid").GetBoolean();
            if (constraint.Accepts(Write(test.GetProperty("data"), names)) == isValid) right++;
            else
                found.Add($"{(isValid ? "narrower" : "wider")} | {place} | " +
                    test.GetProperty("description").GetString());
        }
        return right;
    }

    // Names of properties in the order in which the schema has them.
    private static void Collect(JsonElement schema, List<string> names)
    {
        if (schema.ValueKind == JsonValueKind.Array)
            foreach (JsonElement inner in schema.EnumerateArray()) Collect(inner, names);
        if (schema.ValueKind != JsonValueKind.Object) return;
        foreach (JsonProperty keyword in schema.EnumerateObject())
        {
            if (keyword is { Name: "properties", Value.ValueKind: JsonValueKind.Object })
                names.AddRange(keyword.Value.EnumerateObject().Select(property => property.Name));
            if (keyword is { Name: "required", Value.ValueKind: JsonValueKind.Array })
                names.AddRange(keyword.Value.EnumerateArray()
                    .Where(name => name.ValueKind == JsonValueKind.String).Select(name => name.GetString()!));
            Collect(keyword.Value, names);
        }
    }

    // As Python's json.dumps, with properties in the schema's order.
    private static string Write(JsonElement value, List<string> names) => value.ValueKind switch
    {
        JsonValueKind.Object => $"{{{string.Join(", ", value.EnumerateObject()
            .OrderBy(property => names.IndexOf(property.Name) is >= 0 and int place ? place : int.MaxValue)
            .Select(property => $"{Quoted(property.Name)}: {Write(property.Value, names)}"))}}}",
        JsonValueKind.Array => $"[{string.Join(", ", value.EnumerateArray().Select(item => Write(item, names)))}]",
        JsonValueKind.String => Quoted(value.GetString()!),
        _ => value.GetRawText(),
    };

    private static string Quoted(string text) => JsonSerializer.Serialize(text, Relaxed);
}
