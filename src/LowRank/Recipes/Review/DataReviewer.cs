using System.Runtime.InteropServices;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Preferences;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Recipes.Steps;
using LowRank.Tasks;
using LowRank.Tokenizers;

namespace LowRank.Recipes.Review;

/// <summary>Reviews a recipe's data before training: what a language model will see, token by token. Does not open the
/// model's weights.</summary>
public sealed class DataReviewer
{
    private const int NamedLeaks = 10;
    private readonly Recipe recipe;
    private readonly Tokenizer? tokenizer;
    private readonly ExampleOptions options;
    private readonly int shown;
    private readonly long limit;
    private readonly Dictionary<UInt128, DataPlace> exact = [], normalized = [], prompts = [];
    private readonly List<string> leaked = [];
    private long exactLeaks, normalizedLeaks, promptLeaks;

    private DataReviewer(Recipe recipe, string folder, int shown, long limit)
    {
        (this.recipe, this.shown, this.limit) = (recipe, shown, limit);
        ConfigReader config = ConfigReader.Open(Path.Combine(folder, "config.json"));
        int? end = GenerationSettings.Read(folder, config).EndOfText;
        string? init = recipe.Training.InitAdapter is { } begun && Directory.Exists(begun) ? begun : null;
        AdapterVocabulary? vocabulary = recipe.Adapter.NewTokens is { Count: > 0 } tokens
            ? AdapterVocabulary.Extend(folder, tokens)
            : init is not null ? AdapterVocabulary.Load(init) : null;
        tokenizer = OpenedTokenizer.Open(recipe, folder, init, vocabulary, end).Tokenizer;
        double positions = new[] { "max_position_embeddings", "n_positions", "max_sequence_length" }.Min(
            key => config.NumberOr(key, int.MaxValue));
        options = new ExampleOptions
        {
            VocabularySize = vocabulary?.Rows
                ?? (int)config.NumberOr("vocab_size", tokenizer?.VocabularySize ?? int.MaxValue),
            MaxLength = (int)Math.Min(recipe.Training.MaxLength, positions),
            TrainOn = recipe.Data.TrainOn == "all" ? TrainOn.All : TrainOn.Completion,
        };
    }

    /// <summary>Reviews the data.</summary>
    /// <param name="recipe">A language model's recipe (task causal_lm).</param>
    /// <param name="modelFolder">The folder of its model: its tokenizer and config.</param>
    /// <param name="examples">Number of rows to show per part.</param>
    /// <param name="rows">Maximum number of rows to examine per part.</param>
    /// <exception cref="InputException">The task is not causal_lm, or the rows need a tokenizer and the model has
    /// none.</exception>
    public static DataReview Review(Recipe recipe, string modelFolder, int examples = 3, long rows = long.MaxValue)
    {
        if (recipe.Task != TaskRegistry.Default)
            throw new InputException(
                $"task is {recipe.Task}, and rows are shown token by token for {TaskRegistry.Default} alone. " +
                $"For the rows of other tasks, {KnownSettings.Validate} finds what is wrong with them.");
        if (recipe.Data.ValidationShare > 0) RecipeSources.RequireFiles(recipe); // gone through for either side
        return new DataReviewer(recipe, modelFolder, examples, rows).Review();
    }

    private DataReview Review()
    {
        var sources = new RecipeSources(recipe);
        ReviewedRows[] training = [.. sources.Train.Select(source => Part(source, Remember))];
        ReviewedRows? validation = sources.Validation is { } held ? Part(held, Compare) : null;
        DataLeaks? leaks = validation is null ? null : new DataLeaks(exactLeaks, normalizedLeaks, promptLeaks, leaked);
        return new DataReview(training, validation, leaks, tokenizer?.Notes ?? []);
    }

    private ReviewedRows Part(RowSource source, Action<RowPrint, DataPlace> each)
    {
        var maker = new RowTokenizer(tokenizer, options);
        var counts = new RowCounts(tokenizer, options.MaxLength, shown);
        RowReading reading = source.Reading(foreign: recipe.Objective.Preference is null);
        var preferences = new PreferenceRows();
        long looked = 0;
        bool isPartial = false;
        foreach (Row row in reading.Rows())
        {
            if (looked++ == limit)
            {
                isPartial = true;
                break;
            }
            foreach (TokenizedExample example in Examples(row, maker, preferences, reading.Problems))
                each(counts.Add(example), row.Place);
        }
        return counts.Result(
            string.Join(", ", source.Paths),
            [.. reading.Notes.Concat(preferences.Notes.Select(Words.Plain)).Concat(maker.Notes)
                .Select(note => note.In(recipe.Named))], reading.Problems, isPartial);
    }

