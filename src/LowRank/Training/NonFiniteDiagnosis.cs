using System.Globalization;
using LowRank.Data;
using LowRank.Kernels;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>Explains why a run stops when its steps or held-out loss are not finite, by checking the rows one by
/// one.</summary>
/// <param name="objective">The task.</param>
/// <param name="trained">The trained weights, which are not changed.</param>
internal sealed class NonFiniteDiagnosis(IObjective objective, ITrainedWeights trained)
{
    private const int MostRows = 64;  // each is computed by itself
    private const int ShownRows = 10;

    /// <summary>Whether the weights are finite and give finite losses and gradients on some rows.</summary>
    public bool IsSound(StepBatches step) =>
        trained.Weights.All(weight => FiniteOutput.Holds(weight.Value))
        && step.MicroBatches.Where(rows => rows.Any(row => row.PredictedLabels > 0)).All(rows => Problem(rows) is null);

    /// <summary>The complete message for a run whose last steps were not finite.</summary>
    /// <param name="step">The last step.</param>
    /// <param name="problem">What was not finite in that step.</param>
    /// <param name="at">The progress of the run, including the last step.</param>
    /// <param name="options">The run's settings.</param>
    /// <param name="rate">The step's learning rate.</param>
    /// <param name="kept">What remains of the run, as a sentence.</param>
    public Words OfSteps(
        StepBatches step, string problem, RunState at, TrainerOptions options, double rate, Words kept)
    {
        List<(IExample Row, string Problem)> wrong = WrongRows(step);
        int looked = step.MicroBatches.Sum(rows => rows.Count(row => row.PredictedLabels > 0));
        long first = at.Step - at.SkippedInRow + 1;
        Words why = at.SkippedInRow >= options.MaxSkippedSteps
            ? Words.Of($"{KnownSettings.MaxSkippedSteps} is {options.MaxSkippedSteps}")
            : Words.Plain(first == 1 ? "no step of it could be taken" : "they are its last");
        return Message(Words.Of(
            $"{(first == at.Step ? $"Step {at.Step}" : $"Steps {first} to {at.Step}")} gave no finite loss or " +
            $"gradient, and the run stops ({why}):"),
            Plain(first == 1 ? "no step was finite"
            : string.Create(
                CultureInfo.InvariantCulture, $"the last finite step is {first - 1}, with loss {at.LastLoss:g4}")),
            Words.Of($"at step {at.Step} {problem}; learning rate {NonFinite.Name(rate)}"),
            Plain(Rows(wrong, step, looked)),
            Plain(Origin(wrong.Select(row => row.Row).FirstOrDefault())),
            kept,
            Words.Of($"try: {Advice(wrong.Count, Math.Min(looked, MostRows), first == 1)}"));
    }

    /// <summary>The complete message for a run whose last held-out loss is not finite.</summary>
    /// <param name="validation">The held-out rows.</param>
    /// <param name="at">The progress of the run.</param>
    /// <param name="options">The run's settings.</param>
    /// <param name="kept">What remains of the run, as a sentence.</param>
    public Words OfHeldOut(IReadOnlyList<IExample> validation, RunState at, TrainerOptions options, Words kept)
    {
        IReadOnlyList<IExample>? broken = Evaluation.Broken(objective, validation, options.EvaluationBatchSize);
        return Message(
            Words.Of($"The held-out loss after step {at.Step} is not finite, and the run is not finished:"),
            Plain(at.LastLoss is { } loss
                ? string.Create(CultureInfo.InvariantCulture, $"the last finite loss of a step is {loss:g4}")
                : "no step was finite"),
            Plain(broken is null ? "no held-out row is wrong by itself"
                : $"the first held-out row without a finite loss is {Evaluation.Place(broken[0])}"),
            Plain(Origin(broken?[0])),
            kept,
            Words.Of($"try: {Calmer}; and look at that row"));
    }

    private static readonly Words Calmer = Words.Of(
        $"a tenth of {KnownSettings.LearningRate}, a longer warm-up{KnownSettings.WarmupSteps.Aside}, a " +
        $"gradient norm of at most 1{KnownSettings.MaxGradientNorm.Aside}");

    private static Words Message(Words what, params Words?[] lines) => Words.Lines(what, lines.OfType<Words>());

