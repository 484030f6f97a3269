using System.Diagnostics;
using LowRank.IO;

namespace LowRank.Recipes.Steps;

/// <summary>Prepares a run part by part, and collects the problems, notes and durations of all parts.</summary>
internal sealed class RunPreparation
{
    private readonly List<RunStage> stages = [];

    /// <summary>Starts with the notes from reading the recipe.</summary>
    /// <exception cref="InputException">The data comes through a pipe, which can be read only once.</exception>
    public static RunPreparation Begin(Recipe recipe)
    {
        RecipeSources.RequireFiles(recipe);
        var preparation = new RunPreparation();
        preparation.Notes.AddRange(recipe.ReadingNotes);
        return preparation;
    }

    /// <summary>The problems so far.</summary>
    public List<Problem> Problems { get; } = [];

    /// <summary>Notes for the user, one sentence each.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>The completed steps.</summary>
    public IReadOnlyList<RunStage> Stages => stages;

    /// <summary>Performs a step; input problems are recorded, so that the next steps are checked too.</summary>
    /// <returns>The step's result; its type's default if there was a problem.</returns>
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
            Problems.Add(e.Whole);
        }
        stages.Add(new RunStage(name, Stopwatch.GetElapsedTime(started)));
        return made;
    }

    /// <summary>Performs a step without a result.</summary>
    /// <inheritdoc cref="Try{T}"/>
    public void Try(string name, Action part) => Try(name, () =>
    {
        part();
        return true;
    });

    /// <summary>Reports all problems.</summary>
    /// <exception cref="InputException">There are problems.</exception>
    public void ThrowIfAny()
    {
        if (Problems.Count > 0)
            throw Problems.Count == 1 ? new InputException(Problems[0])
                : new InputException($"{KnownSettings.Run} cannot be run:", Problems);
    }
}

/// <summary>A run's output folder.</summary>
internal static class OutputFolder
{
    /// <summary>Checks that the folder can be created. Nothing is written.</summary>
    /// <exception cref="InputException">A file has the folder's name.</exception>
    public static void Check(Recipe recipe)
    {
        string path = recipe.Output;
        string? at = path;
        while (at is not null && !Path.Exists(at)) at = Path.GetDirectoryName(at);
        if (File.Exists(at))
            throw new InputException(
                $"{recipe.Name("output")} is {path}, and {(at == path ? "that" : at)} is a file; expected a folder, " +
                "or a place where one can be made.");
    }

    /// <summary>Writes a file into it atomically.</summary>
    /// <exception cref="RunStorageException">The file cannot be written.</exception>
    public static void Write(string output, string name, string text, StorageWait? waits)
    {
        string path = Path.Combine(output, name);
        RunStorageException.Guard(path, () => AtomicFile.Write(path, text), waits);
    }
}
