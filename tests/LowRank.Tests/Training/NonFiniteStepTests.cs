using LowRank.Adapters;
using LowRank.Data;
using LowRank.Kernels;
using LowRank.Tests.Models;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>Steps whose loss or gradient is no number.</summary>
public sealed class NonFiniteStepTests
{
    private const int Broken = 31; // a token whose row of the embedding is not a number

    private static readonly LoraConfig Config =
        new() { Rank = 2, Dropout = 0.2, TargetModules = ModuleSelection.Create(["q_proj", "up_proj"]) };

    private static readonly TrainerOptions Options =
        new() { Steps = 8, BatchSize = 2, LearningRate = 0.05, Schedule = ScheduleKind.Constant, Shuffle = false };

    // Sixteen rows for eight steps of two; the given ones, counted from 0, have the broken token.
    private static TokenizedExample[] Rows(params int[] broken) => [.. Enumerable.Range(0, 16).Select(row =>
    {
        int[] ids = [.. Enumerable.Range(0, 4 + row % 5).Select(i => (row * 5 + i * 3) % 31)];
        if (broken.Contains(row)) ids[1] = Broken;
        return new TokenizedExample(ids, ids, null, new DataPlace("rows.jsonl", row + 1));
    })];

    [Fact]
    public void A_step_without_a_finite_loss_is_skipped_and_counted_and_changes_nothing()
    {
        using var run = new Run();
        var weights = new List<float[]>();
        var recorder = new Recorder { OnStep = _ => weights.Add(run.Values()) };
        TrainingResult result = run.Train(Options, Rows(6, 11), recorder);
        Assert.Equal([4, 6], recorder.Steps.Where(step => step.Skipped is not null).Select(step => step.Step));
        Assert.Equal([0, 0, 0, 1, 1, 2, 2, 2], recorder.Steps.Select(step => step.SkippedSteps));
        Assert.Equal("the loss is NaN", recorder.Steps[3].Skipped);
        Assert.Equal(2, result.SkippedSteps);
        Assert.Equal(8, result.Steps);
        Assert.True(double.IsFinite(result.LastLoss!.Value));
        for (int i = 1; i < 8; i++)
            if (recorder.Steps[i].Skipped is not null) Assert.Equal(weights[i - 1], weights[i]);
            else Assert.NotEqual(weights[i - 1], weights[i]);
        Assert.All(weights[7], value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void A_skipped_step_leaves_the_optimizer_as_it_was()
    {
        using var run = new Run();
        using var runner = run.Runner(Options);
        runner.Run(Step(Rows()[..2]), 0.05, 1);
        float[][] before = State(runner);
        Assert.NotNull(runner.Run(Step(Rows(0)[..2]), 0.05, 2).NonFinite);
        Assert.Equal(1, runner.Optimizer.StepCount);
        Assert.Equal(before, State(runner));
        Assert.Null(runner.Run(Step(Rows()[..2]), 0.05, 3).NonFinite);
        Assert.NotEqual(before, State(runner));
    }

    [Fact]
    public void A_gradient_that_is_not_finite_names_the_weight_that_is_nearest_to_the_loss()
    {
        using var run = new Run { Spoils = true };
        using var runner = run.Runner(Options);
        StepOutcome outcome = runner.Run(Step(Rows()[..2]), 0.05, 1);
        Assert.True(double.IsFinite(outcome.Loss));
        Assert.False(double.IsFinite(outcome.GradientNorm));
        string[] names = [.. run.Trained.Weights.Select(weight => weight.Key)];
        Assert.Equal(
            $"the gradient of {names[2]} is not finite (2 of {names.Length} are not; this one is the nearest to " +
            "the loss)", outcome.NonFinite);
    }

    [Theory]
    [InlineData(1e20, 0, "the norm of the gradients is 1e+20, too large to be squared in float32")] // not clipped
    [InlineData(1e20, 1, null)]
    [InlineData(1e18, 0, null)]
    public void Gradients_that_AdamW_cannot_square_are_not_taken(double norm, double limit, string? expected)
    {
        using var run = new Run();
        Assert.Equal(expected, NonFinite.Of(1, norm, GradientClipping.Factor(norm, limit), run.Trained.Weights));
    }

    [Fact]
    public void After_so_many_in_a_row_the_run_stops_with_what_is_wrong_and_the_last_good_weights()
    {
        using var run = new Run();
        float[] good = [];
        var recorder = new Recorder { OnStep = step => { if (step.Step == 3) good = run.Values(); } };
        var e = Assert.Throws<NonFiniteLossException>(
            () => run.Train(Options with { MaxSkippedSteps = 3, SaveEvery = 1 }, Rows(1, 6, 8, 11), recorder));
        Assert.Equal(6, e.Step);
        Assert.Equal([1, 4, 5, 6], recorder.Steps.Where(step => step.Skipped is not null).Select(step => step.Step));
        Assert.StartsWith(
            "Steps 4 to 6 gave no finite loss or gradient, and the run stops (the limit of skipped steps is 3):",
            e.Message);
        Assert.Contains("the last finite step is 3, with loss", e.Message);
        Assert.Contains("at step 6 the loss is NaN; learning rate 0.05", e.Message);
        Assert.Contains("1 of 2 rows are wrong by themselves: rows.jsonl:12 (loss NaN)", e.Message);
        Assert.Contains($"kept: {run.Folder["adapter"]}, the weights after step 3", e.Message);
        Assert.Contains("step-00000003, from which the run can be resumed", e.Message);
        Assert.Contains("try: look at these rows", e.Message);
        Assert.Equal(good, run.Values());
        using var saved = Adapter.Load(run.Folder["adapter"], run.Model.Model);
        Assert.Equal(good, Run.Values(saved));
        // While steps are skipped no checkpoint pushes the good ones out.
        Assert.Equal(["step-00000002", "step-00000003"], Directory.GetDirectories(run.Folder["checkpoints"])
            .Select(path => Path.GetFileName(path)).Order());
    }

    [Fact]
    public void A_run_that_never_has_a_number_stops_and_writes_nothing()
    {
        using var run = new Run();
        using (no_grad()) run.Model.Model.Decoder.Parameters["model.norm.weight"].fill_(Number(float.NaN));
        var e = Assert.Throws<NonFiniteLossException>(() => run.Train(Options, Rows(), new Recorder()));
        Assert.Contains("no step was finite", e.Message);
        Assert.Contains("nothing was learned, and no weights are written", e.Message);
        Assert.Contains("try: check the model", e.Message);
        Assert.False(Directory.Exists(run.Folder["adapter"]));
        Assert.Equal(8, e.Step); // fewer than training.max_skipped_steps, and all there are
    }

    [Fact]
    public void Weights_that_have_diverged_are_not_kept_for_good_ones()
    {
        using var run = new Run();
        var recorder = new Recorder
        {
            OnStep = step =>
            {
                if (step.Step != 3) return;
                using var noGradient = no_grad();
                run.Trained.Weights[0].Value.fill_(Number(float.PositiveInfinity)); // as an update that went too far
            },
        };
        var e = Assert.Throws<NonFiniteLossException>(
            () => run.Train(Options with { MaxSkippedSteps = 2 }, Rows(), recorder));
        Assert.Equal(5, e.Step);
        Assert.Contains("2 of 2 rows are wrong by themselves", e.Message);
        Assert.Contains("give no finite numbers any more, and are not written", e.Message);
        Assert.Contains("a tenth of the learning rate", e.Message);
        Assert.False(Directory.Exists(run.Folder["adapter"]));
    }

    [Theory]
    [InlineData(4)] // before, among and after steps that are skipped
    [InlineData(5)]
    [InlineData(7)]
    public void A_resume_goes_on_counting_and_ends_in_the_same_bytes(int stopAfter)
    {
        using var whole = new Run();
        whole.Train(Options, Rows(9, 10, 11), new Recorder());
        using var broken = new Run();
        using (var stop = new CancellationTokenSource())
            broken.Train(Options, Rows(9, 10, 11),
                new Recorder { OnStep = step => { if (step.Step == stopAfter) stop.Cancel(); } },
                cancellation: stop.Token);
        using var again = new Run(broken.Folder.Path);
        var recorder = new Recorder();
        TrainingResult result = again.Train(Options, Rows(9, 10, 11), recorder, resume: true);
        Assert.Equal(2, result.SkippedSteps);
        Assert.Equal(whole.Values(), again.Values());
        if (stopAfter != 5) return;
        // One before the resume and one after it are two in a row.
        using var few = new Run();
        using (var stop = new CancellationTokenSource())
            few.Train(Options with { MaxSkippedSteps = 2 }, Rows(9, 10, 11),
                new Recorder { OnStep = step => { if (step.Step == stopAfter) stop.Cancel(); } },
                cancellation: stop.Token);
        using var rest = new Run(few.Folder.Path);
        Assert.Equal(6,
            Assert.Throws<NonFiniteLossException>(
                () => rest.Train(
                    Options with { MaxSkippedSteps = 2 }, Rows(9, 10, 11), new Recorder(), resume: true)).Step);
    }

    [Fact]
    public void A_run_whose_last_steps_give_no_number_is_not_finished()
    {
        using var run = new Run();
        var recorder = new Recorder();
        var e = Assert.Throws<NonFiniteLossException>(
            () => run.Train(Options with { SaveEvery = 1 }, Rows(12, 15), recorder));
        Assert.StartsWith(
            "Steps 7 to 8 gave no finite loss or gradient, and the run stops (they are its last):", e.Message);
        Assert.Contains(
            "it begins here: the base's weight model.embed_tokens.weight has 16 of 512 numbers that are NaN",
            e.Message);
        Assert.Contains($"kept: {run.Folder["adapter"]}, the weights after step 6", e.Message);
        Assert.Null(recorder.Result);
        // Going on with it does not make it finished.
        using var again = new Run(run.Folder.Path);
        Assert.Throws<NonFiniteLossException>(
            () => again.Train(Options with { SaveEvery = 1 }, Rows(12, 15), new Recorder(), resume: true));
        // One skipped step is as one before the end.
        using var single = new Run();
        TrainingResult result = single.Train(Options, Rows(15), new Recorder());
        Assert.Equal((1, RunEnding.Completed), (result.SkippedSteps, result.Ending));
    }

    [Fact]
    public void A_run_that_is_stopped_among_steps_without_a_number_keeps_its_older_checkpoints()
    {
        using var run = new Run();
        using var stop = new CancellationTokenSource();
        TrainerOptions options = Options with { SaveEvery = 1, KeepCheckpoints = 1 };
        run.Train(options, Rows(9, 10, 11), new Recorder { OnStep = step => { if (step.Step == 6) stop.Cancel(); } },
            cancellation: stop.Token);
        string[] kept =
            [.. Directory.GetDirectories(run.Folder["checkpoints"]).Select(path => Path.GetFileName(path))
            .Order(StringComparer.Ordinal)];
        Assert.Equal(2, kept.Length); // that of step 4, before them, and where it was stopped
        Assert.EndsWith("4", kept[0], StringComparison.Ordinal);
        Assert.EndsWith("6", kept[1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_budget_does_not_end_a_run_in_the_middle_of_what_is_no_number()
    {
        using var whole = new Run();
        var all = new Recorder();
        whole.Train(Options, Rows(6, 8), all);
        using var run = new Run();
        TrainerOptions options = Options with { MaxTokens = all.Steps.Take(5).Sum(step => step.Tokens) };
        Assert.StartsWith(
            "Steps 4 to 5 gave",
            Assert.Throws<NonFiniteLossException>(() => run.Train(options, Rows(6, 8), new Recorder())).Message);
        using var first = new Run();
        Assert.Contains(
            "nothing was learned",
            Assert.Throws<NonFiniteLossException>(
                () => first.Train(Options with { MaxTokens = 1 }, Rows(0), new Recorder())).Message);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(1)] // early stopping
    public void A_run_whose_held_out_loss_is_no_number_is_not_finished(int? patience)
    {
        using var run = new Run();
        var recorder = new Recorder();
        TokenizedExample[] heldOut = [.. Rows(13).TakeLast(4)];
        var e = Assert.Throws<NonFiniteLossException>(
            () => new Trainer(
                run.Model.Model.Decoder, run.Trained, Options with { EvaluateEvery = 2, Patience = patience },
                run.Folder.Path, recorder).Run(Rows(), heldOut));
        Assert.StartsWith(
            $"The held-out loss after step {(patience is null ? 8 : 2)} is not finite, and the run is not finished:",
            e.Message);
        Assert.Contains("the first held-out row without a finite loss is rows.jsonl:14", e.Message);
        Assert.Contains("it begins here: the base's weight model.embed_tokens.weight", e.Message);
        Assert.Contains($"kept: {run.Folder["adapter"]}, the weights after step", e.Message);
        Assert.Null(recorder.Result);
    }

    [Fact]
    public void An_evaluation_that_has_to_be_finite_names_the_row_and_the_weight()
    {
        using var run = new Run();
        var e = Assert.Throws<NonFiniteException>(
            () => Evaluation.RunFinite(new CausalObjective(run.Model.Model.Decoder), Rows(5), 4, 0));
        Assert.StartsWith(
            "The loss is NaN, first of rows.jsonl:6: the base's weight model.embed_tokens.weight has 16 of 512 " +
            "numbers that are NaN", e.Message);
        Assert.True(
            double.IsFinite(Evaluation.RunFinite(new CausalObjective(run.Model.Model.Decoder), Rows(), 4, 0).Loss));
    }

    private static StepBatches Step(TokenizedExample[] rows) => new([rows], rows.Sum(row => (long)row.PredictedLabels));

    private static float[][] State(StepRunner runner) =>
        [.. runner.Optimizer.State().Select(part => part.Value.data<float>().ToArray())];

    private sealed class Run : IDisposable
    {
        private readonly Adapter adapter;

        public Run(string? folder = null)
        {
            Output = folder ?? Folder.Path;
            adapter = Adapter.Create(Model.Model, Config, 1);
            adapter.Attach();
            Trained = new TrainedAdapter(adapter);
            using var noGradient = no_grad();
            Model.Model.Decoder.Parameters["model.embed_tokens.weight"][Broken].fill_(Number(float.NaN));
        }

        public TinyModel Model { get; } = new();

        public TemporaryFolder Folder { get; } = new();

        public TrainedAdapter Trained { get; }

        /// <summary>Whether the first and the third weight get gradients that are not finite.</summary>
        public bool Spoils { get; init; }

        private string Output { get; }

        public StepRunner Runner(TrainerOptions options) =>
            new(Spoils ? new SpoiledObjective(new CausalObjective(Model.Model.Decoder), Trained.Weights[0].Value,
                Trained.Weights[2].Value) : new CausalObjective(Model.Model.Decoder), Trained, options);

        public TrainingResult Train(TrainerOptions options, TokenizedExample[] rows, Recorder recorder,
            bool resume = false, CancellationToken cancellation = default) =>
            new Trainer(Model.Model.Decoder, Trained, options, Output, recorder).Run(rows, [], resume, cancellation);

        public float[] Values() => Values(adapter);

        public static float[] Values(Adapter adapter) =>
            [.. adapter.Weights.SelectMany(weight => weight.Value.detach().contiguous().data<float>().ToArray())];

        public void Dispose()
        {
            adapter.Dispose();
            Model.Dispose();
            Folder.Dispose();
        }
    }
}
