using LowRank.Adapters;
using LowRank.Cli.Runs;
using LowRank.Cli.Sweep;
using LowRank.Recipes.Runs;

namespace LowRank.Tests.Cli;

/// <summary>Files of runs and sweeps that a person or a disk has damaged: each says what was found, and the others are
/// shown.</summary>
public sealed class DamagedStateTests : IDisposable
{
    private readonly TemporaryFolder root = new();

    public void Dispose() => root.Dispose();

    private string Run(string name, string? facts = null, string metrics = "{\"step\":1,\"eval_loss\":0.5}\n",
        string recipe = "model: /m\ndata: {train: /t, validation: /v}\noutput: /o\n")
    {
        string folder = root[name];
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "metrics.jsonl"), metrics);
        File.WriteAllText(Path.Combine(folder, "recipe.yaml"), recipe);
        if (facts is not null) File.WriteAllText(Path.Combine(folder, "run.json"), facts);
        return folder;
    }

    [Theory]
    [InlineData("""{"seconds": 1e308}""",
        "run.json was ignored: it is not as a run writes it: seconds is 1E+308, expected 0 to 3162240000")]
    [InlineData("""{"seconds": -1}""", "seconds is -1, expected 0")]
    [InlineData("""{"seconds": "long"}""",
        "run.json was ignored: it is not JSON as a run writes it: seconds is \"long\", expected a number")]
    [InlineData("""{"steps": 1e308}""", "steps is 1e308, expected a whole number")]
    [InlineData("""{"steps": -5}""", "steps is -5, expected at least 0")]
    [InlineData("""{"state": "asleep"}""", "state is \"asleep\", expected running, finished or stopped")]
    [InlineData("[]", "it is [], expected an object")]
    [InlineData("null", "it is no")]
    [InlineData("{\"state\": \"fin", "it is no JSON from line 1")]
    public void A_damaged_run_is_listed_with_what_is_wrong_and_so_are_all_others(string facts, string expected)
    {
        Run("a", """{"state":"finished","seconds":12.5}""");
        Run("b", facts);
        var notes = new List<string>();
        foreach (int _ in (int[])[1, 2]) // read, and from the index
        {
            IReadOnlyList<RunRow> rows = RunIndex.List(root[""], notes.Add);
            Assert.Equal(["a", "b"], rows.Select(row => row.Folder));
            Assert.Equal((12.5, "finished"), (rows[0].Seconds, rows[0].State));
            Assert.Empty(rows[0].Problems);
            Assert.Equal(0.5, rows[1].BestLoss);
            if (facts != "null") Assert.Contains(expected, Assert.Single(rows[1].Problems));
        }
        Assert.Empty(notes);
    }

    [Fact]
    public void Damaged_recipes_and_measurements_are_named()
    {
        Run("a", recipe: "model: [",
            metrics: "{\"step\":1,\"eval_loss\":0.5}\nnonsense\n{\"step\":-3}\n{\"step\":2,\"eval_loss\":1e308}\n");
        RunRow row = Assert.Single(RunIndex.List(root[""], _ => { }));
        Assert.Equal(0.5, row.BestLoss);
        Assert.Contains(
            row.Problems, problem =>
            problem.StartsWith("recipe.yaml was ignored: recipe.yaml, line ", StringComparison.Ordinal));
        Assert.Contains("2 of 4 lines of metrics.jsonl cannot be read ('lowrank report' names them)", row.Problems);
    }

    [Fact]
    public void A_page_of_a_run_with_numbers_at_the_edge_of_what_numbers_can_be_is_made()
    {
        string folder =
            Run("a", """{"seconds": 1e308}""",
            "{\"step\":1,\"loss\":1e308,\"tokens_per_second\":1e308}\n{\"step\":2,\"loss\":-1e308}\n" +
            "{\"step\":9007199254740992,\"loss\":5e-324}\n");
        File.WriteAllText(
            Path.Combine(folder, "comparison.json"),
            """{"before": {"texts": [null]}, "after": {"texts": ["a"]}, "prompts": ["p"]}""");
        RunRecord run = Assert.Single(RunRecord.Open([folder]));
        Assert.Contains(run.Problems, problem => problem.Contains("seconds is 1E+308"));
        Assert.Contains(
            run.Problems, problem => problem.StartsWith("comparison.json was left out", StringComparison.Ordinal));
        Assert.Contains("</html>", LowRank.Cli.Report.ReportPage.Of([run]));
    }

    [Theory]
    [InlineData("""{"runs":[5]}""", "runs[0] is 5, expected an object with run (a folder's name), settings and state")]
    [InlineData("""{"runs":[{"run": 7}, null, {"run": "../a"}, 1, 2]}""", "and 2 more like it")]
    [InlineData("""{"runs": 5}""", "runs is 5, expected a list")]
    [InlineData("""{}""", "runs is null, expected a list")]
    [InlineData("""5""", "does not hold a JSON object")]
    [InlineData("""{"runs":[""", "is not valid JSON: it is no JSON from line 1")]
    public void A_damaged_sweep_says_what_was_found_and_what_to_do(string json, string expected)
    {
        File.WriteAllText(root[SweepState.FileName], json);
        string said = Assert.Throws<InputException>(() => new SweepState(root[""], [], "eval_loss").TakeUp([])).Message;
        Assert.Contains(expected, said);
        Assert.Contains(SweepState.FileName, said);
        Assert.Contains("Move the file away, or choose another --output", said);
    }

    [Fact]
    public void Values_of_a_sweep_that_are_no_texts_are_another_sweeps()
    {
        File.WriteAllText(
            root[SweepState.FileName], """{"runs":[{"run": "a", "settings": 5, "state": ["finished"]}]}""");
        var run = new SweepRun { Name = "a", Values = [], Overrides = [], Folder = root["a"], Settings = "x" };
        new SweepState(root[""], [], "eval_loss").TakeUp([run]);
        Assert.Equal("pending", run.State);
    }

    [Fact]
    public void The_runs_of_a_sweep_come_the_best_first()
    {
        foreach (string name in (string[])["a", "b", "c"]) Run(name);
        File.WriteAllText(
            root[SweepState.FileName],
            """{"metric": "eval_accuracy", "runs":[{"run": "a", "best": 0.5}, {"run": "b", "best": 0.75}, {"run": "c"}, {"run": "pending"}]}""");
        Assert.Equal(["b", "a", "c"], SweepState.Runs(root[""])!.Select(Path.GetFileName));
        Assert.Null(SweepState.Runs(root["a"]));
    }

    [Theory]
    [InlineData("""{"task": 5}""", "task is 5, expected a value of another kind")]
    [InlineData("""{"task": null}""", "task is null, expected a value")]
    [InlineData("""{"labels": ["a"]}""", "task is missing")]
    [InlineData("""{"task": "embedding", "pooling": "middle"}""", "pooling is \"middle\", expected ")]
    [InlineData("""{"task": "embedding", "max_length": 1e308}""", "max_length is 1e308, expected a whole number")]
    [InlineData("""{"task": "embedding", "max_length": -4}""", "max_length is -4, expected at least 1")]
    [InlineData("""{"task": "embedding", "stride": -4}""", "stride is -4, expected at least 0")]
    [InlineData("""{"task": "sequence_classification", "problem": "hard"}""",
        "problem is \"hard\", expected single_label_classification")]
    [InlineData("""{"task": "sequence_classification", "labels": []}""", "labels is an empty list")]
    [InlineData("""{"task": "embedding", "colour": 1}""", "it has the key \"colour\", which is not known")]
    [InlineData("""{"task": """, "it is no JSON from line 1")]
    [InlineData("null", "Restore the file")]
    public void A_damaged_task_file_says_what_was_found_and_what_to_do(string json, string expected)
    {
        File.WriteAllText(root[AdapterTask.FileName], json);
        string said = Assert.Throws<InputException>(() => AdapterTask.Load(root[""])).Message;
        Assert.Contains(expected, said);
        Assert.Contains("Restore the file, or remove it to use the adapter without label names", said);
    }
}
