using LowRank.Data.Rows;
using LowRank.Tokenization;

namespace LowRank.Data;

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

    /// <summary>The examples as they come, none longer than allowed, a predicted label each. After a problem the rest is only
    /// checked.</summary>
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
            throw new InputException($"No row of {string.Join(", ", source.Paths)} is {(split.HeldOut ? "held out" : "left to learn from")} (data.validation_share, {split}). Give more rows, or another data.split_seed.", Notes);
        if (summary.Examples == 0) throw new InputException("No row is left to use. Raise max_length or shorten the rows.", [.. summary.Warnings, .. Notes]);
        return summary;
    }
}
