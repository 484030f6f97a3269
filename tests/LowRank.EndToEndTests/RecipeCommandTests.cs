using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary><c>lowrank init</c>, <c>validate</c> and <c>schema</c>.</summary>
public sealed class RecipeCommandTests : IDisposable
{
    private readonly TinyModel tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void A_recipe_begun_from_options_is_valid()
    {
        CommandResult begun =
            CommandLine.Run("init", tiny["a.yaml"], "--model", tiny.Folder, "--data", tiny.Data, "--schema");
        Assert.True(begun.ExitCode == 0, begun.Error);
        Assert.Contains("# yaml-language-server: $schema=recipe.schema.json", File.ReadAllText(tiny["a.yaml"]));
        Assert.Equal(CommandLine.Run("schema").Output, File.ReadAllText(tiny["recipe.schema.json"]));
        CommandResult valid =
            CommandLine.Run("validate", tiny["a.yaml"], "--json", "--set", "training.learning_rate=1e-6");
        Assert.True(valid.ExitCode == 0, valid.Error + valid.Output);
        using JsonDocument json = JsonDocument.Parse(valid.Output);
        Assert.True(json.RootElement.GetProperty("valid").GetBoolean());
        Assert.True(json.RootElement.GetProperty("total_steps").GetInt64() > 0);
        Assert.Contains("far below", json.RootElement.GetProperty("advice")[0].GetString());
        // nothing is replaced unasked
        Assert.Equal(2, CommandLine.Run("init", tiny["a.yaml"], "--model", tiny.Folder, "--data", tiny.Data).ExitCode);
    }

    [Fact]
    public void What_is_not_given_is_asked_for_until_it_fits()
    {
        CommandResult begun =
            CommandLine.RunWithInput($"/no/such\n{tiny.Folder}\n{tiny.Data}\n\n\n\nrun\n", "init", tiny["b.yaml"]);
        Assert.True(begun.ExitCode == 0, begun.Error);
        Assert.Contains("/no/such: there is no such folder", begun.Error);
        CommandResult ended = CommandLine.RunWithInput("", "init", tiny["c.yaml"]);
        Assert.Equal(2, ended.ExitCode);
        Assert.Contains("--model", ended.Error);
        Assert.False(File.Exists(tiny["c.yaml"]));
    }

    [Fact]
    public void Every_problem_is_found_before_any_work()
    {
        string recipe = tiny.Recipe("epochs: 1");
        CommandResult refused =
            CommandLine.Run("validate", recipe, "--set", "data.train=none.jsonl", "--set", "adapter.rank=0", "--json");
        Assert.Equal(2, refused.ExitCode);
        using JsonDocument json = JsonDocument.Parse(refused.Output);
        Assert.Equal(2, json.RootElement.GetProperty("problems").GetArrayLength());
        File.WriteAllText(tiny["lacking.jsonl"], "{\"question\": \"a\"}\n");
        using JsonDocument lacking = JsonDocument.Parse(
            CommandLine.Run("validate", recipe, "--set", $"data.train={tiny["lacking.jsonl"]}", "--json").Output);
        Assert.EndsWith("Use data.columns: {text: COLUMN}.",
            lacking.RootElement.GetProperty("problems")[0].GetString());
        CommandResult files =
            CommandLine.Run(
                "validate", recipe, "--set", "data.train=none.jsonl", "--set", "adapter.target_modules=[nothing]");
        Assert.Contains("none.jsonl", files.Error);
        Assert.Contains("nothing", files.Error);
    }
}
