using System.Text.Json;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Tests.Models;
using LowRank.Training;

namespace LowRank.Tests.Training;

/// <summary>Runs that end before their last step: early stopping, budgets of time and tokens.</summary>
public sealed class RunLimitTests
{
    private static readonly LoraConfig Config =
        new() { Rank = 2, Dropout = 0.2, TargetModules = ModuleSelection.Create(["q_proj", "up_proj"]) };

    private static readonly TrainerOptions Options =
        new() { Steps = 12, BatchSize = 3, LearningRate = 0.05, Schedule = ScheduleKind.Cosine, Seed = 5 };

    private static readonly TokenizedExample[] Rows = [.. Enumerable.Range(0, 8).Select(row =>
    {
        int[] ids = [.. Enumerable.Range(0, 4 + row % 3).Select(i => (row * 5 + i * 3) % 32)];
        return new TokenizedExample(ids, ids);
    })];

    // Rows that are to end in a token; held-out rows that are to end in another get worse as these are learned.
    private static TokenizedExample[] Ending(int token) =>
        [.. Rows.Select(row => row with { Labels = [.. row.Labels.Select(_ => token)] })];

    [Fact]
    public void A_run_ends_when_the_held_out_loss_has_not_improved_and_best_holds_the_best()
    {
        using var folder = new TemporaryFolder();
        var recorder = new Recorder();
        TrainingResult result =
            Train(folder.Path, Options with { EvaluateEvery = 1, Patience = 3, LearningRate = 1 }, recorder,
            rows: Ending(3), validation: Ending(4));
        Assert.Equal(RunEnding.NoImprovement, result.Ending);
        Assert.Equal(result.BestStep + 3, result.Steps);
        Assert.True(result.Steps < 12);
        Assert.Equal(recorder.Evaluations.MinBy(evaluation => evaluation.Loss)!.Step, result.BestStep);
        using var tiny = new TinyModel();
        using var best = Adapter.Load(folder["best"], tiny.Model);
        best.Attach();
        Assert.Equal(result.BestLoss!.Value, Evaluation.Run(tiny.Model.Decoder, Ending(4), 16, 0).Loss, 1e-5);
        // It has ended: going on with it ends at once, in the same bytes.
        byte[] adapter = Bytes(folder);
        var again = new Recorder();
        TrainingResult resumed = Train(folder.Path, Options with { EvaluateEvery = 1, Patience = 3, LearningRate = 1 },
            again, resume: true, rows: Ending(3), validation: Ending(4));
        Assert.Equal(RunEnding.NoImprovement, resumed.Ending);
        Assert.Empty(again.Steps);
        Assert.Empty(again.Evaluations);
        Assert.Equal(adapter, Bytes(folder));
    }

    [Fact]
    public void Patience_counts_over_a_resume()
    {
        TrainerOptions options = Options with { EvaluateEvery = 1, Patience = 4, LearningRate = 1, SaveEvery = 1 };
        using var whole = new TemporaryFolder();
        TrainingResult expected = Train(whole.Path, options, new Recorder(), rows: Ending(3), validation: Ending(4));
        using var broken = new TemporaryFolder();
        using (var stop = new CancellationTokenSource())
            Train(broken.Path, options,
                new Recorder { OnStep = step => { if (step.Step == expected.Steps - 2) stop.Cancel(); } },
                rows: Ending(3), validation: Ending(4), cancellation: stop.Token);
        TrainingResult resumed =
            Train(broken.Path, options, new Recorder(), resume: true, rows: Ending(3), validation: Ending(4));
        Assert.Equal((expected.Steps, expected.BestStep, RunEnding.NoImprovement),
            (resumed.Steps, resumed.BestStep, resumed.Ending));
        Assert.Equal(Bytes(whole), Bytes(broken));
    }

    [Fact]
    public void A_gain_below_min_delta_is_none_but_many_of_them_together_are_one()
    {
        var state = new RunState(100);
        bool Take(double loss) => state.IsBest(new EvaluationResult(1, loss, 1), minDelta: 0.1);
        Assert.True(Take(1.0));
        Assert.True(Take(0.95));
        Assert.Equal(1, state.Waited);
        Assert.True(Take(0.92));
        Assert.Equal(2, state.Waited);
        Assert.True(Take(0.89)); // 0.11 below the first
        Assert.Equal(0, state.Waited);
        Assert.False(Take(double.NaN));
        Assert.Equal(1, state.Waited);
        Assert.Equal(0.89, state.BestLoss);
    }

