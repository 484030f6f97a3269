using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary><c>lowrank bench optimizer</c> and <c>lowrank bench load</c>.</summary>
public sealed class StartBenchTests
{
    [Fact]
    public void A_step_of_the_optimizer_is_measured_next_to_a_copy()
    {
        using JsonDocument json = JsonDocument.Parse(
            CommandLine.Run("bench", "optimizer", "--weights", "40000", "--tensors", "4", "--repeats", "3", "--json")
            .Succeeded().Output);
        JsonElement found = json.RootElement;
        Assert.Equal(7 * 4 * 40000, found.GetProperty("bytes_touched").GetInt64());
        Assert.Equal(found.GetProperty("step_milliseconds").GetDouble() / found.GetProperty("copy_milliseconds")
            .GetDouble(), found.GetProperty("step_over_copy").GetDouble(), 1e-9);
        Assert.Equal("lowrank bench optimizer --weights 40000 --tensors 4 --repeats 3 --json",
            found.GetProperty("command").GetString());
        CommandResult refused = CommandLine.Run("bench", "optimizer", "--weights", "3", "--tensors", "4");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("--weights 3, --tensors 4", refused.Error);
    }

    [Fact]
    public void A_start_is_measured_part_by_part()
    {
        using JsonDocument json = JsonDocument.Parse(
            CommandLine.Run("bench", "load", "base", "--rows", "16", "--length", "16", "--rounds", "1", "--json")
            .Succeeded().Output);
        JsonElement[] parts = [.. json.RootElement.GetProperty("parts").EnumerateArray()];
        Assert.Equal(
            ["process and runtime", "program", "recipe", "compute type", "model", "tokenizer", "task", "data",
                "adapter", "keys", "advice", "first step"],
            parts.Select(part => part.GetProperty("name").GetString())
            .Where(name =>
            name is not ("native library" or "device" or "output folder" or "fetching"
            or "optimizer and output folder")));
        double sum = parts.Sum(part => part.GetProperty("seconds").GetDouble()),
            step = json.RootElement.GetProperty("step_seconds").GetDouble();
        Assert.All(parts, part => Assert.InRange(part.GetProperty("seconds").GetDouble(), 0, sum));
        Assert.True(step > 0);
        Assert.Equal(sum - step, json.RootElement.GetProperty("beyond_step").GetDouble(), 1e-9);
    }

    [Fact]
    public void The_start_of_a_recipe_is_measured_without_the_rest_of_its_run()
    {
        using var model = new TinyModel();
        string recipe = model.Recipe("steps: 100000000");
        using JsonDocument json = JsonDocument.Parse(
            CommandLine.Run("bench", "load", recipe, "--rounds", "2", "--json").Succeeded().Output);
        string?[] parts = [.. json.RootElement.GetProperty("parts").EnumerateArray()
            .Select(part => part.GetProperty("name").GetString())];
        Assert.Equal("process and runtime", parts[0]);
        Assert.Equal("first step", parts[^1]);
        Assert.False(Directory.Exists(model["run"]));
        CommandResult refused = CommandLine.Run("bench", "load", recipe, "--rows", "16");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("--rows has no effect with a recipe", refused.Error, StringComparison.Ordinal);
        CommandResult tooShort = CommandLine.Run("bench", "load", model.Recipe("steps: 1"), "--rounds", "1");
        Assert.Equal(2, tooShort.ExitCode);
        Assert.Contains("Found a run of 1 step", tooShort.Error, StringComparison.Ordinal);
    }
}
