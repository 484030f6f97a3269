namespace LowRank.Cli.Bench.Lengths;

/// <summary>What <c>lowrank bench lengths</c> measures.</summary>
internal sealed record LengthsOptions
{
    /// <summary>Files with rows of a language model, whose lengths are real.</summary>
    public required IReadOnlyList<string> Data { get; init; }

    /// <summary>Folder of the tokenizer.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>A name of <see cref="ModelShapes"/>, or a model folder.</summary>
    public string Shape { get; init; } = "gpt2-small";

    /// <summary>Rows of a step.</summary>
    public int Batch { get; init; } = 16;

    /// <summary>Rank of the pairs.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Names of the adapted modules; "all-linear" for all; empty for the model type's default.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Steps of each loop that are timed, after one that is not.</summary>
    public int Steps { get; init; } = 5;

    /// <summary>Longest row in tokens.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Threads of torch; null takes one for each physical core.</summary>
    public int? Threads { get; init; }

    /// <exception cref="InputException">Settings make no sense: all problems at once.</exception>
    public void Check()
    {
        List<string> problems = [];
        foreach ((string option, long value) in (ReadOnlySpan<(string, long)>)[("batch", Batch), ("rank", Rank), ("steps", Steps), ("threads", Threads ?? 1)])
        {
            if (value < 1) problems.Add($"--{option} is {value}, expected at least 1");
        }
        if (MaxLength < 2) problems.Add($"--max-length is {MaxLength}, expected at least 2");
        if (problems.Count > 0) throw new InputException("bench lengths cannot run:", problems);
    }
}
