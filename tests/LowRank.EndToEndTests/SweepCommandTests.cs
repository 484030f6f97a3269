using System.Diagnostics;
using System.Text.Json;
using LowRank.Training;

namespace LowRank.EndToEndTests;

public sealed class SweepCommandTests
{
    private static string Recipe(TinyModel model, string training = "steps: 6\n  eval_every: 2")
    {
        string recipe = model.Recipe(training, "target_modules: all-linear");
        File.WriteAllText(
            recipe, File.ReadAllText(recipe)
            .Replace("train: data.jsonl", "train: data.jsonl\n  validation: data.jsonl", StringComparison.Ordinal));
        return recipe;
    }

    [Fact]
    public void A_sweep_runs_each_combination_once_and_names_the_best()
    {
        using var model = new TinyModel();
        string[] sweep =
            ["sweep", Recipe(model), "--grid", "adapter.rank=2", "--grid", "training.learning_rate=1e-9,1e-2",
            "--output", model["sweep"], "--parallel", "2"];
        CommandResult first = CommandLine.Run(sweep).Succeeded();
        Assert.Contains(
            "Best: adapter.rank=2 training.learning_rate=1e-2 with eval_loss", first.Output, StringComparison.Ordinal);
        JsonElement state = JsonDocument.Parse(File.ReadAllText(model["sweep/sweep.json"])).RootElement;
        Assert.Equal("rank=2_learning_rate=1e-2", state.GetProperty("best").GetString());
        Assert.All(state.GetProperty("runs").EnumerateArray(),
            run => Assert.Equal("finished", run.GetProperty("state").GetString()));
        Assert.StartsWith(
            "<svg", File.ReadAllText(model["sweep/sweep.svg"]).Split('\n')
            .First(line => line.StartsWith("<svg", StringComparison.Ordinal)), StringComparison.Ordinal);
        DateTime written = File.GetLastWriteTimeUtc(model["sweep/rank=2_learning_rate=1e-2/metrics.jsonl"]);
        Assert.Contains(
            "2 of them finished before", CommandLine.Run(sweep).Succeeded().Output, StringComparison.Ordinal);
        Assert.Equal(written, File.GetLastWriteTimeUtc(model["sweep/rank=2_learning_rate=1e-2/metrics.jsonl"]));
        JsonElement runs =
            JsonDocument.Parse(
                CommandLine.Run("runs", model["sweep"], "--json", "--sort", "loss").Succeeded().Output).RootElement;
        Assert.Equal(["rank=2_learning_rate=1e-2", "rank=2_learning_rate=1e-9"],
            runs.EnumerateArray().Select(run => run.GetProperty("folder").GetString()));
    }

    [Fact]
    public void The_runs_of_a_sweep_that_is_killed_save_and_end()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "on Windows runs end without saving");
        using var model = new TinyModel();
        // More steps than can be taken while one run begins and the other does not yet.
        string recipe = Recipe(model, "steps: 20000\n  eval_every: 20000");
        string[] runs = ["rank=2", "rank=4"];
        string State(string run) =>
            JsonDocument.Parse(File.ReadAllText(model[$"sweep/{run}/run.json"])).RootElement.GetProperty("state")
            .GetString()!;
        using (Process killed = CommandLine.Start(
            model[""], "sweep", recipe, "--grid", "adapter.rank=2,4", "--output", model["sweep"], "--parallel", "2"))
        {
            try
            {
                Wait.For(() =>
                    runs.All(run => File.Exists(model[$"sweep/{run}/metrics.jsonl"])
                    && new FileInfo(model[$"sweep/{run}/metrics.jsonl"]).Length > 0), killed);
            }
            finally
            {
                killed.Kill(); // SIGKILL, of which the process itself hears nothing
                killed.WaitForExit();
            }
        }
        Assert.True(SpinWait.SpinUntil(() => runs.All(run => State(run) != "running"), CommandLine.Longest),
            "a run goes on");
        Assert.Equal(["stopped", "stopped"], runs.Select(State));
        foreach (string run in runs)
        {
            Assert.True(SpinWait.SpinUntil(() => IsFree(model[$"sweep/{run}"]), CommandLine.Longest), $"{run} is held");
            // from which the sweep goes on
            Assert.Single(Directory.GetDirectories(model[$"sweep/{run}/checkpoints"], "step-*"));
        }
    }

    [Fact]
    public void Combinations_that_cannot_be_run_are_reported_before_any_work()
    {
        using var model = new TinyModel();
        CommandResult result = CommandLine.Run(
            "sweep", Recipe(model), "--grid", "adapter.target_modules=all-linear,[nothing_like_it]", "--grid",
            "training.schedule=linear,square", "--output", model["sweep"]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("training.schedule=square", result.Error, StringComparison.Ordinal);
        Assert.Contains("nothing_like_it", result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(model["sweep"]));
        CommandResult without = CommandLine.Run("sweep", model.Recipe("steps: 1"), "--grid", "adapter.rank=2,4");
        Assert.Equal(2, without.ExitCode);
        Assert.Contains("no data.validation", without.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_comparison_asks_of_its_rows_is_checked_too_and_its_paths_are_the_recipes()
    {
        using var model = new TinyModel();
        Directory.CreateDirectory(model["rows"]);
        File.WriteAllText(model["rows/plain.jsonl"], "{\"prompt\": \"1 and 2:\", \"completion\": \" 3\"}\n");
        File.WriteAllText(
            model["rows/facts.jsonl"], "{\"prompt\": \"1 and 2:\", \"completion\": \" 3\", \"facts\": [\"3\"]}\n");
        string[] Sweep(string rows, string facts) =>
            ["sweep", Recipe(model, "steps: 2\n  eval_every: 2"), "--set", "comparison.generations=1", "--set",
            "comparison.max_new_tokens=2",
            "--grid", "comparison.data=" + rows, "--grid", "comparison.facts=" + facts, "--output", model["sweep"]];
        CommandResult refused = CommandLine.Run(Sweep("rows/facts.jsonl,rows/plain.jsonl,rows/none.jsonl", "0,1"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("comparison.data=rows/plain.jsonl comparison.facts=1: comparison.facts is 1, but no row of "
            + model["rows/plain.jsonl"], refused.Error, StringComparison.Ordinal);
        Assert.Contains("comparison.data=rows/none.jsonl", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("comparison.data=rows/facts.jsonl", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(model["sweep"]));
        CommandLine.Run(Sweep("rows/facts.jsonl", "0,1")).Succeeded();
        Assert.True(File.Exists(model["sweep/data=facts.jsonl_facts=1/comparison.json"]));
    }

    private static bool IsFree(string folder)
    {
        try
        {
            RunFolder.RequireFree(folder);
            return true;
        }
        catch (InputException)
        {
            return false;
        }
    }
}
