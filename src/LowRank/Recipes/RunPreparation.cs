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

/// <summary>A part of making a run ready, and how long it took.</summary>
/// <param name="Name">What was done, such as "model".</param>
/// <param name="Elapsed">Its time.</param>
public sealed record RunStage(string Name, TimeSpan Elapsed);

/// <summary>The folder that receives a run.</summary>
internal static class OutputFolder
{
    /// <summary>Requires that the folder can be made. Nothing is written.</summary>
    /// <exception cref="InputException">A file stands in its way.</exception>
    public static void Check(string path)
    {
        for (string? at = path; at is not null; at = Path.GetDirectoryName(at))
        {
            if (Directory.Exists(at)) return;
            if (File.Exists(at))
                throw new InputException(
                    $"output is {path}, and {(at == path ? "that" : at)} is a file; expected a folder, or a place " +
                    "where one can be made.");
        }
    }
}
