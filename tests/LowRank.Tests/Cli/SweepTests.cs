using LowRank.Cli.Commands;
using LowRank.Cli.Common;
using LowRank.Cli.Sweep;
using LowRank.Cli.Views;
using LowRank.Tests.Tasks;

namespace LowRank.Tests.Cli;

public sealed class SweepTests
{
    [Fact]
    public void Values_are_split_at_commas_outside_of_brackets_and_quotes()
    {
        IReadOnlyList<GridAxis> axes =
            GridAxis.ParseAll(["adapter.rank=4, 8", "adapter.target_modules=[q_proj,v_proj],all-linear,'a,b'"]);
        Assert.Equal(["rank", "target_modules"], axes.Select(axis => axis.Name));
        Assert.Equal(["4", "8"], axes[0].Values);
        Assert.Equal(["[q_proj,v_proj]", "all-linear", "'a,b'"], axes[1].Values);
    }

    [Fact]
    public void Every_problem_of_a_grid_is_reported_at_once()
    {
        var e = Assert.Throws<InputException>(
            () => GridAxis.ParseAll(["rank", "a=1,", "output=x,y", "b=1,1", "c=1", "c=2"]));
        Assert.Equal(5, e.Problems.Count);
    }

    [Fact]
    public void What_mends_a_run_of_a_sweep_is_named_once()
    {
        using var tiny = new TinyTask();
        tiny.Rows(["""{"text": "good", "sentiment": "a"}"""]);
        File.WriteAllText(Path.Combine(tiny.Path, "recipe.yaml"),
            "model: .\ndata: {train: rows.jsonl}\ntask: sequence_classification\ntraining: {from_scratch: true}\n" +
            "adapter: {method: full}\noutput: out\n");
        InputException refused = Assert.Throws<InputException>(() => SweepPlan.Make(
            Path.Combine(tiny.Path, "recipe.yaml"), [], GridAxis.ParseAll(["training.seed=1,2"]), null, "loss"));
        refused.Word(CommandWording.Of(new SweepCommand().Build()));
        string problem = Assert.Single(refused.Problems);
        Assert.StartsWith("training.seed=1: The training data has no label", problem, StringComparison.Ordinal);
        Assert.EndsWith("Use data.columns: {label: COLUMN}.", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void The_best_comes_first_and_the_metric_says_which_end_that_is()
    {
        SweepRun Run(string name, double? best) =>
            new() { Name = name, Values = [], Overrides = [], Settings = "", Folder = name, Best = best };
        SweepRun[] runs = [Run("none", null), Run("two", 2), Run("one", 1)];
        Assert.Equal(["one", "two", "none"], new SweepState("x", [], "eval_loss").Ranked(runs).Select(run => run.Name));
        Assert.Equal(["two", "one", "none"], new SweepState("x", [], "eval_accuracy").Ranked(runs)
            .Select(run => run.Name));
    }

    [Fact]
    public void A_run_is_measured_by_what_its_steps_came_to()
    {
        using var folder = new TemporaryFolder();
        SweepRun Measured(string name, string metric)
        {
            var run = new SweepRun { Name = name, Values = [], Overrides = [], Settings = "", Folder = folder[name] };
            new SweepState(folder[""], [], metric).Measure(run);
            return run;
        }
        Directory.CreateDirectory(folder["a"]);
        // Before training, an evaluation without a number, a torn end.
        File.WriteAllText(Path.Combine(folder["a"], "metrics.jsonl"), """
            {"step":0,"eval_loss":0.5,"eval_accuracy":0.9}
            {"step":1,"loss":3}
            {"step":1,"eval_loss":2.5,"eval_accuracy":0.25}
            {"step":2,"eval_loss":null,"eval_accuracy":0.75}
            {"step":3,"eval_loss":1.5,"eval_accuracy":0.5}
            {"step":4,"eval_lo
            """);
        SweepRun loss = Measured("a", "eval_loss"), accuracy = Measured("a", "eval_accuracy"),
            none = Measured("a", "eval_f1"), missing = Measured("b", "eval_loss");
        Assert.Equal((1.5, 3), (loss.Best, loss.BestStep));
        Assert.Equal([(1, 2.5), (3, 1.5)], loss.Curve.Select(point => (point.Step, point.Value)));
        Assert.Equal((0.75, 2), (accuracy.Best, accuracy.BestStep));
        Assert.All(new[] { none, missing },
            run => Assert.Equal((null, null, 0), (run.Best, run.BestStep, run.Curve.Count)));
    }

    [Fact]
    public void What_was_finished_with_the_same_settings_is_not_run_again()
    {
        using var folder = new TemporaryFolder();
        SweepRun Run(string name, string settings, string state) =>
            new() { Name = name, Values = [], Overrides = [], Settings = settings, Folder = folder[name],
            State = state };
        var state = new SweepState(folder[""], [new GridAxis("k", ["1"])], "eval_loss");
        state.Write([Run("a", "x=1", "finished"), Run("b", "x=2", "finished"), Run("c", "x=3", "failed")]);
        SweepRun[] again = [Run("a", "x=1", "pending"), Run("b", "x=9", "pending"), Run("c", "x=3", "pending")];
        state.TakeUp(again);
        Assert.Equal(["finished", "pending", "pending"], again.Select(run => run.State));
        Assert.Equal([true, false, true], again.Select(run => run.Resumes)); // b has other settings now: it begins anew
        File.WriteAllText(folder[SweepState.FileName], "{");
        Assert.Contains("is not a sweep file", Assert.Throws<InputException>(() => state.TakeUp(again)).Message);
    }

    [Fact]
    public void A_sparkline_has_the_heights_of_its_values()
    {
        Assert.Equal("█▅▁", Sparkline.Of([2, 1.5, 1], new LossScale(1, 2), 10));
        Assert.Equal("█▂", Sparkline.Of([2, 1.75, 1.25, 1], new LossScale(1, 2), 2));
        Assert.Equal("", Sparkline.Of([], new LossScale(1, 2), 10));
    }
}
