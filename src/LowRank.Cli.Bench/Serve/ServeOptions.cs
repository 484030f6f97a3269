using LowRank.Cli.Bench.Generate;
using LowRank.Quantization;

namespace LowRank.Cli.Bench.Serve;

/// <summary>What <c>lowrank bench serve</c> measures.</summary>
internal sealed record ServeOptions
{
    /// <summary>A name of <see cref="ModelShapes"/>, or a model folder with a tokenizer.</summary>
    public string Shape { get; init; } = ModelShapes.Measured[0];

    /// <summary>Number of layers of a named shape; null for its own.</summary>
    public int? Layers { get; init; }

    /// <summary>Formats of the frozen weights, some of <see cref="WeightFormats.Names"/>, measured in turns.</summary>
    public IReadOnlyList<string> BaseDtypes { get; init; } = [WeightFormats.Auto];

    /// <summary>How the output head is stored, one of <see cref="WeightFormats.HeadNames"/>.</summary>
    public string BaseHead { get; init; } = WeightFormats.Float32;

    /// <summary>The type of the products' inputs, one of <see cref="Kernels.Devices.ComputeTypes"/>.</summary>
    public string ComputeDtype { get; init; } = WeightFormats.Float32;

    /// <summary>Number of adapters, and of the texts that are written together, each with another of them.</summary>
    public int Adapters { get; init; } = 8;

    /// <summary>Rank of the adapters.</summary>
    public int Rank { get; init; } = 16;

    /// <summary>Names of the adapted modules; "all-linear" for all; empty for the model type's default.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Tokens of each prompt.</summary>
    public int Prompt { get; init; } = 256;

    /// <summary>Tokens that are written after it; the first comes with the prompt, each further one is a
    /// step.</summary>
    public int New { get; init; } = 33;

    /// <summary>Numbers of texts that are written together with the base alone.</summary>
    public IReadOnlyList<int> Batch { get; init; } = [1, 2, 4, 8, 16];

    /// <summary>Shares of the requests per second that the engine finishes when all come at once: how often requests
    /// arrive. Empty measures no arrivals.</summary>
    public IReadOnlyList<double> Load { get; init; } = [];

    /// <summary>Requests that arrive at each of these rates.</summary>
    public int Requests { get; init; } = 24;

    /// <summary>How often everything is measured, in turns, after once that is not timed.</summary>
    public int Rounds { get; init; } = 3;

    /// <summary>Number of torch threads; null for OMP_NUM_THREADS, else one per physical core.</summary>
    public int? Threads { get; init; }

    /// <summary>llama.cpp's program llama-bench; null for none.</summary>
    public string? LlamaBench { get; init; }

    /// <summary>llama.cpp's program llama-server; null for none.</summary>
    public string? LlamaServer { get; init; }

    /// <summary>What llama-bench measures of it.</summary>
    public GenerateOptions ForLlamaBench => new()
    {
        Shape = Shape, Layers = Layers, Prompt = Prompt, New = New, Threads = Threads, LlamaBench = LlamaBench,
    };

    /// <exception cref="InputException">Some settings are invalid; lists all problems.</exception>
    public void Check()
    {
        List<string> problems = [];
        foreach ((string option, long value) in (IReadOnlyList<(string, long)>)[
            ("adapters", Adapters), ("rank", Rank), ("prompt", Prompt), ("rounds", Rounds), ("requests", Requests),
            ("threads", Threads ?? 1), ("layers", Layers ?? 1), .. Batch.Select(texts => ("batch", (long)texts))])
        {
            if (value < 1) problems.Add($"--{option} is {value}, expected at least 1");
        }
        if (New < 2) problems.Add($"--new is {New}, expected at least 2: the first token comes with the prompt");
        foreach (double share in Load.Where(share => share is not (> 0 and <= 2)))
            problems.Add(FormattableString.Invariant(
                $"--load has {share}, expected shares of what the engine finishes, above 0 and at most 2"));
        foreach ((string option, string? program) in new[]
            { ("--llama-bench", LlamaBench), ("--llama-server", LlamaServer) })
            if (program is not null && Generate.LlamaBench.Lack(Shape, option) is { } lack) problems.Add(lack);
        if (problems.Count > 0) throw new InputException("bench serve cannot run:", problems);
    }
}
