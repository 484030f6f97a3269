namespace LowRank.Cli.Bench.Growth;

/// <summary>The smallest run of each series, and how often each is measured.</summary>
internal sealed record GrowthOptions
{
    /// <summary>Tokens of a row where rows are not what grows.</summary>
    public const int RowLength = 128;

    /// <summary>What can grow.</summary>
    public static IReadOnlyList<string> Known { get; } = ["rows", "tokens", "length", "weights"];

    /// <summary>What grows; some of <see cref="Known"/>.</summary>
    public IReadOnlyList<string> Grows { get; init; } = Known;

    /// <summary>Rows of the smallest data; it is measured at 1, 4 and 16 times as many.</summary>
    public int Rows { get; init; } = 2000;

    /// <summary>Tokens of the smallest step; measured at 1, 2, 4 and 8 times as many.</summary>
    public int Tokens { get; init; } = 512;

    /// <summary>Layers of the smallest model; measured at 1, 2 and 4 times as many.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>Steps of a run. The runtime compiles the kernels anew, faster, during the first ones, which count as the processor's time.</summary>
    public int Steps { get; init; } = 40;

    /// <summary>Processes for each point; the fastest step and the lowest peak of them count, since other programs and the garbage collector only add.</summary>
    public int Rounds { get; init; } = 1;

    /// <summary>Refuses what cannot be measured.</summary>
    /// <exception cref="InputException">Names every option that is wrong.</exception>
    public void Check()
    {
        List<string> problems = [];
        foreach (string name in Grows.Where(name => !Known.Contains(name))) problems.Add($"Found \"{name}\"; expected any of {string.Join(", ", Known)}, or nothing for all.");
        if (Rows < 64) problems.Add($"--rows is {Rows}; expected 64 or more.");
        if (Tokens < RowLength || Tokens % RowLength != 0) problems.Add($"--tokens is {Tokens}; expected a multiple of {RowLength}, the tokens of a row.");
        if (Layers < 1) problems.Add($"--layers is {Layers}; expected 1 or more.");
        if (Steps < 2) problems.Add($"--steps is {Steps}; expected 2 or more, since the first is not timed.");
        if (Rounds < 1) problems.Add($"--rounds is {Rounds}; expected 1 or more.");
        if (problems.Count > 0) throw new InputException("Nothing can be measured:", problems);
    }
}
