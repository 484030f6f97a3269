using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

/// <summary>The recipes whose data the environment names, and the form of data that one of them reads.</summary>
public sealed class OutsideDataRecipeTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-outside-");

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("E2E", null);
        Environment.SetEnvironmentVariable("WIKISQL", null);
        folder.Delete(recursive: true);
    }

    [Fact]
    public void The_recipes_take_their_folders_from_the_environment_and_can_be_run()
    {
        string[] meanings = ["name : Alimentum | area : city centre", "name : Blue Spice | food : Chinese"];
        string text = string.Concat(
            meanings.Select(meaning => $"{meaning}||A sentence on it . \n{meaning}||Another one . \n"));
        foreach (string name in new[] { "valid.txt", "test.txt" })
            File.WriteAllText(Path.Combine(folder.FullName, name), text);
        foreach (string name in new[] { "train.jsonl", "valid.jsonl", "test.jsonl" })
            File.WriteAllText(Path.Combine(folder.FullName, name), """{"text": "Q: who? A: SELECT name"}""" + "\n");
        Environment.SetEnvironmentVariable("E2E", folder.FullName);
        Environment.SetEnvironmentVariable("WIKISQL", folder.FullName);
        using (RecipeRun e2e = RecipeRun.Prepare(
            Load("recipes/e2e.yaml", "comparison.references=2", "comparison.max_new_tokens=3")))
            Assert.Equal(["bleu_13a", "bleu_e2e", "chrf", "rouge_l"], e2e.Measure()!.Metrics.Keys.Order());
        using RecipeRun wikisql = RecipeRun.Prepare(Load("recipes/wikisql.yaml"));
        Assert.InRange(wikisql.Measure()!.Loss, 0.1, 20);
    }

    private static Recipe Load(string path, params string[] overrides) =>
        Recipe.Load(Path.Combine(RepositoryFiles.Root, path), overrides);

    [Fact]
    public void Lines_of_a_text_file_are_prompts_and_completions()
    {
        string path = Path.Combine(folder.FullName, "rows.txt");
        File.WriteAllText(path, "a : b | c||One . \n\nd||Two||x\n||y\n");
        InputException failure = Assert.Throws<InputException>(() => RowSource.Load([path]));
        Assert.Contains($"2 rows, first at {path}:3: the line contains \"||\" 2 times; expected prompt||completion",
            failure.Message, StringComparison.Ordinal);
        File.WriteAllText(path, "a : b | c||One . \n");
        Row row = Assert.Single(RowSource.Load([path]));
        Assert.Equal(("a : b | c\n", "One ."), (row.Text("prompt"), row.Text("completion")));
    }
}
