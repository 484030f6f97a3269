using System.Globalization;
using System.Text.Json.Serialization;
using LowRank.Data.Chat;
using LowRank.Data.Rows;
using LowRank.Tokenizers;

namespace LowRank.Data;

/// <summary>Turns rows of files into examples. A row has one of the forms <c>{"text"}</c>, <c>{"prompt",
/// "completion"}</c>, <c>{"messages"[, "tools"]}</c>, <c>{"input_ids", "labels"[, "attention_mask"]}</c>, told by its
/// keys; rows of different forms may stand in one file, and keys of no form (such as "facts") are left for others.
/// Forms of Alpaca, ShareGPT, OpenAI and TRL are read as these.</summary>
public static class ExampleLoader
{
    /// <summary>Reads all rows.</summary>
    /// <param name="paths">Files, folders and patterns; at least one.</param>
    /// <param name="tokenizer">Makes tokens; null allows rows of tokens only.</param>
    /// <param name="options">How; needs a vocabulary size where there is no tokenizer.</param>
    /// <returns>Examples with a predicted label each, none longer than the options allow, and what became of the
    /// rows.</returns>
    /// <exception cref="InputException">Rows that cannot be used: all are counted, the first ten problems shown. Or no
    /// row is left.</exception>
    public static LoadedExamples Load(IReadOnlyList<string> paths, ITextTokenizer? tokenizer, ExampleOptions options) =>
        Load(RowSource.Of(paths), tokenizer, options);

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

/// <summary>One pass that makes examples of rows.</summary>
internal sealed class ExampleLoading
{
    private readonly RowSource source;
    private readonly RowTokenizer rows;
    private readonly RowReading reading;
    private readonly ExampleCutter cutter;

    /// <summary>Prepares.</summary>
    public ExampleLoading(RowSource source, ITextTokenizer? tokenizer, ExampleOptions options)
    {
        this.source = source;
        rows = new RowTokenizer(tokenizer, options);
        reading = source.Reading(foreign: true);
        cutter = new ExampleCutter(options.MaxLength);
    }

    /// <summary>How the assistant's turns were told from the rest; null where no row was a conversation.</summary>
    public string? TurnsToldBy => rows.TurnsToldBy;

    /// <summary>Whether a row was a conversation.</summary>
    public bool HasConversations => rows.HasConversations;

    /// <summary>What was met while reading, a sentence each.</summary>
    public IReadOnlyList<string> Notes => [.. reading.Notes, .. rows.Notes];

    /// <summary>The examples as they come, none longer than allowed, a predicted label each. After a problem the rest
    /// is only checked.</summary>
    public IEnumerable<TokenizedExample> Examples()
    {
        foreach (Sample sample in reading.Rows())
        {
            foreach (TokenizedExample whole in rows.Tokenize(sample, reading.Problems))
                if (reading.Problems.Count == 0 && cutter.Cut(whole) is { } example) yield return example;
        }
    }

    /// <summary>The counts, at the end.</summary>
    /// <exception cref="InputException">Rows that cannot be used, or none is left.</exception>
    public TokenizationSummary Finish()
    {
        reading.Problems.ThrowIfAny();
        TokenizationSummary summary = cutter.Summary();
        if (summary is { Examples: 0, Dropped: 0 } && source.Split is { } split)
            throw new InputException(
                $"No row of {string.Join(", ", source.Paths)} is " +
                $"{(split.HeldOut ? "held out" : "left to learn from")} (data.validation_share, {split}). Give " +
                "more rows, or another data.split_seed.", Notes);
        if (summary.Examples == 0)
            throw new InputException(
                "No row is left to use. Raise max_length or shorten the rows.", [.. summary.Warnings, .. Notes]);
        return summary;
    }
}

/// <summary>How rows become examples.</summary>
public sealed record ExampleOptions
{
    /// <summary>What is learned of prompts and conversations. Default: <see cref="TrainOn.Completion"/>.</summary>
    public TrainOn TrainOn { get; init; } = TrainOn.Completion;

    /// <summary>Longest example in tokens; what is beyond is cut off at the end and counted. Default 512, at least
    /// 2.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Number of ids the model knows; null takes the tokenizer's.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>How conversations are written; null takes the tokenizer's chat template, or ChatML where it has
    /// none.</summary>
    public IChatFormat? ChatFormat { get; init; }
}

/// <summary>Examples and what became of the rows.</summary>
/// <param name="Examples">In the order of the data.</param>
/// <param name="Summary">The counts.</param>
public sealed record LoadedExamples(IReadOnlyList<TokenizedExample> Examples, TokenizationSummary Summary)
{
    /// <summary>How the assistant's turns were told from the rest, in words; null where no row is a
    /// conversation.</summary>
    public string? TurnsToldBy { get; init; }

    /// <summary>Whether a row was a conversation.</summary>
    public bool HasConversations { get; init; }

    /// <summary>What was met while reading, a sentence each: forms of other programs, rows left out.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>What became of the rows.</summary>
/// <param name="Examples">Rows that are used.</param>
/// <param name="Tokens">Their tokens, after cutting.</param>
/// <param name="TrainedTokens">Labels they predict.</param>
/// <param name="MaxLength">Longest example allowed.</param>
/// <param name="Truncated">Rows that were cut at their end, left-out rows included.</param>
/// <param name="TokensCut">Tokens they lost.</param>
/// <param name="Dropped">Rows left out because what remained after cutting predicts no label.</param>
/// <param name="DroppedPlaces">Where the first ten of them stand.</param>
public sealed record TokenizationSummary(
    long Examples, long Tokens, long TrainedTokens, int MaxLength, long Truncated, long TokensCut,
    long Dropped, IReadOnlyList<DataPlace> DroppedPlaces)
{
    /// <summary>Tokens of all rows before cutting.</summary>
    public long TokensRead { get; init; }

    /// <summary>Tokens of the longest example.</summary>
    public int Longest { get; init; }

    /// <summary>Examples with padding of their own in their attention mask.</summary>
    public long Padded { get; init; }

    /// <summary>Labels that were cut off, of rows left out too.</summary>
    public long TrainedTokensCut { get; init; }

    /// <summary>What the user has to know, a sentence each; empty when every row is used whole.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Warnings
    {
        get
        {
            var warnings = new List<string>();
            if (Truncated > 0)
                warnings.Add(
                    $"{Rows(Truncated)} longer than max_length {MaxLength} and lost {TokensCut} tokens at the " +
                    $"end{Shares()}.");
            if (Dropped > 0)
            {
                string more = Dropped > DroppedPlaces.Count ? $", and {Dropped - DroppedPlaces.Count} more" : "";
                warnings.Add(
                    $"{Rows(Dropped)} left out because {(Dropped == 1 ? "its" : "their")} first {MaxLength} tokens " +
                    "(max_length) hold none that is learned: " +
                    $"{string.Join(", ", DroppedPlaces)}{more}.");
            }
            return warnings;
        }
    }

    private string Shares()
    {
        if (TokensRead == 0) return "";
        string all = string.Create(
            CultureInfo.InvariantCulture, $" ({100.0 * TokensCut / TokensRead:0.##} % of all tokens");
        return TrainedTokensCut == 0 ? $"{all}, none of them learned)"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{all}, {100.0 * TrainedTokensCut / (TrainedTokensCut + TrainedTokens):0.##} % of those that are " +
                $"learned)");
    }

    private static string Rows(long count) => count == 1 ? "1 row was" : $"{count} rows were";
}
