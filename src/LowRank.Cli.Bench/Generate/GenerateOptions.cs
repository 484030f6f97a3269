using LowRank.Quantization;

namespace LowRank.Cli.Bench.Generate;

/// <summary>What <c>lowrank bench generate</c> measures.</summary>
internal sealed record GenerateOptions
{
    /// <summary>A name of <see cref="ModelShapes"/>, or a model folder.</summary>
    public string Shape { get; init; } = ModelShapes.Measured[0];

    /// <summary>Number of layers of a named shape; null for its own.</summary>
    public int? Layers { get; init; }

    /// <summary>Formats of the frozen weights, some of <see cref="WeightFormats.Names"/>, measured in turns.</summary>
    public IReadOnlyList<string> BaseDtypes { get; init; } = [WeightFormats.Auto];

    /// <summary>How the output head is stored, one of <see cref="WeightFormats.HeadNames"/>.</summary>
    public string BaseHead { get; init; } = WeightFormats.Float32;

    /// <summary>The type of the products' inputs, one of <see cref="Kernels.Devices.ComputeTypes"/>.</summary>
    public string ComputeDtype { get; init; } = WeightFormats.Float32;

    /// <summary>llama.cpp's program llama-bench, which is measured in turns with each format; null for none.</summary>
    public string? LlamaBench { get; init; }

    /// <summary>Sequences that are generated together, next to one alone.</summary>
    public int Batch { get; init; } = 8;

    /// <summary>Tokens of each prompt.</summary>
    public int Prompt { get; init; } = 256;

    /// <summary>Tokens that are generated after it; the first comes with the prompt, each further one is a
    /// step.</summary>
    public int New { get; init; } = 33;

    /// <summary>Rank of the unmerged adapter; 0 measures the base alone.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Names of the adapted modules; "all-linear" for all; empty for the model type's default.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>How often everything is measured, in turns, after once that is not timed.</summary>
    public int Rounds { get; init; } = 7;

    /// <summary>Number of torch threads; null for OMP_NUM_THREADS, else one per physical core.</summary>
    public int? Threads { get; init; }

    /// <exception cref="InputException">Some settings are invalid; lists all problems.</exception>
    public void Check()
    {
        List<string> problems = [];
        foreach ((string option, long value) in (ReadOnlySpan<(string, long)>)[
            ("batch", Batch), ("prompt", Prompt), ("rounds", Rounds), ("threads", Threads ?? 1),
            ("layers", Layers ?? 1)])
        {
            if (value < 1) problems.Add($"--{option} is {value}, expected at least 1");
        }
        if (New < 2) problems.Add($"--new is {New}, expected at least 2: the first token comes with the prompt");
        if (Rank < 0) problems.Add($"--rank is {Rank}, expected 0 (the base alone) or more");
        if (LlamaBench is not null && Generate.LlamaBench.Lack(Shape) is { } lack) problems.Add(lack);
        if (problems.Count > 0) throw new InputException("bench generate cannot run:", problems);
    }
}

