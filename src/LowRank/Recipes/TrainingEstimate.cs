namespace LowRank.Recipes;

/// <summary>What a run will take: weights, memory by part, and time.</summary>
public sealed record TrainingEstimate
{
    /// <summary>The value of <c>adapter.method</c>.</summary>
    public required string Method { get; init; }

    /// <summary>The number of weights that are trained.</summary>
    public required long TrainedParameters { get; init; }

    /// <summary>The number of weights of the model and of what is trained beside it.</summary>
    public required long TotalParameters { get; init; }

    /// <summary>Bytes of the program and its libraries before the model is opened, as measured.</summary>
    public required long ProgramBytes { get; init; }

    /// <summary>Bytes of the base's weights in memory.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Bytes of the adapter's weights, frozen ones included.</summary>
    public required long AdapterBytes { get; init; }

    /// <summary>Bytes of the gradients.</summary>
    public required long GradientBytes { get; init; }

    /// <summary>Bytes of the optimizer's state: AdamW keeps two numbers for each trained one.</summary>
    public required long OptimizerBytes { get; init; }

    /// <summary>Bytes of everything else at the peak: activations that are kept for the gradient, temporaries, the
    /// data. Measured; null where the probe did not run.</summary>
    public long? ActivationBytes { get; init; }

    /// <summary>The most memory of the process, as a run reports it; without what was not measured, where that is
    /// so.</summary>
    public long PeakBytes =>
        ProgramBytes + WeightBytes + AdapterBytes + GradientBytes + OptimizerBytes + (ActivationBytes ?? 0);

    /// <summary>Optimizer steps of a pass over the data.</summary>
    public required long StepsPerEpoch { get; init; }

    /// <summary>Optimizer steps of the whole run.</summary>
    public required long TotalSteps { get; init; }

    /// <summary>Time of a pass over the data, evaluations left out; null where the probe did not run.</summary>
    public TimeSpan? Epoch { get; init; }

    /// <summary>Time of one evaluation of the validation data; null where the probe did not run.</summary>
    public TimeSpan? Evaluation { get; init; }

    /// <summary>Micro-batches that were timed; 0 where the probe did not run.</summary>
    public int ProbedBatches { get; init; }

    /// <summary>Why the probe did not run; null where it did.</summary>
    public string? NotProbed { get; init; }
}
