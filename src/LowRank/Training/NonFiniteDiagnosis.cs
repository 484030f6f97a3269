using System.Globalization;
using System.Text;
using LowRank.Data;
using LowRank.Kernels;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Says why a run stops whose steps or held-out loss have left the numbers: looks at the rows one by
/// one.</summary>
/// <param name="objective">The task.</param>
/// <param name="trained">What is trained; the weights stay as they are.</param>
internal sealed class NonFiniteDiagnosis(IObjective objective, ITrainedWeights trained)
{
    private const int MostRows = 64;  // each is computed by itself
    private const int ShownRows = 10;

    /// <summary>Whether the weights are numbers, and give finite losses and gradients on rows.</summary>
    public bool IsSound(StepBatches step) =>
        trained.Weights.All(weight => FiniteOutput.Holds(weight.Value))
        && step.MicroBatches.Where(rows => rows.Any(row => row.PredictedLabels > 0)).All(rows => Problem(rows) is null);

    /// <summary>The whole message of a run whose last steps gave no numbers.</summary>
    /// <param name="step">The last step.</param>
    /// <param name="problem">What was not finite in it.</param>
    /// <param name="at">Where the run is, the last step counted.</param>
    /// <param name="options">The run's settings.</param>
    /// <param name="rate">The step's learning rate.</param>
    /// <param name="kept">What is left of the run, a sentence.</param>
    public string OfSteps(
        StepBatches step, string problem, RunState at, TrainerOptions options, double rate, string kept)
    {
        List<(IExample Row, string Problem)> wrong = WrongRows(step);
        int looked = step.MicroBatches.Sum(rows => rows.Count(row => row.PredictedLabels > 0));
        long first = at.Step - at.SkippedInRow + 1;
        string why = at.SkippedInRow >= options.MaxSkippedSteps
            ? $"training.max_skipped_steps is {options.MaxSkippedSteps}"
            : first == 1 ? "no step of it could be taken" : "they are its last";
        return Message(
            $"{(first == at.Step ? $"Step {at.Step}" : $"Steps {first} to {at.Step}")} gave no finite loss or " +
            $"gradient, and the run stops ({why}):",
            first == 1 ? "no step was finite"
            : string.Create(
                CultureInfo.InvariantCulture, $"the last finite step is {first - 1}, with loss {at.LastLoss:g4}"),
            $"at step {at.Step} {problem}; learning rate {NonFinite.Name(rate)}",
            Rows(wrong, step, looked),
            Origin(wrong.Select(row => row.Row).FirstOrDefault()),
            kept,
            "try: " + Advice(wrong.Count, Math.Min(looked, MostRows), first == 1));
    }

    /// <summary>The whole message of a run whose last held-out loss is no number.</summary>
    /// <param name="validation">The held-out rows.</param>
    /// <param name="at">Where the run is.</param>
    /// <param name="options">The run's settings.</param>
    /// <param name="kept">What is left of the run, a sentence.</param>
    public string OfHeldOut(IReadOnlyList<IExample> validation, RunState at, TrainerOptions options, string kept)
    {
        IReadOnlyList<IExample>? broken = Evaluation.Broken(objective, validation, options.EvaluationBatchSize);
        return Message($"The held-out loss after step {at.Step} is not finite, and the run is not finished:",
            at.LastLoss is { } loss
                ? string.Create(CultureInfo.InvariantCulture, $"the last finite loss of a step is {loss:g4}")
                : "no step was finite",
            broken is null ? "no held-out row is wrong by itself"
                : $"the first held-out row without a finite loss is {Evaluation.Place(broken[0])}",
            Origin(broken?[0]),
            kept,
            $"try: {Calmer}; and look at that row");
    }

    private const string Calmer =
        "a tenth of training.learning_rate, training.warmup_steps, training.max_grad_norm of 1";

    private static string Message(string what, params string?[] lines) =>
        what + string.Concat(lines.OfType<string>().Select(line => "\n  - " + line));

    // Where in the model a row's numbers are lost; nothing of a row whose gradient alone is not finite.
    private string? Origin(IExample? row)
    {
        if (row is null) return null;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        return float.IsFinite(objective.Sum([row], null).item<float>()) ? null
            : $"it begins here: {FiniteOutput.Origin(objective.Network, () => objective.Sum([row], null))}";
    }

