using LowRank.Quantization;

namespace LowRank.Cli.Bench.Train;

/// <summary>The options of <c>lowrank bench train</c>.</summary>
internal sealed record TrainBenchOptions
{
    /// <summary>A name of <see cref="ModelShapes"/>, or a model folder.</summary>
    public string Shape { get; init; } = ModelShapes.Measured[0];

    /// <summary>Number of layers of a named shape; null for its own.</summary>
    public int? Layers { get; init; }

    /// <summary>Rows per step.</summary>
    public int Batch { get; init; } = 4;

    /// <summary>Tokens per row.</summary>
    public int Length { get; init; } = 256;

    /// <summary>Rank of the pairs.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Names of the adapted modules; "all-linear" for all; empty for the model type's default.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Share of each row, at its end, to predict, in (0, 1].</summary>
    public double Labelled { get; init; } = 1;

    /// <summary>Dropout of the model (if a shape is named) and of the adapter.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether to recompute blocks in the backward pass.</summary>
    public bool Checkpointing { get; init; }

    /// <summary>Timed steps, after one untimed step.</summary>
    public int Steps { get; init; } = 5;

    /// <summary>The device: cpu, cuda, cuda:N or mps.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>How to store the frozen weights, one of <see cref="WeightFormats.Names"/>.</summary>
    public string BaseDtype { get; init; } = WeightFormats.Auto;

    /// <summary>The type of the inputs of products with frozen weights, one of
    /// <see cref="Kernels.Devices.ComputeTypes"/>. On the processor, float32's steps are measured in turns with those
    /// of another type.</summary>
    public string ComputeDtype { get; init; } = WeightFormats.Float32;

    /// <summary>Whether CUDA multiplies in TF32.</summary>
    public bool Tf32 { get; init; }

    /// <summary>Whether weights of one shape are all alike: drawn once, and never written to a file.</summary>
    public bool Alike { get; init; }

    /// <summary>Number of torch threads; null for OMP_NUM_THREADS, else one per physical core.</summary>
    public int? Threads { get; init; }

    /// <summary>A program and its arguments that run the same steps elsewhere; empty for none.</summary>
    public IReadOnlyList<string> Beside { get; init; } = [];

    /// <exception cref="InputException">Some settings are invalid; lists all problems.</exception>
    public void Check()
    {
        List<string> problems = [];
        void Positive(string option, long value)
        {
            if (value < 1) problems.Add($"--{option} is {value}, expected at least 1");
        }
        Positive("batch", Batch);
        Positive("rank", Rank);
        Positive("steps", Steps);
        Positive("threads", Threads ?? 1);
        Positive("layers", Layers ?? 1);
        if (Length < 2)
            problems.Add($"--length is {Length}, expected at least 2: a row's first token is not predicted");
        if (!(Labelled is > 0 and <= 1)) problems.Add($"--labelled is {Labelled}, expected more than 0 and at most 1");
        if (!(Dropout is >= 0 and < 1)) problems.Add($"--dropout is {Dropout}, expected at least 0 and less than 1");
        if (problems.Count > 0) throw new InputException("bench train cannot run:", problems);
    }
}
