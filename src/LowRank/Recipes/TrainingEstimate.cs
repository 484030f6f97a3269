namespace LowRank.Recipes;

/// <summary>The estimated needs of a run: weights, memory by part, and time.</summary>
public sealed record TrainingEstimate
{
    /// <summary>The value of <c>adapter.method</c>.</summary>
    public required string Method { get; init; }

    /// <summary>Number of trained weights.</summary>
    public required long TrainedParameters { get; init; }

    /// <summary>Number of weights of the model and of what is trained in addition.</summary>
    public required long TotalParameters { get; init; }

    /// <summary>Measured memory of the program and its libraries in bytes, before the model is opened.</summary>
    public required long ProgramBytes { get; init; }

    /// <summary>Size of the base's weights in memory, in bytes.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Size of the adapter's weights in bytes, including frozen ones.</summary>
    public required long AdapterBytes { get; init; }

    /// <summary>Size of the gradients in bytes.</summary>
    public required long GradientBytes { get; init; }

    /// <summary>Size of the optimizer's state in bytes: AdamW stores two numbers per trained weight, in
    /// four bytes or one.</summary>
    public required long OptimizerBytes { get; init; }

    /// <summary>Size of everything else at the peak, in bytes: activations stored for the gradient, temporaries, the
    /// data. Measured; null if the probe did not run.</summary>
    public long? ActivationBytes { get; init; }

    /// <summary>Peak memory of the process, as a run reports it; excludes what was not measured.</summary>
    public long PeakBytes =>
        ProgramBytes + WeightBytes + AdapterBytes + GradientBytes + OptimizerBytes + (ActivationBytes ?? 0);

    /// <summary>Number of optimizer steps per pass over the data.</summary>
    public required long StepsPerEpoch { get; init; }

    /// <summary>Number of optimizer steps in the whole run.</summary>
    public required long TotalSteps { get; init; }

    /// <summary>Time of a pass over the data, without evaluations; null if the probe did not run.</summary>
    public TimeSpan? Epoch { get; init; }

    /// <summary>Time of one evaluation of the validation data; null if the probe did not run.</summary>
    public TimeSpan? Evaluation { get; init; }

    /// <summary>Number of micro-batches timed; 0 if the probe did not run.</summary>
    public int ProbedBatches { get; init; }

    /// <summary>Why the probe did not run; null if it did.</summary>
    public string? NotProbed { get; init; }
}