    private static Words? Plain(string? line) => line is null ? null : Words.Plain(line);

    // The place in the model where a row's values stop being finite; nothing for a row of which only the gradient is
    // not finite.
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
            $"{List(step.MicroBatches.SelectMany(rows => rows).Where(row => row.PredictedLabels > 0)
                .Select(Evaluation.Place))}";
    }

    private static string List(IEnumerable<string> items)
    {
        string[] all = [.. items];
        return string.Join(", ", all.Take(ShownRows))
            + (all.Length > ShownRows ? $" and {all.Length - ShownRows} more" : "");
    }

    private static Words Advice(int wrong, int looked, bool fromStart)
    {
        if (wrong > 0 && wrong < looked)
            return Words.Of($"look at these rows (lengths, symbols, labels); if they are sound, {Calmer}");
        if (fromStart && wrong > 0)
            return Words.Of(
                $"check the model, which gives no numbers before anything was learned: its files" +
                $"{KnownSettings.Inspect.Aside}, and {KnownSettings.StartAdapter} if there is one");
        return Words.Of($"{Calmer}; an adapter of less alpha");
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

    // What is not finite when rows are computed together; null if everything is finite.
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

/// <summary>Finds what in a step is not finite.</summary>
internal static class NonFinite
{
    /// <summary>The norm of gradients that can be squared in float32. AdamW stores mean squares in float32: an infinite
    /// one would silently freeze its weight forever.</summary>
    internal const double LargestSquared = 1.8e19;

    /// <summary>A description of what is infinite or NaN; null if loss and gradients are finite.</summary>
    /// <param name="loss">The step's loss.</param>
    /// <param name="norm">The norm of all gradients.</param>
    /// <param name="scale">The scale of the gradients in the optimizer step.</param>
    /// <param name="weights">The weights with the gradients, in the model's order; null if the gradients are
    /// gone.</param>
    public static string? Of(
        double loss, double norm, double scale, IReadOnlyList<KeyValuePair<string, Tensor>>? weights)
    {
        if (!double.IsFinite(loss)) return $"the loss is {Name(loss)}";
        if (norm * scale < LargestSquared) return null;
        if (double.IsFinite(norm))
            return $"the norm of the gradients is {Name(norm)}, too large to be squared in float32";
        if (weights is null) return $"the norm of the gradients is {Name(norm)}";
        string[] broken =
            [.. weights.Where(weight => weight.Value.grad is { } gradient && !FiniteOutput.Holds(gradient))
            .Select(weight => weight.Key)];
        // Gradients flow back from the loss, so the last weight of the model was reached first.
        return broken.Length == 0
            ? $"the norm of the gradients is {Name(norm)}, though each of them is finite"
            : $"the gradient of {broken[^1]} is not finite ({broken.Length} of {weights.Count} are not; this one " +
            "is the nearest to the loss)";
    }

    /// <summary>NaN, infinity or a number, for messages.</summary>
    public static string Name(double value) => double.IsNaN(value) ? "NaN"
        : double.IsPositiveInfinity(value) ? "infinite"
        : double.IsNegativeInfinity(value) ? "minus infinite" : FormattableString.Invariant($"{value:g4}");
}

/// <summary>Training diverged: step after step, the loss or the gradient is infinite or NaN.</summary>
public sealed class NonFiniteLossException : Exception, IWorded
{
    private readonly Words diagnosis;
    private Wording? wording;

    /// <summary>Reports it.</summary>
    /// <param name="step">The step at which it stopped, counted from 1.</param>
    /// <param name="diagnosis">What was found, where it is, and what to try.</param>
    public NonFiniteLossException(long step, string diagnosis) : this(step, Words.Plain(diagnosis)) { }

    /// <inheritdoc cref="NonFiniteLossException(long, string)"/>
    public NonFiniteLossException(long step, Words diagnosis) => (Step, this.diagnosis) = (step, diagnosis);

    /// <summary>The step at which it stopped, counted from 1.</summary>
    public long Step { get; }

    /// <inheritdoc/>
    public override string Message => diagnosis.In(wording);

    /// <inheritdoc/>
    public void Word(Wording wording) => this.wording = wording;
}
