using LowRank.Recipes.Runs;
using LowRank.Training;

namespace LowRank.Tests.Recipes.Runs;

public sealed class RunRecordTests : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("lowrank-runs-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Fact]
    public void Folders_that_are_no_runs_are_refused_all_at_once()
    {
        string empty = Directory.CreateDirectory(Path.Combine(root, "empty")).FullName,
            run = Run("a", ("metrics.jsonl", ""));
        InputException refused = Assert.Throws<InputException>(
            () => RunRecord.Open([run, empty, Path.Combine(root, "none"), run + "/"]));
        Assert.Contains("given 2 times", refused.Message);
        Assert.Contains("empty holds neither metrics.jsonl nor recipe.yaml", refused.Message);
        Assert.Contains("none does not exist", refused.Message);
    }

    [Fact]
    public void What_is_missing_or_broken_is_told_and_the_rest_shown()
    {
        RunRecord run =
            Open(Run("a", ("recipe.yaml", "model: [\n"), ("run.json", "{\"state\":7}"),
            ("comparison.json", "{\"before\":{\"loss\":1,\"texts\":[\"x\"]},\"prompts\":[]}")));
        Assert.Equal(4, run.Problems.Count);
        Assert.Contains("There are no curves: metrics.jsonl is missing.", run.Problems);
        Assert.Single(
            run.Problems, problem => problem.StartsWith("recipe.yaml was left out: ", StringComparison.Ordinal));
        Assert.Single(run.Problems, problem => problem.StartsWith("run.json was left out: ", StringComparison.Ordinal));
        Assert.Single(
            run.Problems, problem => problem.StartsWith("comparison.json was left out: ", StringComparison.Ordinal));
        Assert.Equal((null, null, 0), (run.Comparison, run.Facts.State, run.Settings.Count));
    }

    [Fact]
    public void The_recipe_is_read_by_keys_even_where_it_could_not_be_run()
    {
        RunRecord run =
            Open(Run(
                "a", ("recipe.yaml",
                "model: /gone\nunknown: 1\nadapter:\n  rank: 4\n  rank_pattern: {\"a.b\": 8}\n  target_modules: " +
                "[\"q\", \"v\"]\n  bias: null\n")));
        Assert.Equal([new("model", "/gone"), new("unknown", "1"), new("adapter.rank", "4"),
            new("adapter.rank_pattern.a.b", "8"), new("adapter.target_modules", "[q, v]"), new("adapter.bias", "null")],
            run.Settings);
    }

    [Fact]
    public void Runs_of_one_name_are_told_apart_by_the_folders_above()
    {
        string first = Run("x/run", ("metrics.jsonl", "")), second = Run("y/run", ("metrics.jsonl", ""));
        Assert.Equal(["x/run", "y/run"], RunRecord.Open([first, second]).Select(run => run.Name));
        Assert.Equal(["run"], RunRecord.Open([first]).Select(run => run.Name));
    }

    [Fact]
    public void A_run_in_progress_is_seen_and_not_disturbed()
    {
        string folder = Run("a", ("metrics.jsonl", "{\"step\":1,\"loss\":2}\n"));
        Assert.Null(Open(folder).Writer);
        using (RunFolder held = RunFolder.Take(folder))
        {
            using var metrics =
                new FileStream(
                    Path.Combine(folder, "metrics.jsonl"), FileMode.Append, FileAccess.Write, FileShare.Read);
            Assert.Contains($"process {Environment.ProcessId}", Open(folder).Writer);
            held.Verify();
        }
        Assert.Null(Open(folder).Writer);
    }

    [Fact]
    public void What_a_run_is_and_took_is_written_as_it_goes_on()
    {
        string folder = Directory.CreateDirectory(Path.Combine(root, "a")).FullName;
        var writer = new RunFactsWriter(
            folder, new RunFacts { Training = new RowFacts(10, 200, 100, 30), Notes = ["a note"] });
        writer.Started(new TrainingPlan(8, 10, 500, 9000, folder));
        Assert.Equal((RunFacts.Running, 8L, 0L, 500L, 9000L), Facts());
        writer.Stepped(new TrainingStep(3, 1, 1, 1, 20, 10, TimeSpan.FromSeconds(6)));
        writer.Saving(3);
        Assert.Equal((RunFacts.Running, 8L, 3L, 500L, 9000L), Facts());
        Assert.Equal(6, Open(folder).Facts.Seconds);
        writer.Finished(new TrainingResult(5, 1, null, null, 100, TimeSpan.FromSeconds(10), 7, folder));
        Assert.Equal((RunFacts.Stopped, 8L, 5L, 500L, 9000L), Facts());
        writer.Finished(new TrainingResult(8, 1, null, null, 160, TimeSpan.FromSeconds(16), 7, folder));
        Assert.Equal((RunFacts.Finished, 8L, 8L, 500L, 9000L), Facts());
        RunFacts facts = Open(folder).Facts;
        Assert.Equal((160L, 16.0, 7L, new RowFacts(10, 200, 100, 30), null),
            (facts.Tokens!.Value, facts.Seconds!.Value, facts.PeakMemoryBytes!.Value, facts.Training,
            facts.Validation));
        Assert.Equal(["a note"], facts.Notes);

        (string, long, long, long, long) Facts() => Open(folder).Facts is var f
            ? (f.State!, f.PlannedSteps!.Value, f.Steps!.Value, f.TrainedParameters!.Value, f.TotalParameters!.Value)
            : default;
    }

    [Fact]
    public void Keys_that_differ_come_first_and_the_lowest_held_out_loss_is_best()
    {
        RunRecord[] runs =
        [
            Open(Run("a", ("recipe.yaml", "model: m\nadapter: {rank: 4}\nseed: 1\n"),
                ("metrics.jsonl",
                "{\"step\":1,\"eval_loss\":3}\n{\"step\":2,\"eval_loss\":2}\n{\"step\":3,\"eval_loss\":5}\n"))),
            Open(Run("b", ("recipe.yaml", "model: m\nadapter: {rank: 8}\nseed: 1\nextra: 1\n"),
                ("metrics.jsonl", "{\"step\":1,\"eval_loss\":2.5}\n"))),
            Open(Run("c", ("metrics.jsonl", "{\"step\":1,\"loss\":1}\n"))),
        ];
        var settings = RunComparison.Settings(runs);
        Assert.Equal([("adapter.rank", true), ("extra", true), ("model", false), ("seed", false)],
            settings.Select(row => (row.Key, row.Differs)));
        Assert.Equal(["4", "8", null], settings[0].Values);
        Assert.Same(runs[0], RunComparison.Best(runs));
        Assert.Equal(new MetricPoint(2, 2), RunComparison.BestLoss(runs[0]));
        Assert.Null(RunComparison.Best([runs[2]]));
    }

    private string Run(string name, params (string File, string Text)[] files)
    {
        string folder = Directory.CreateDirectory(Path.Combine(root, name)).FullName;
        foreach ((string file, string text) in files) File.WriteAllText(Path.Combine(folder, file), text);
        return folder;
    }

    private static RunRecord Open(string folder) => RunRecord.Open([folder])[0];
}
