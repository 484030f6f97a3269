using LowRank.Kernels;
using LowRank.Data;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Recipes.Steps;

/// <summary>Estimates the needs of a prepared run.</summary>
internal static class RunEstimate
{
    /// <summary>The estimate that needs no probe.</summary>
    /// <param name="parts">The run.</param>
    /// <param name="programBytes">Memory of the process before the model was opened.</param>
    public static TrainingEstimate Sizes(RunParts parts, long programBytes)
    {
        Models.INetwork network = parts.Model.Network;
        IReadOnlyList<KeyValuePair<string, Tensor>> trained = [.. parts.Attached.Weights.Weights];
        var known = network.Parameters.Values.ToHashSet(ReferenceEqualityComparer.Instance);
        return new TrainingEstimate
        {
            Method = parts.Recipe.Adapter.MethodName,
            TrainedParameters = parts.TrainedParameters,
            TotalParameters = network.ParameterCount
                + trained.Where(weight => !known.Contains(weight.Value)).Sum(weight => weight.Value.numel()),
            ProgramBytes = programBytes,
            WeightBytes = network.WeightBytes,
            AdapterBytes = parts.Attached.Adapter?.Weights.Sum(weight => Bytes(weight.Value)) ?? 0,
            GradientBytes = trained.Sum(weight => Bytes(weight.Value)),
            OptimizerBytes = AdamMoments.Bytes(
                trained.Select(weight => weight.Value.numel()),
                parts.Recipe.Training.Optimizer == TrainingKeys.EightBit),
            StepsPerEpoch = parts.StepsPerEpoch,
            TotalSteps = parts.PlannedSteps,
        };
    }

    /// <inheritdoc cref="RecipeRun.MemoryProblem"/>
    public static string? MemoryProblem(Recipe recipe, TrainingEstimate estimate)
    {
        // Weights mapped from a file count too: they must stay in memory while steps use them.
        long needed = estimate.PeakBytes - estimate.ProgramBytes;
        return recipe.Device == "cpu" && ProcessMemory.AvailableBytes() is { } free && needed > free
            ? FormattableString.Invariant(
                $"weights, gradients and optimizer alone take {needed / 1e9:0.0} GB, and {free / 1e9:0.0} GB are free")
            : null;
    }

    /// <summary>The sizes, and what a few steps need in addition.</summary>
    public static TrainingEstimate Probe(RunParts parts, RunComparer comparer, TrainingEstimate sizes, TimeSpan time)
    {
        Recipe recipe = parts.Recipe;
        set_num_threads(recipe.Training.Threads ?? ProcessorCores.Usable());
        if (MemoryProblem(recipe, sizes) is { } problem) return sizes with { NotProbed = problem };
        TrainerOptions options = RecipeOptions.Training(recipe);
        IReadOnlyList<IExample> validation = options.EvaluateEvery == 0 ? [] : parts.Data.Validation;
        comparer.GenerateFirst();
        IReadOnlyList<IExample> probed = parts.Data.Some(recipe.Training);
        ProbeResult result = TrainingProbe.Run(parts.Data.Task, parts.Attached.Weights, options, probed,
            [.. validation, .. parts.Data.ComparisonExamples], validation, time);
        return sizes with
        {
            // On another device the process's memory says little, and the device does not report its peak.
            ActivationBytes = recipe.Device == "cpu" ? Math.Max(0, ProcessMemory.PeakBytes() - sizes.PeakBytes) : null,
            Epoch = result.Epoch * ((double)parts.Data.Examples.Count / probed.Count),
            Evaluation = result.Evaluation,
            ProbedBatches = result.Steps,
        };
    }

    private static long Bytes(Tensor weight) => weight.numel() * weight.element_size();
}
