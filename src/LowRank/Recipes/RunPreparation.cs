using System.Diagnostics;

namespace LowRank.Recipes;

/// <summary>Makes a run ready part by part: collects the problems of all parts, and how long each took.</summary>
internal sealed class RunPreparation
{
    private readonly List<RunStage> stages = [];

    /// <summary>What was wrong so far.</summary>
    public List<string> Problems { get; } = [];

    /// <summary>What was done so far.</summary>
    public IReadOnlyList<RunStage> Stages => stages;

    /// <summary>Does a part; what is wrong with the input is noted, so that the next parts are checked too.</summary>
    public void Try(string name, Action part)
    {
        long started = Stopwatch.GetTimestamp();
        try
        {
            part();
        }
        catch (InputException e)
        {
            Problems.Add(e.Message);
        }
        stages.Add(new RunStage(name, Stopwatch.GetElapsedTime(started)));
    }
}
