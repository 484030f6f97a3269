namespace LowRank.Cli.Runs;

/// <summary>What a list of runs says of one. What its folder does not tell is null.</summary>
/// <param name="Folder">Relative to the folder that was searched, with slashes.</param>
/// <param name="State">running, finished, stopped, killed, or ended (a run of an older version, which does not say how).</param>
/// <param name="Steps">Steps taken.</param>
/// <param name="PlannedSteps">Steps in all.</param>
/// <param name="BestLoss">The lowest held-out loss, in nats.</param>
/// <param name="BestStep">Its step.</param>
/// <param name="Method">The recipe's <c>adapter.method</c>.</param>
/// <param name="Rank">The recipe's <c>adapter.rank</c>; null where the method has none.</param>
/// <param name="LearningRate">The peak rate.</param>
/// <param name="Seconds">Time spent in steps.</param>
/// <param name="Changed">When it was last written to.</param>
internal sealed record RunRow(string Folder, string State, long? Steps, long? PlannedSteps, double? BestLoss, long? BestStep, string? Method, int? Rank,
    double? LearningRate, double? Seconds, DateTimeOffset Changed)
{
    /// <summary>What is wrong with its files, a clause each; the row says what the others tell.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];
}