    // Of a pair both completions, the preferred one first.
    private IEnumerable<TokenizedExample> Examples(
        Row row, RowTokenizer maker, PreferenceRows preferences, DataProblems problems)
    {
        if (recipe.Objective.Preference is not { } preference) return maker.Tokenize(row, problems);
        try
        {
            return [.. preferences.Completions(row.Fields, preference.IsRated)
                .SelectMany(fields => maker.Tokenize(new Row(row.Place, fields)))];
        }
        catch (InputException failure)
        {
            problems.Add(row.Place, failure);
            return [];
        }
    }

    private void Remember(RowPrint row, DataPlace place)
    {
        exact.TryAdd(row.Exact, place);
        normalized.TryAdd(row.Normalized, place);
        if (row.Prompt is { } prompt) prompts.TryAdd(prompt, place);
    }

    private void Compare(RowPrint row, DataPlace place)
    {
        if (exact.TryGetValue(row.Exact, out DataPlace twin)) exactLeaks++;
        else if (normalized.TryGetValue(row.Normalized, out twin)) normalizedLeaks++;
        else if (row.Prompt is { } prompt && prompts.TryGetValue(prompt, out twin)) promptLeaks++;
        else return;
        if (leaked.Count < NamedLeaks) leaked.Add($"{place} is {twin}");
    }
}

/// <summary>What a model will see of a recipe's data.</summary>
/// <param name="Training">The training rows, one part per weight.</param>
/// <param name="Validation">The held-out rows; null for none.</param>
/// <param name="Leaks">Rows in both; null without held-out rows.</param>
/// <param name="Notes">Notes for the user, one sentence each.</param>
public sealed record DataReview(
    IReadOnlyList<ReviewedRows> Training, ReviewedRows? Validation, DataLeaks? Leaks, IReadOnlyList<string> Notes)
{
    /// <summary>Number of rows that cannot be used, over all parts.</summary>
    public long WrongRows => Training.Sum(part => part.WrongRows) + (Validation?.WrongRows ?? 0);
}

/// <summary>Held-out rows that also occur in the training rows, so measurements on them are meaningless.</summary>
/// <param name="Exact">Rows that occur token for token.</param>
/// <param name="Normalized">Further rows whose letters and digits occur.</param>
/// <param name="Prompts">Further rows whose prompt occurs with another completion.</param>
/// <param name="Places">The first ten, each with the position of its duplicate.</param>
public sealed record DataLeaks(long Exact, long Normalized, long Prompts, IReadOnlyList<string> Places);

/// <summary>A row as the model will see it.</summary>
/// <param name="Place">Its position.</param>
/// <param name="Pieces">Its text in order, each piece learned or not; special tokens are spelled out.</param>
/// <param name="Tokens">Number of tokens, before truncation.</param>
/// <param name="Learned">Number of predicted labels, after truncation.</param>
/// <param name="Cut">Number of tokens that max_length cuts off; they are not in the pieces.</param>
public sealed record ReviewedText(
    DataPlace Place, IReadOnlyList<(string Text, bool IsLearned)> Pieces, int Tokens, int Learned, int Cut);

/// <summary>Keys that identify a row.</summary>
/// <param name="Exact">Its tokens, and which of them are learned.</param>
/// <param name="Normalized">The letters and digits of its text.</param>
/// <param name="Prompt">The letters and digits before the first learned token; null if there are none.</param>
internal sealed record RowPrint(UInt128 Exact, UInt128 Normalized, UInt128? Prompt)
{
    private const int ShortestPrompt = 8; // letters: a mark that every conversation begins with is no prompt

    public static RowPrint From(TokenizedExample row, ITextTokenizer? tokenizer)
    {
        UInt128 exact =
            RowIdentity.Hash([.. MemoryMarshal.AsBytes<int>(row.InputIds), .. MemoryMarshal.AsBytes<int>(row.Labels)]);
        if (tokenizer is null) return new RowPrint(exact, exact, null);
        int first = Array.FindIndex(row.Labels, 1, label => label != TokenizedExample.Ignored);
        string prompt = first > 1 ? RowIdentity.Plain(tokenizer.Decode(row.InputIds[..first])) : "";
        return new RowPrint(exact, RowIdentity.Hash(RowIdentity.Plain(tokenizer.Decode(row.InputIds))),
            prompt.Length >= ShortestPrompt ? RowIdentity.Hash(prompt) : null);
    }
}
