using System.Text.Json;
using System.Text.RegularExpressions;
using LowRank.Recipes;

namespace LowRank.Tests.Documentation;

/// <summary>The published schema of recipes: what the reader asks for, described as docs/recipes.md describes
/// it.</summary>
public sealed partial class RecipeSchemaTests
{
    private const string Path = "recipes/recipe.schema.json";

    private static Dictionary<string, string> Described { get; } = Row()
        .Matches(RepositoryFiles.Read("docs/recipes.md").Split("## Tasks")[0])
        .SelectMany(row => Code().Matches(row.Groups["keys"].Value)
        .Select(key =>
        (Key: key.Groups["key"].Value, Text: Plain(row.Groups["text"].Value, row.Groups["default"].Value))))
        .ToDictionary(entry => entry.Key, entry => entry.Text);

    [Fact]
    public void The_published_schema_is_that_of_the_reader()
    {
        string built = RecipeSchema.Build(Described.GetValueOrDefault);
        if (Environment.GetEnvironmentVariable("LOWRANK_WRITE_DOCS") == "1")
            File.WriteAllText(System.IO.Path.Combine(RepositoryFiles.Root, Path), built);
        Assert.True(RepositoryFiles.Read(Path) == built,
            $"{Path} is not what the reader asks for; run the tests once with LOWRANK_WRITE_DOCS=1, look at the " +
            "change and commit it.");
    }

    [Fact]
    public void Every_key_has_a_type_and_a_description()
    {
        using JsonDocument schema = JsonDocument.Parse(RepositoryFiles.Read(Path));
        int keys = 0;
        void Check(JsonElement properties, string section)
        {
            foreach (JsonProperty property in properties.EnumerateObject())
            {
                string full = section.Length == 0 ? property.Name : $"{section}.{property.Name}";
                Assert.True(property.Value.TryGetProperty("type", out _) || property.Value.TryGetProperty("enum", out _)
                    || property.Value.TryGetProperty("anyOf", out _), full);
                if (property.Value.TryGetProperty("properties", out JsonElement inner)) Check(inner, full);
                else if (section != "adapter.method_options")
                    Assert.True(property.Value.TryGetProperty("description", out JsonElement text)
                        && text.GetString()!.Length > 10, full);
                keys++;
            }
        }
        Check(schema.RootElement.GetProperty("properties"), "");
        Assert.True(keys > 60, $"only {keys} keys were seen");
    }

    [Theory]
    [InlineData("training.schedule", "enum")]
    [InlineData("training.dropout", null)]
    [InlineData("adapter.dropout", "exclusiveMaximum")]
    [InlineData("adapter.rank", "minimum")]
    [InlineData("training.learning_rate", "exclusiveMinimum")]
    [InlineData("task_options.problem", "enum")]
    public void Limits_of_the_reader_are_limits_of_the_schema(string key, string? limit)
    {
        using JsonDocument schema = JsonDocument.Parse(RepositoryFiles.Read(Path));
        JsonElement at = schema.RootElement;
        bool found = true;
        foreach (string part in key.Split('.'))
            found = found && at.GetProperty("properties").TryGetProperty(part, out at);
        Assert.Equal(limit is not null, found);
        if (limit is not null) Assert.True(at.TryGetProperty(limit, out _), at.GetRawText());
    }

    private static string Plain(string text, string otherwise) =>
        Markdown().Replace(
            $"{text.Trim()}{(otherwise.Trim() is "required" or "none" ? "" : $" (default: {otherwise.Trim()})")}",
            "${text}").Replace("`", "", StringComparison.Ordinal);

    [GeneratedRegex(
        @"^\| (?<keys>`[a-z].*?) \|(?<default>[^|]*)\|(?<text>.*)\|$",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Row();

    [GeneratedRegex("`(?<key>[a-z0-9_.]+)`", RegexOptions.ExplicitCapture)]
    private static partial Regex Code();

    [GeneratedRegex(@"\[(?<text>[^\]]+)\]\([^)]+\)", RegexOptions.ExplicitCapture)]
    private static partial Regex Markdown();
}
