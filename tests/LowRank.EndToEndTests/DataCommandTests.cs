using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary><c>lowrank data</c>, as its users run it.</summary>
public sealed class DataCommandTests
{
    [Fact]
    public void Rows_are_shown_as_the_model_will_see_them_and_wrong_ones_are_an_error()
    {
        using var folder = new TemporaryFolder();
        string model = Path.Combine(CommandLine.Repository, "models", "base");
        File.WriteAllText(folder["rows.csv"], "question,answer\n\"name: The\nLamp\",It is a hotel.\nx,\n");
        File.WriteAllText(
            folder["recipe.yaml"],
            $"model: {model}\ndata:\n  train: rows.csv\n  columns: {{prompt: question, completion: " +
            "answer}\noutput: out\n");
        CommandResult shown = CommandLine.Run("data", folder["recipe.yaml"]);
        Assert.Equal(2, shown.ExitCode);
        Assert.Contains(
            "rows.csv:4: the row has no \"answer\", which data.columns gives for \"completion\"; columns found: " +
            "\"question\"",
            shown.Output, StringComparison.Ordinal);
        Assert.Contains("│ Lamp⟦It is a hotel.<|end|>⟧", shown.Output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', shown.Output);
        using JsonDocument json = JsonDocument.Parse(
            CommandLine.Run("data", folder["recipe.yaml"], "--json", "--set", "data.on_bad_row=skip")
            .Succeeded().Output);
        JsonElement part = json.RootElement.GetProperty("training")[0];
        Assert.Equal((1, 1), (part.GetProperty("rows").GetInt32(), part.GetProperty("wrong_rows").GetInt32()));
        Assert.EndsWith(
            "rows.csv:2", part.GetProperty("examples")[0].GetProperty("place").GetString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["out"]));
    }

    [Fact]
    public void Rows_without_a_recipe_are_read_from_standard_input()
    {
        string model = Path.Combine(CommandLine.Repository, "models", "base");
        CommandResult shown = CommandLine.RunWithInput("frage;antwort\nname: The Lamp\n;It is a hotel.\nx;y\n", "data",
            "--model", model, "--data", "-", "--columns", "prompt=frage", "--columns", "completion=antwort",
            "--examples", "1");
        Assert.Equal(2, shown.ExitCode);
        Assert.Contains(
            "standard input:2: the row has 1 fields, expected 2 (frage, antwort)", shown.Output,
            StringComparison.Ordinal);
        Assert.Contains("rows are read as --columns say: columns prompt=frage, completion=antwort", shown.Error,
            StringComparison.Ordinal);
        Assert.Contains("x⟦y<|end|>⟧", shown.Output, StringComparison.Ordinal);
        CommandResult both = CommandLine.Run("data", "recipe.yaml", "--data", "-");
        Assert.Equal(2, both.ExitCode);
        Assert.Contains("--data has no effect with a recipe", both.Error, StringComparison.Ordinal);
    }
}
