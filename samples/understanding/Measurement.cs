namespace LowRank.Samples.Understanding;

/// <summary>A file of docs/figures/performance and what prints it. <see cref="Measurements.All"/> is the one list of
/// them: the page shows its commands, tests hold the files to it, and bench/LowRank.Bench runs it.</summary>
/// <param name="Name">The file, without the ending.</param>
/// <param name="Words">The program and its arguments; the place of an input stands where its path goes.</param>
/// <param name="Seconds">What it takes, roughly, on two cores.</param>
public sealed record Measurement(string Name, IReadOnlyList<string> Words, int Seconds)
{
    /// <summary>The command line's name.</summary>
    public const string Program = "lowrank";

    /// <summary>What takes the place of <see cref="Words"/> to try whether all works: a small model and few rounds, in
    /// seconds. Its numbers say nothing.</summary>
    public required IReadOnlyList<string> Trial { get; init; }

    /// <summary>The vectors it is held to; null for what the processor has.</summary>
    public VectorLimit? Limit { get; init; }

    /// <summary>Whether the command line measures, and says itself with what command, where and of which
    /// commit.</summary>
    public bool IsOwn => Words[0] == Program;

    /// <summary>The command, as the file has it: paths of inputs are those of
    /// <see cref="MeasurementInput.Place"/>.</summary>
    public string Command =>
        string.Join(' ', [.. Limit?.Environment.Select(setting => $"{setting.Key}={setting.Value}") ?? [], .. Words]);

    /// <summary>What it needs from outside of the repository.</summary>
    public IEnumerable<MeasurementInput> Inputs =>
        MeasurementInput.All.Where(input => input == Beside || Words.Contains(input.Place));

    /// <summary>An input beside which it is measured though its command does not name it: the processor of a GPU's
    /// machine; null for none.</summary>
    public MeasurementInput? Beside { get; init; }

    /// <summary>The same, held to a processor with narrower vectors, in a file of its own.</summary>
    /// <param name="limit">Which.</param>
    /// <param name="seconds">What it takes then.</param>
    public Measurement On(VectorLimit limit, int seconds) =>
        this with { Name = $"{Name}_{limit.Name}", Limit = limit, Seconds = seconds };
}
