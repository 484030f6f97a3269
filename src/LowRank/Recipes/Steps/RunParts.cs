using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tokenizers;

namespace LowRank.Recipes.Steps;

/// <summary>The parts of a prepared run: the input for training, comparing and estimating.</summary>
/// <param name="Recipe">The recipe.</param>
/// <param name="Folders">The folders that it refers to.</param>
/// <param name="Base">The base model.</param>
/// <param name="Tokenizer">Its tokenizer; null if the folder has none.</param>
/// <param name="Data">The data.</param>
/// <param name="Attached">What is trained.</param>
internal sealed record RunParts(Recipe Recipe, FetchedFolders Folders, OpenedBase Base, Tokenizer? Tokenizer,
    RunData Data, AttachedAdapter Attached) : IDisposable
{
    /// <summary>Reads the data and attaches the adapter. Every part is attempted, so that all problems are reported
    /// together.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="folders">The folders that it refers to.</param>
    /// <param name="opened">The base model.</param>
    /// <param name="preparation">Receives problems and notes.</param>
    /// <returns>Null if there is a problem; the base is then disposed of.</returns>
    public static RunParts? Complete(
        Recipe recipe, FetchedFolders folders, OpenedBase opened, RunPreparation preparation)
    {
        List<Words> notes = preparation.Notes;
        RunData? data = null;
        RunParts? parts = null;
        try
        {
            OpenedTokenizer? tokenizer = preparation.Try("tokenizer", () => OpenedTokenizer.Open(
                recipe, folders.Model, folders.Start, opened.Vocabulary, opened.Model.Generation.EndOfText));
            notes.AddRange((tokenizer?.Tokenizer?.Notes ?? []).Select(Words.Plain));
            // The results of a broken tokenizer say nothing about the data.
            ITask? task = tokenizer is null ? null : preparation.Try("task", () =>
                opened.Kind.Start(opened.Model, tokenizer.Tokenizer, opened.Settings));
            Recipe completed = task is null ? recipe : RunData.WithLength(recipe, task, notes);
            data = task is null ? null : preparation.Try("data", () => RunData.Read(
                completed, task, canWrite: tokenizer!.Tokenizer is not null, notes, preparation.Cancellation));
            AttachedAdapter? attached = preparation.Try("adapter", () => AttachedAdapter.Attach(
                completed, opened, folders, tokenizer?.Kept, task, data?.Examples ?? [], notes));
            if (attached is not null && task is PreferenceTask { NeedsReference: true } compared)
                preparation.Try("reference", () => attached.Compare(compared, completed, opened, folders));
            if (attached is not null && data is not null)
                parts = new RunParts(completed, folders, opened, tokenizer!.Tokenizer, data, attached);
            else attached?.Dispose();
            return parts;
        }
        finally
        {
            if (parts is null)
            {
                data?.Dispose();
                opened.Dispose();
            }
        }
    }

    /// <summary>The base model.</summary>
    public PretrainedModel Model => Base.Model;

    /// <summary>Number of optimizer steps per pass over the data.</summary>
    public long StepsPerEpoch
    {
        get
        {
            long rows = (long)Recipe.Training.BatchSize * Recipe.Training.GradientAccumulation;
            return (Data.Examples.Count + rows - 1) / rows;
        }
    }

    /// <summary>Number of optimizer steps in the whole run.</summary>
    public long PlannedSteps => RecipeOptions.Training(Recipe).PlannedSteps(StepsPerEpoch);

    /// <summary>Number of trained weights.</summary>
    public long TrainedParameters => Attached.Weights.Weights.Sum(weight => weight.Value.numel());

    /// <summary>Choices in the recipe that are known to fail.</summary>
    public IReadOnlyList<string> Advice => [.. RecipeAdvice.For(this)];

    /// <summary>The tokens that end a text.</summary>
    public IReadOnlyList<int> StopTokens => Model.Generation.StopTokens(Tokenizer);

    /// <summary>Checks the recipe's keys that depend on base, adapter and rows.</summary>
    /// <param name="notes">Receives keys with a partial effect.</param>
    /// <returns>The settings without effect.</returns>
    public IReadOnlyList<Problem> CheckKeys(List<Words> notes)
    {
        var unread = new DataProblems(); // told where the rows are read
        IReadOnlyList<string> files = RowFiles.Expand(
            [.. Recipe.Data.Train, .. Recipe.Data.Validation, .. Recipe.Comparison?.Data ?? []], unread);
        var choices =
            new PreparedChoices(Recipe, Model, Attached.Adapter, Folders.Start, files, [.. Data.Prompts]);
        notes.AddRange(choices.Notes().Select(Words.Plain));
        return [.. choices.Problems()];
    }

    public void Dispose()
    {
        Attached.Dispose();
        Data.Dispose();
        Base.Dispose();
    }
}
