using LowRank.Data;
using LowRank.Kernels;
using LowRank.Recipes.Runs;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Recipes;

// What the run will take.
public sealed partial class RecipeRun
{
    /// <summary>Optimizer steps of the whole run.</summary>
    public long PlannedSteps => RecipeOptions.Training(Recipe).PlannedSteps(StepsPerEpoch);

    /// <summary>Rows that are trained on, and rows that are held out.</summary>
    public (int Training, int Validation) Rows => (Examples.Count, Validation.Count);

    // What the run's folder keeps of what is known before the first step.
    private RunFacts Facts() => new()
    {
        Training = stream is null ? RowFacts.Of(Examples) : null, // a stream is not gone through before
        Validation = Validation.Count > 0 ? RowFacts.Of(Validation) : null,
        Notes = Notes,
        Advice = Advice,
    };

    private long StepsPerEpoch
    {
        get
        {
            long rows = (long)Recipe.Training.BatchSize * Recipe.Training.GradientAccumulation;
            return (Examples.Count + rows - 1) / rows;
        }
    }

    /// <summary>What is known without a probe: the sizes of weights, adapter, gradients and optimizer.</summary>
    public TrainingEstimate Sizes()
    {
        long trained = TrainedParameters;
        var known = Model.Network.Parameters.Values.ToHashSet(ReferenceEqualityComparer.Instance);
        return new TrainingEstimate
        {
            Method = Recipe.Adapter.Method,
            TrainedParameters = trained,
            TotalParameters = Model.Network.ParameterCount
            + Trained.Weights.Where(weight => !known.Contains(weight.Value)).Sum(weight => weight.Value.numel()),
            ProgramBytes = programBytes,
            WeightBytes = Model.Network.Parameters.Values.Sum(Bytes)
            + Model.Network.PackedWeights.Values.Sum(weight => weight.Bytes),
            AdapterBytes = Adapter?.Weights.Sum(weight => Bytes(weight.Value)) ?? 0,
            GradientBytes = Trained.Weights.Sum(weight => Bytes(weight.Value)),
            OptimizerBytes = 2 * Trained.Weights.Sum(weight => Bytes(weight.Value)),
            StepsPerEpoch = StepsPerEpoch,
            TotalSteps = PlannedSteps,
        };
    }

    /// <summary>Says that memory cannot hold the run, or null where it may.</summary>
    /// <param name="estimate">Sizes, with or without a probe.</param>
    public string? MemoryProblem(TrainingEstimate estimate)
    {
        // Weights that are mapped from a file are counted: they have to stay in memory while steps go over them.
        long needed = estimate.PeakBytes - estimate.ProgramBytes;
        return Recipe.Device == "cpu" && ProcessMemory.AvailableBytes() is { } free && needed > free
            ? FormattableString.Invariant(
                $"weights, gradients and optimizer alone take {needed / 1e9:0.0} GB, and {free / 1e9:0.0} GB are free")
            : null;
    }

    /// <summary>What the run will take, from a few of its steps. Nothing is written; the weights keep their
    /// values.</summary>
    /// <param name="probe">How long to measure.</param>
    /// <remarks>For a fresh process: the peak of memory is that of the process, as it is in what a run
    /// reports.</remarks>
    public TrainingEstimate Estimate(TimeSpan probe)
    {
        set_num_threads(Recipe.Training.Threads ?? ProcessorCores.Physical());
        TrainingEstimate estimate = Sizes();
        if (MemoryProblem(estimate) is { } problem) return estimate with { NotProbed = problem };
        TrainerOptions options = RecipeOptions.Training(Recipe);
        IReadOnlyList<IExample> validation = options.EvaluateEvery == 0 ? [] : Validation;
        // texts are generated before training: what that takes belongs to the peak
        if (Recipe.Comparison is { } comparison)
            Generate(
                [.. Prompted().Take(Math.Max(comparison.Facts, comparison.Generations))
                .Select(row => row.Text("prompt")!).Take(GenerationBatch)], comparison.MaxNewTokens);
        IReadOnlyList<IExample> probed = SomeExamples;
        ProbeResult result =
            TrainingProbe.Run(
                Task, Trained, options, probed, [.. validation, .. ComparisonExamples], validation, probe);
        return estimate with
        {
            // On another device the process holds little of it, and the device does not tell its peak.
            ActivationBytes = Recipe.Device == "cpu"
                ? Math.Max(0, ProcessMemory.PeakBytes() - estimate.PeakBytes) : null,
            Epoch = result.Epoch * ((double)Examples.Count / probed.Count),
            Evaluation = result.Evaluation,
            ProbedBatches = result.Steps,
        };
    }

    private static long Bytes(Tensor weight) => weight.numel() * weight.element_size();
}
