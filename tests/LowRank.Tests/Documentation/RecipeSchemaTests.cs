using System.Text.Json;
using System.Text.RegularExpressions;
using LowRank.Recipes;

namespace LowRank.Tests.Documentation;

/// <summary>What is published of the keys of recipes: the schema and the table of docs/recipes.md, both of their
/// declarations.</summary>
public sealed partial class RecipeSchemaTests
{
    private const string Path = "recipes/recipe.schema.json", Page = "docs/recipes.md";

    [Fact]
    public void The_published_schema_is_that_of_the_keys() => AssertPublished(Path, _ => RecipeSchema.Build());

    [Fact]
    public void The_table_of_the_recipe_page_is_that_of_the_keys() => AssertPublished(Page,
        page => Table().Replace(page, RecipeSchema.Table().Replace("$", "$$", StringComparison.Ordinal), 1));

    private static void AssertPublished(string path, Func<string, string> make)
    {
        string published = RepositoryFiles.Read(path), made = make(published);
        if (Environment.GetEnvironmentVariable("LOWRANK_WRITE_DOCS") == "1")
            File.WriteAllText(System.IO.Path.Combine(RepositoryFiles.Root, path), made);
        Assert.Contains(RecipeSchema.Keys[^1].Split('.')[^1], published);
        Assert.True(RepositoryFiles.Read(path) == made,
            $"{path} is not what the keys declare; run the tests once with LOWRANK_WRITE_DOCS=1, look at the change " +
            "and commit it.");
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

    [GeneratedRegex(
        @"^\| key \| default \| meaning \|\n(\|.*\n)+", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Table();
}
