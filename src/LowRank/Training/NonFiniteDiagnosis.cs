using System.Globalization;
using System.Text;
using LowRank.Data;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Says why a run stops whose steps have left the numbers: looks at the last step row by row.</summary>
/// <param name="objective">The task.</param>
/// <param name="trained">What is trained; the weights stay as they are.</param>
internal sealed class NonFiniteDiagnosis(IObjective objective, ITrainedWeights trained)
{
    private const int MostRows = 64;  // each is computed by itself
    private const int ShownRows = 10;

    /// <summary>Whether the weights are numbers, and give finite losses and gradients on rows.</summary>
    public bool IsSound(StepBatches step) =>
        trained.Weights.All(weight => NonFinite.IsFinite(weight.Value))
        && step.MicroBatches.Where(rows => rows.Any(row => row.PredictedLabels > 0)).All(rows => Problem(rows) is null);

    /// <summary>The whole message.</summary>
    /// <param name="step">The last step.</param>
    /// <param name="outcome">What it gave.</param>
    /// <param name="at">Where the run is, the last step counted.</param>
    /// <param name="options">The run's settings.</param>
    /// <param name="rate">The step's learning rate.</param>
    /// <param name="kept">What is left of the run, a sentence.</param>
    public string Describe(StepBatches step, StepOutcome outcome, RunState at, TrainingOptions options, double rate, string kept)
    {
        List<(IExample Row, string Problem)> wrong = WrongRows(step);
        int looked = step.MicroBatches.Sum(rows => rows.Count(row => row.PredictedLabels > 0));
        long first = at.Step - at.SkippedInRow + 1;
        var text = new StringBuilder();
        text.Append(first == at.Step ? $"Step {at.Step} gave" : $"Steps {first} to {at.Step} gave").Append(" no finite loss or gradient, and the run stops");
        text.Append(at.SkippedInRow >= options.MaxSkippedSteps ? $" (training.max_skipped_steps is {options.MaxSkippedSteps}):" : " (no step of it could be taken):");
        void Line(string line) => text.Append("\n  - ").Append(line);
        Line(first == 1 ? "no step was finite" : string.Create(CultureInfo.InvariantCulture, $"the last finite step is {first - 1}, with loss {at.LastLoss:g4}"));
        Line($"at step {at.Step} {outcome.NonFinite}; learning rate {NonFinite.Name(rate)}");
        Line(Rows(wrong, step, looked));
        Line(kept);
        Line("try: " + Advice(wrong.Count, Math.Min(looked, MostRows), first == 1));
        return text.ToString();
    }

    private static string Rows(List<(IExample Row, string Problem)> wrong, StepBatches step, int looked)
    {
        static string Place(IExample row) => row.Place?.ToString() ?? $"a row of {row.Tokens} tokens";
        string limit = looked > MostRows ? $" (the first {MostRows} of {looked} were looked at)" : "";
        if (wrong.Count > 0)
            return $"{wrong.Count} of {looked} rows are wrong by themselves{limit}: {List(wrong.Select(row => $"{Place(row.Row)} ({row.Problem})"))}";
        return $"no row is wrong by itself{limit}; the step has {List(step.MicroBatches.SelectMany(rows => rows).Where(row => row.PredictedLabels > 0).Select(Place))}";
    }

    private static string List(IEnumerable<string> items)
    {
        string[] all = [.. items];
        return string.Join(", ", all.Take(ShownRows)) + (all.Length > ShownRows ? $" and {all.Length - ShownRows} more" : "");
    }

    private static string Advice(int wrong, int looked, bool fromStart)
    {
        const string Calmer = "a tenth of training.learning_rate, training.warmup_steps, training.max_grad_norm of 1";
        if (wrong > 0 && wrong < looked) return $"look at these rows (lengths, symbols, labels); if they are sound, {Calmer}";
        if (fromStart && wrong > 0) return "check the model, which gives no numbers before anything was learned: its files (lowrank inspect), and training.init_adapter if there is one";
        return $"{Calmer}; an adapter of less alpha";
    }

    private List<(IExample Row, string Problem)> WrongRows(StepBatches step)
    {
        var wrong = new List<(IExample, string)>();
        foreach (IExample row in step.MicroBatches.SelectMany(rows => rows).Where(row => row.PredictedLabels > 0).Take(MostRows))
        {
            if (Problem([row]) is { } problem) wrong.Add((row, problem));
        }
        return wrong;
    }

    // What rows that are computed together lose the numbers by; null when they keep them.
    private string? Problem(IReadOnlyList<IExample> rows)
    {
        using var scope = NewDisposeScope();
        foreach ((string _, Tensor weight) in trained.Weights) weight.grad = null;
        Tensor sum = objective.Sum(rows, null);
        double loss = sum.item<float>();
        if (!double.IsFinite(loss)) return $"loss {NonFinite.Name(loss)}";
        BackwardErrors.Run(() => sum.backward());
        string? name = trained.Weights.LastOrDefault(weight => weight.Value.grad is { } gradient && !NonFinite.IsFinite(gradient)).Key;
        foreach ((string _, Tensor weight) in trained.Weights) weight.grad = null;
        return name is null ? null : $"gradient of {name}";
    }
}
