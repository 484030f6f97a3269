using System.Diagnostics;
using LowRank.IO;
using LowRank.Training;

namespace LowRank.Recipes.Steps;

/// <summary>Makes a run ready part by part: collects the problems and notes of all parts, and how long each
/// took.</summary>
internal sealed class RunPreparation
{
    private readonly List<RunStage> stages = [];
    private InputRemedy? remedy;

    /// <summary>Begins with what reading the recipe left to say.</summary>
    /// <exception cref="InputException">The data comes through a pipe, which can be read once.</exception>
    public static RunPreparation Begin(Recipe recipe)
    {
        RecipeSources.RequireFiles(recipe);
        var preparation = new RunPreparation();
        preparation.Notes.AddRange(recipe.ReadingNotes);
        return preparation;
    }

    /// <summary>What was wrong so far.</summary>
    public List<string> Problems { get; } = [];

    /// <summary>What the user should know, a sentence each.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>What was done so far.</summary>
    public IReadOnlyList<RunStage> Stages => stages;

    /// <summary>Does a part; what is wrong with the input is noted, so that the next parts are checked too.</summary>
    /// <returns>What the part made; the default of its type where something was wrong.</returns>
    public T? Try<T>(string name, Func<T> part)
    {
        long started = Stopwatch.GetTimestamp();
        T? made = default;
        try
        {
            made = part();
        }
        catch (InputException e)
        {
            Problems.Add(e.Message);
            remedy ??= e.Remedy;
        }
        stages.Add(new RunStage(name, Stopwatch.GetElapsedTime(started)));
        return made;
    }

    /// <summary>Reports all problems.</summary>
    /// <exception cref="InputException">There is one.</exception>
    public void ThrowIfAny()
    {
        if (Problems.Count > 0)
            throw Problems.Count == 1 ? new InputException(Problems[0]) { Remedy = remedy }
                : new InputException("The recipe cannot be run:", Problems) { Remedy = remedy };
    }
}

/// <summary>The folder that receives a run.</summary>
internal static class OutputFolder
{
    /// <summary>Requires that the folder can be made. Nothing is written.</summary>
    /// <exception cref="InputException">A file stands in its way.</exception>
    public static bool Check(string path)
    {
        for (string? at = path; at is not null; at = Path.GetDirectoryName(at))
        {
            if (Directory.Exists(at)) return true;
            if (File.Exists(at))
                throw new InputException(
                    $"output is {path}, and {(at == path ? "that" : at)} is a file; expected a folder, or a place " +
                    "where one can be made.");
        }
        return true;
    }

    /// <summary>Writes a file into it, whole or not at all.</summary>
    /// <exception cref="RunStorageException">It cannot be written.</exception>
    public static void Write(string output, string name, string text, StorageWait? waits)
    {
        string path = Path.Combine(output, name);
        RunStorageException.Guard(path, () => AtomicFile.Write(path, text), waits);
    }
}