    private static string Rows(List<(IExample Row, string Problem)> wrong, StepBatches step, int looked)
    {
        string limit = looked > MostRows ? $" (the first {MostRows} of {looked} were looked at)" : "";
        if (wrong.Count > 0)
            return $"{wrong.Count} of {looked} rows are wrong by themselves{limit}: " +
                $"{List(wrong.Select(row => $"{Evaluation.Place(row.Row)} ({row.Problem})"))}";
        return $"no row is wrong by itself{limit}; the step has " +
            $"{List(step.MicroBatches.SelectMany(rows => rows).Where(row => row.PredictedLabels > 0).Select(Evaluation.Place))}";
    }

    private static string List(IEnumerable<string> items)
    {
        string[] all = [.. items];
        return string.Join(", ", all.Take(ShownRows))
            + (all.Length > ShownRows ? $" and {all.Length - ShownRows} more" : "");
    }

    private static string Advice(int wrong, int looked, bool fromStart)
    {
        if (wrong > 0 && wrong < looked)
            return $"look at these rows (lengths, symbols, labels); if they are sound, {Calmer}";
        if (fromStart && wrong > 0)
            return "check the model, which gives no numbers before anything was learned: its files (lowrank " +
                "inspect), and training.init_adapter if there is one";
        return $"{Calmer}; an adapter of less alpha";
    }

    private List<(IExample Row, string Problem)> WrongRows(StepBatches step)
    {
        var wrong = new List<(IExample, string)>();
        foreach (IExample row in step.MicroBatches.SelectMany(rows => rows).Where(row => row.PredictedLabels > 0)
            .Take(MostRows))
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
        string? name = trained.Weights.LastOrDefault(
            weight => weight.Value.grad is { } gradient && !FiniteOutput.Holds(gradient)).Key;
        foreach ((string _, Tensor weight) in trained.Weights) weight.grad = null;
        return name is null ? null : $"gradient of {name}";
    }
}

/// <summary>Finds what of a step has left the numbers.</summary>
internal static class NonFinite
{
    // AdamW keeps mean squares in float32: an infinite one would hold its weight still for ever, and say nothing.
    private const double LargestSquared = 1.8e19;

    /// <summary>What is infinite or not a number, as a message names it; null when loss and gradients are
    /// finite.</summary>
    /// <param name="loss">The step's loss.</param>
    /// <param name="norm">The norm of all gradients together.</param>
    /// <param name="scale">What the gradients will be multiplied with before the optimizer takes them.</param>
    /// <param name="weights">The weights that carry the gradients, in the order of the model.</param>
    public static string? Of(
        double loss, double norm, double scale, IReadOnlyList<KeyValuePair<string, Tensor>> weights)
    {
        if (!double.IsFinite(loss)) return $"the loss is {Name(loss)}";
        if (norm * scale < LargestSquared) return null;
        if (double.IsFinite(norm))
            return $"the norm of the gradients is {Name(norm)}, too large to be squared in float32";
        string[] broken =
            [.. weights.Where(weight => weight.Value.grad is { } gradient && !FiniteOutput.Holds(gradient))
            .Select(weight => weight.Key)];
        // Gradients come back from the loss: the last weight of the model is the first that was reached.
        return broken.Length == 0
            ? $"the norm of the gradients is {Name(norm)}, though each of them is finite"
            : $"the gradient of {broken[^1]} is not finite ({broken.Length} of {weights.Count} are not; this one " +
            "is the nearest to the loss)";
    }

    /// <summary>NaN, infinity or a number, as messages write it.</summary>
    public static string Name(double value) => double.IsNaN(value) ? "NaN"
        : double.IsPositiveInfinity(value) ? "infinite"
        : double.IsNegativeInfinity(value) ? "minus infinite" : FormattableString.Invariant($"{value:g4}");
}

/// <summary>Training has left the numbers: step after step the loss or the gradient is infinite or not a
/// number.</summary>
/// <param name="step">The step it stopped at, counted from 1.</param>
/// <param name="diagnosis">What was found, where, and what to try.</param>
public sealed class NonFiniteLossException(long step, string diagnosis) : Exception(diagnosis)
{
    /// <summary>The step it stopped at, counted from 1.</summary>
    public long Step { get; } = step;
}
