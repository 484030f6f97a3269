using System.Text.Json;

namespace LowRank.EndToEndTests;

public sealed class SweepCommandTests
{
    private static string Recipe(TinyModel model, string training = "steps: 6\n  eval_every: 2")
    {
        string recipe = model.Recipe(training, "target_modules: all-linear");
        File.WriteAllText(recipe, File.ReadAllText(recipe).Replace("train: data.jsonl", "train: data.jsonl\n  validation: data.jsonl", StringComparison.Ordinal));
        return recipe;
    }

    [Fact]
    public void A_sweep_runs_each_combination_once_and_names_the_best()
    {
        using var model = new TinyModel();
        string[] sweep = ["sweep", Recipe(model), "--grid", "adapter.rank=2", "--grid", "training.learning_rate=1e-9,1e-2", "--output", model["sweep"], "--parallel", "2"];
        CommandResult first = CommandLine.Run(sweep).Succeeded();
        Assert.Contains("Best: adapter.rank=2 training.learning_rate=1e-2 with eval_loss", first.Output, StringComparison.Ordinal);
        JsonElement state = JsonDocument.Parse(File.ReadAllText(model["sweep/sweep.json"])).RootElement;
        Assert.Equal("rank=2_learning_rate=1e-2", state.GetProperty("best").GetString());
        Assert.All(state.GetProperty("runs").EnumerateArray(), run => Assert.Equal("finished", run.GetProperty("state").GetString()));
        Assert.StartsWith("<svg", File.ReadAllText(model["sweep/sweep.svg"]).Split('\n').First(line => line.StartsWith("<svg", StringComparison.Ordinal)), StringComparison.Ordinal);
        DateTime written = File.GetLastWriteTimeUtc(model["sweep/rank=2_learning_rate=1e-2/metrics.jsonl"]);
        Assert.Contains("2 of them finished before", CommandLine.Run(sweep).Succeeded().Output, StringComparison.Ordinal);
        Assert.Equal(written, File.GetLastWriteTimeUtc(model["sweep/rank=2_learning_rate=1e-2/metrics.jsonl"]));
        JsonElement runs = JsonDocument.Parse(CommandLine.Run("runs", model["sweep"], "--json", "--sort", "loss").Succeeded().Output).RootElement;
        Assert.Equal(["rank=2_learning_rate=1e-2", "rank=2_learning_rate=1e-9"], runs.EnumerateArray().Select(run => run.GetProperty("folder").GetString()));
    }

    [Fact]
    public void Combinations_that_cannot_be_run_are_reported_before_any_work()
    {
        using var model = new TinyModel();
        CommandResult result = CommandLine.Run("sweep", Recipe(model), "--grid", "adapter.target_modules=all-linear,[nothing_like_it]", "--grid", "training.schedule=linear,square", "--output", model["sweep"]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("training.schedule=square", result.Error, StringComparison.Ordinal);
        Assert.Contains("nothing_like_it", result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(model["sweep"]));
        CommandResult without = CommandLine.Run("sweep", model.Recipe("steps: 1"), "--grid", "adapter.rank=2,4");
        Assert.Equal(2, without.ExitCode);
        Assert.Contains("no data.validation", without.Error, StringComparison.Ordinal);
    }
}
