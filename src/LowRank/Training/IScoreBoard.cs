namespace LowRank.Training;

/// <summary>Collects a task's predictions over an evaluation.</summary>
public interface IScoreBoard
{
    /// <summary>The metrics by name; null where one is not defined, as a correlation of constants.</summary>
    IReadOnlyDictionary<string, double?> Metrics();
}