    [Fact]
    public void Patience_without_evaluations_is_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(
            "patience stops a run by its held-out loss",
            Assert.Throws<InputException>(
                () => Train(folder.Path, Options with { Patience = 1 }, new Recorder())).Message);
        Assert.Contains(
            "patience stops a run by its held-out loss",
            Assert.Throws<InputException>(
                () => Train(folder.Path, Options with { Patience = 1, EvaluateEvery = 0 }, new Recorder(),
                validation: Rows)).Message);
    }

    [Fact]
    public void A_budget_of_tokens_ends_the_run_counts_over_a_resume_and_can_be_raised()
    {
        using var whole = new TemporaryFolder();
        var all = new Recorder();
        Train(whole.Path, Options, all);
        long afterFive = all.Steps.Take(5).Sum(step => step.Tokens), afterSix = afterFive + all.Steps[5].Tokens;

        using var folder = new TemporaryFolder();
        using (var stop = new CancellationTokenSource())
            Train(folder.Path, Options with { MaxTokens = afterFive },
                new Recorder { OnStep = step => { if (step.Step == 2) stop.Cancel(); } }, cancellation: stop.Token);
        TrainingResult five = Train(folder.Path, Options with { MaxTokens = afterFive }, new Recorder(), resume: true);
        Assert.Equal((5, afterFive, RunEnding.TokensSpent), (five.Steps, five.Tokens, five.Ending));
        Assert.Equal(6,
            Train(folder.Path, Options with { MaxTokens = afterFive + 1 }, new Recorder(), resume: true).Steps);
        Assert.Equal(afterSix,
            Train(folder.Path, Options with { MaxTokens = afterSix }, new Recorder(), resume: true).Tokens);
        // The schedule was that of all steps from the start: the rest gives the run without a budget.
        Assert.Equal(RunEnding.Completed, Train(folder.Path, Options, new Recorder(), resume: true).Ending);
        Assert.Equal(Bytes(whole), Bytes(folder));
    }

    [Fact]
    public void A_budget_of_time_ends_the_run_measures_it_and_counts_over_a_resume()
    {
        using var folder = new TemporaryFolder();
        var recorder = new Recorder { OnStep = step => { if (step.Step == 1) Thread.Sleep(1200); } };
        TrainingResult result =
            Train(folder.Path, Options with { MaxTime = TimeSpan.FromSeconds(1), EvaluateEvery = 5 }, recorder,
            validation: Rows);
        Assert.Equal((1, RunEnding.TimeSpent), (result.Steps, result.Ending));
        Assert.Equal([1], recorder.Evaluations.Select(evaluation => evaluation.Step));
        Assert.True(Directory.Exists(folder["best"]));
        using JsonDocument state =
            JsonDocument.Parse(File.ReadAllText(folder[Path.Combine("checkpoints", "step-00000001", "state.json")]));
        Assert.InRange(state.RootElement.GetProperty("run_seconds").GetDouble(), 1.2, 600);
        var again = new Recorder();
        Assert.Equal(1,
            Train(folder.Path, Options with { MaxTime = TimeSpan.FromSeconds(1), EvaluateEvery = 5 }, again,
            resume: true, validation: Rows).Steps);
        Assert.Empty(again.Evaluations);
        Assert.Equal(12,
            Train(folder.Path, Options with { MaxTime = TimeSpan.FromHours(1), EvaluateEvery = 5 }, new Recorder(),
            resume: true, validation: Rows).Steps);
    }

    private static byte[] Bytes(TemporaryFolder folder) =>
        File.ReadAllBytes(folder[Path.Combine("adapter", Adapter.FileName)]);

    private static TrainingResult Train(string output, TrainerOptions options, Recorder recorder, bool resume = false,
        TokenizedExample[]? rows = null, TokenizedExample[]? validation = null,
            CancellationToken cancellation = default)
    {
        using var tiny = new TinyModel();
        using var adapter = Adapter.Create(tiny.Model, Config, 1);
        adapter.Attach();
        return new Trainer(tiny.Model.Decoder, new TrainedAdapter(adapter), options, output, recorder)
            .Run(rows ?? Rows, validation ?? [], resume, cancellation);
    }
}
