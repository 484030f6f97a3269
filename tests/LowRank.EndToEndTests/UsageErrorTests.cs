using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary>Bad usage and bad input end with exit code 2, a message on standard error and no stack trace.</summary>
public sealed class UsageErrorTests
{
    private static string Refused(params string[] arguments)
    {
        CommandResult result = CommandLine.Run(arguments);
        Assert.Equal(2, result.ExitCode);
        Assert.Equal("", result.Output);
        Assert.DoesNotContain("   at ", result.Error);
        return result.Error;
    }

    [Fact]
    public void Unknown_options_and_missing_ones_are_named()
    {
        Assert.Contains("--nonsense", Refused("train", "x.yaml", "--nonsense"));
        Assert.Contains("--prompt", Refused("generate", "--model", "m"));
        Assert.Contains("See 'lowrank generate --help'.", Refused("generate"));
        Assert.Contains("notacommand", Refused("notacommand"));
    }

    [Fact]
    public void A_recipe_reports_all_its_problems_with_their_lines()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(
            folder["r.yaml"],
            "model: m\ndata:\n  train: t.jsonl\nadapter:\n  rnak: 4\ntraining:\n  steps: many\noutput: o\n");
        string error = Refused("train", folder["r.yaml"], "--set", "training.seed=x");
        Assert.Contains("5 problems", error);
        Assert.Contains("t.jsonl was not found", error);
        Assert.Contains(
            "r.yaml, line 5, column 3: adapter.rnak is not a key of a recipe; did you mean adapter.rank?", error);
        Assert.Contains(
            "r.yaml, line 7, column 10: training.steps is many, expected a whole number of at least 1", error);
        Assert.Contains("--set training.seed=x: training.seed is x, expected a whole number of at least 0", error);
        Assert.False(Directory.Exists(folder["o"]));
    }

    [Fact]
    public void Files_that_are_not_there_are_named()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("no/such.yaml was not found", Refused("train", "no/such.yaml"));
        Assert.Contains("no/such", Refused("inspect", "no/such"));
        // A model may be on the Hub: what is here is looked for first.
        Assert.Contains("x.jsonl was not found", Refused("eval", "--model", "no/such", "--data", "x.jsonl"));
        File.WriteAllText(folder["x.jsonl"], "{\"text\": \"a\"}\n");
        Assert.Contains("no/such", Refused("eval", "--model", "no/such", "--data", folder["x.jsonl"]));
    }

    [Fact]
    public void With_verbose_an_error_says_where_it_came_from()
    {
        CommandResult result = CommandLine.Run("inspect", "no/such", "--verbose");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("   at ", result.Error);
    }

    [Theory]
    [InlineData("train")]
    [InlineData("generate")]
    [InlineData("eval")]
    [InlineData("merge")]
    [InlineData("inspect")]
    [InlineData("logits")]
    [InlineData("tokenize")]
    public void Every_command_explains_itself_with_an_example(string command)
    {
        string help = CommandLine.Run(command, "--help").Succeeded().Output;
        Assert.Contains("Example:", help);
        Assert.Contains($"lowrank {command} ", help);
        Assert.Contains(command, CommandLine.Run("--help").Succeeded().Output);
    }

    [Fact]
    public void Inspect_tells_of_a_model_and_of_an_adapter()
    {
        string golden =
            Path.Combine(CommandLine.Repository, "tests", "LowRank.ParityTests", "Fixtures", "goldens", "llama");
        JsonElement model = Json(CommandLine.Run("inspect", golden, "--json").Succeeded());
        Assert.Equal("model", model.GetProperty("kind").GetString());
        Assert.Equal("llama", model.GetProperty("model_type").GetString());
        Assert.Equal("F32", model.GetProperty("dtype").GetString());
        Assert.Equal(4 * model.GetProperty("parameters").GetInt64(), model.GetProperty("bytes").GetInt64());

        JsonElement adapter = Json(CommandLine.Run("inspect", Path.Combine(golden, "trained"), "--json").Succeeded());
        Assert.Equal("adapter", adapter.GetProperty("kind").GetString());
        JsonElement[] modules = [.. adapter.GetProperty("modules").EnumerateArray()];
        Assert.Equal(adapter.GetProperty("trainable_parameters").GetInt64(),
            modules.Sum(module => module.GetProperty("parameters").GetInt64()));
        int rank = adapter.GetProperty("rank").GetInt32();
        Assert.All(modules, module => Assert.InRange(module.GetProperty("effective_rank").GetDouble(), 1, rank));
        Assert.All(modules, module => Assert.True(module.GetProperty("norm").GetDouble() > 0));

        string table = CommandLine.Run("inspect", Path.Combine(golden, "trained")).Succeeded().Output;
        Assert.Contains("effective rank", table);
        Assert.DoesNotContain('\u001b', table);
    }

    private static JsonElement Json(CommandResult result) => JsonDocument.Parse(result.Output).RootElement;
}
