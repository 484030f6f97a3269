using System.Diagnostics;
using LowRank.IO;

namespace LowRank.Recipes.Steps;

/// <summary>Prepares a run part by part, and collects the problems, notes and durations of all parts.</summary>
internal sealed class RunPreparation
{
    private readonly List<RunStage> stages = [];

    /// <summary>Starts with the notes from reading the recipe.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="cancellation">Ends the preparation before its next step or row.</param>
    /// <exception cref="InputException">The data comes through a pipe, which can be read only once.</exception>
    public static RunPreparation Begin(Recipe recipe, CancellationToken cancellation)
    {
        RecipeSources.RequireFiles(recipe);
        var preparation = new RunPreparation { Cancellation = cancellation };
        preparation.Notes.AddRange(recipe.ReadingNotes);
        return preparation;
    }

    /// <summary>Ends the preparation.</summary>
    public CancellationToken Cancellation { get; private init; }

    /// <summary>The problems so far.</summary>
    public List<Problem> Problems { get; } = [];

    /// <summary>Notes for the user, one sentence each.</summary>
    public List<Words> Notes { get; } = [];

    /// <summary>The completed steps.</summary>
    public IReadOnlyList<RunStage> Stages => stages;

    /// <summary>Performs a step; input problems are recorded, so that the next steps are checked too.</summary>
    /// <returns>The step's result; its type's default if there was a problem.</returns>
    /// <exception cref="OperationCanceledException">The preparation was cancelled.</exception>
    public T? Try<T>(string name, Func<T> part)
    {
        Cancellation.ThrowIfCancellationRequested();
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
        if (Problem(recipe.Output) is { } problem) throw new InputException($"{recipe.Name("output")} {problem}");
    }

    /// <summary>Why the folder cannot be created, as the end of a sentence; null if it can.</summary>
    public static string? Problem(string path)
    {
        string? at = path;
        while (at is not null && !Path.Exists(at)) at = Path.GetDirectoryName(at);
        return !File.Exists(at) ? null
            : $"is {path}, and {(at == path ? "that" : at)} is a file; expected a folder, or a place where one can " +
                "be made.";
    }

    /// <summary>Writes a file into it atomically.</summary>
    /// <exception cref="RunStorageException">The file cannot be written.</exception>
    public static void Write(string output, string name, string text, StorageWait? waits)
    {
        string path = Path.Combine(output, name);
        RunStorageException.Guard(path, () => AtomicFile.Write(path, text), waits);
    }
}
