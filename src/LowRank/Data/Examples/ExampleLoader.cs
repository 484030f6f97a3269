using LowRank.Data.Chat;
using LowRank.Data.Rows;
using LowRank.Tokenizers;

namespace LowRank.Data;

/// <summary>Turns rows of files into examples. A row has one of the forms <c>{"text"}</c>, <c>{"prompt",
/// "completion"}</c>, <c>{"messages"[, "tools"]}</c>, <c>{"input_ids", "labels"[, "attention_mask"]}</c>, recognised by
/// its keys. A file may mix forms, and keys that belong to no form (such as "facts") are ignored. Forms of Alpaca,
/// ShareGPT, OpenAI and TRL are converted to these.</summary>
internal static class ExampleLoader
{
    /// <summary>Reads all rows.</summary>
    /// <param name="paths">Files, folders and patterns; at least one.</param>
    /// <param name="tokenizer">The tokenizer; null allows only tokenised rows.</param>
    /// <param name="options">The options; they need a vocabulary size if there is no tokenizer.</param>
    /// <returns>Examples that each predict a label and are not longer than the options allow, with a summary of the
    /// rows.</returns>
    /// <exception cref="InputException">Some rows cannot be used (all are counted, and the first ten problems are
    /// shown), or no row is left.</exception>
    public static LoadedExamples Load(IReadOnlyList<string> paths, ITextTokenizer? tokenizer, ExampleOptions options) =>
        Load(RowSource.From(paths), tokenizer, options);

    /// <summary>Reads all rows of a source.</summary>
    /// <inheritdoc cref="Load(IReadOnlyList{string}, ITextTokenizer?, ExampleOptions)"/>
    public static LoadedExamples Load(RowSource source, ITextTokenizer? tokenizer, ExampleOptions options)
    {
        var loading = new ExampleLoading(source, tokenizer, options);
        List<TokenizedExample> examples = [.. loading.Examples()];
        return new LoadedExamples(
            examples, loading.Finish()) { TurnsToldBy = loading.TurnsToldBy,
            HasConversations = loading.HasConversations, Notes = loading.Notes };
    }
}

/// <summary>One pass that converts rows to examples.</summary>
internal sealed class ExampleLoading
{
    private readonly RowSource source;
    private readonly RowTokenizer rows;
    private readonly RowReading reading;
    private readonly ExampleCutter cutter;

    /// <summary>Prepares a pass.</summary>
    public ExampleLoading(RowSource source, ITextTokenizer? tokenizer, ExampleOptions options)
    {
        this.source = source;
        rows = new RowTokenizer(tokenizer, options);
        reading = source.Reading(foreign: true);
        cutter = new ExampleCutter(options.MaxLength);
    }

    /// <summary>How the assistant's turns were recognised; null if no row was a conversation.</summary>
    public string? TurnsToldBy => rows.TurnsToldBy;

    /// <summary>Whether a row was a conversation.</summary>
    public bool HasConversations => rows.HasConversations;

    /// <summary>Notes from reading, one sentence each.</summary>
    public IReadOnlyList<Words> Notes => [.. reading.Notes, .. rows.Notes];

    /// <summary>The examples in order, none longer than allowed, each with a predicted label. After a problem, the
    /// remaining rows are only checked.</summary>
    public IEnumerable<TokenizedExample> Examples()
    {
        foreach (Row row in reading.Rows())
        {
            foreach (TokenizedExample whole in rows.Tokenize(row, reading.Problems))
                if (reading.Problems.Count == 0 && cutter.Cut(whole) is { } example) yield return example;
        }
    }

    /// <summary>The summary, after the pass.</summary>
    /// <exception cref="InputException">Some rows cannot be used, or no row is left.</exception>
    public TokenizationSummary Finish()
    {
        reading.Problems.ThrowIfAny();
        TokenizationSummary summary = cutter.Summary();
        if (summary is { Examples: 0, Dropped: 0 } && source.Split is { } split)
            throw new InputException(
                $"No row of {string.Join(", ", source.Paths)} is " +
                $"{(split.HeldOut ? "held out" : "left for training")} ({KnownSettings.HeldOutShare}, {split}). " +
                $"Give more rows, or another {KnownSettings.SplitSeed}.",
                [.. Notes.Select(note => new Problem(note))]);
        if (summary.Examples == 0)
            throw new InputException(
                $"No row is left to use. Raise {KnownSettings.MaxLength} or shorten the rows.",
                [.. summary.Warnings.Concat(Notes).Select(note => new Problem(note))]);
        return summary;
    }
}

/// <summary>How to convert rows to examples.</summary>
internal sealed record ExampleOptions
{
    /// <summary>Which part of prompts and conversations is learned. Default: <see
    /// cref="TrainOn.Completion"/>.</summary>
    public TrainOn TrainOn { get; init; } = TrainOn.Completion;

    /// <summary>Maximum example length in tokens; longer examples are cut at the end and counted. Default 512, at least
    /// 2.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Vocabulary size of the model; null for the tokenizer's.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>The chat format; null for the tokenizer's chat template, or ChatML if it has none.</summary>
    public IChatFormat? ChatFormat { get; init; }
}

/// <summary>Examples, with a summary of the rows.</summary>
/// <param name="Examples">The examples, in the order of the data.</param>
/// <param name="Summary">The counts.</param>
internal sealed record LoadedExamples(IReadOnlyList<TokenizedExample> Examples, TokenizationSummary Summary)
{
    /// <summary>A description of how the assistant's turns were recognised; null if no row is a conversation.</summary>
    public string? TurnsToldBy { get; init; }

    /// <summary>Whether a row was a conversation.</summary>
    public bool HasConversations { get; init; }

    /// <summary>Notes from reading, one sentence each: forms of other programs, skipped rows.</summary>
    public IReadOnlyList<Words> Notes { get; init; } = [];
}
