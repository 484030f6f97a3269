using LowRank.Data.Chat;
using LowRank.Data.Forms;
using LowRank.Tokenizers;

namespace LowRank.Data;

/// <summary>Converts a row to examples, according to its form.</summary>
internal sealed class RowTokenizer
{
    private readonly int vocabulary;
    private readonly ITextTokenizer? tokenizer;
    private readonly IChatFormat? format;
    private readonly RowForms forms;
    private readonly TrainOn trainOn;
    private readonly Problem? cannotTalk; // the reason why no row may be a conversation
    private long conversations, parted, parts, begun;
    private string? beginning;

    /// <summary>Prepares for rows of any form.</summary>
    /// <param name="tokenizer">Makes tokens; null allows rows of tokens only.</param>
    /// <param name="options">The options; they need a vocabulary size if there is no tokenizer.</param>
    public RowTokenizer(ITextTokenizer? tokenizer, ExampleOptions options)
    {
        if (options.MaxLength < 2)
            throw new ArgumentException($"MaxLength is {options.MaxLength}, expected at least 2.", nameof(options));
        vocabulary = options.VocabularySize ?? tokenizer?.VocabularySize
            ?? throw new ArgumentException(
                "Without a tokenizer the options must give the vocabulary size.", nameof(options));
        (this.tokenizer, trainOn) = (tokenizer, options.TrainOn);
        format = tokenizer is null ? null : options.ChatFormat ?? ChatFormats.For(tokenizer);
        cannotTalk = tokenizer is null || options.ChatFormat is not null ? null : ChatFormats.Obstacle(tokenizer);
        forms = new RowForms(Forms(tokenizer, options, vocabulary, format),
            tokenizer is null ? " (rows of text need a tokenizer, and the model has none)" : "");
    }

    /// <summary>Whether a row was a conversation.</summary>
    public bool HasConversations => conversations > 0;

    /// <summary>A description of how the assistant's turns were recognised; null if no row was a
    /// conversation.</summary>
    public string? TurnsToldBy => HasConversations && trainOn == TrainOn.Completion ? format?.TurnsToldBy : null;

    /// <summary>Notes about the rows so far, one sentence each.</summary>
    public IReadOnlyList<Words> Notes
    {
        get
        {
            List<Words> notes = [];
            if (HasConversations && (tokenizer as Tokenizer)?.ChatTemplatePlace is { } place)
                notes.Add($"conversations are rendered by a chat template other than the model's: {place}.");
            if (parted > 0)
                notes.Add(
                    $"{(parted == 1 ? "1 conversation was" : $"{parted} conversations were")} split into {parts} " +
                    $"examples, because the chat template renders earlier turns differently once more messages " +
                    $"follow (such as templates that drop earlier thoughts); each turn is learned as the model has " +
                    $"to write it.");
            if (begun > 0)
                notes.Add(
                    $"{(begun == 1 ? "1 row begins" : $"{begun} rows begin")} with {beginning}, which the tokenizer " +
                    $"adds to every text; it was not added again. Remove it from the data.");
            return notes;
        }
    }

    /// <summary>The examples of a row, of any length; none if the row is invalid, which is recorded.</summary>
    /// <exception cref="InputException">The row is a conversation, but the model supports none.</exception>
    public IReadOnlyList<TokenizedExample> Tokenize(Row row, DataProblems problems)
    {
        RequireTalk(row);
        try
        {
            return Tokenize(row);
        }
        catch (InputException failure)
        {
            problems.Add(row.Place, failure);
            return [];
        }
    }

    /// <summary>The examples of a row, of any length.</summary>
    /// <exception cref="InputException">The row is invalid; the problems do not contain its place.</exception>
    public IReadOnlyList<TokenizedExample> Tokenize(Row row)
    {
        RequireTalk(row);
        IReadOnlyList<TokenizedExample> examples =
            [.. forms.Of(row.Fields).Tokenize(row).Select(example => example with { Place = row.Place })];
        foreach (TokenizedExample example in examples) Check(example);
        if (row.Fields["messages"] is not null) conversations++;
        if (examples.Count > 1) (parted, parts) = (parted + 1, parts + examples.Count);
        if (Begins(row) is { } spelled) (begun, beginning) = (begun + 1, spelled);
        return examples;
    }

    private void RequireTalk(Row row)
    {
        if (row.Fields["messages"] is not null && cannotTalk is not null)
            throw new InputException($"{row.Place} is a conversation. {cannotTalk}");
    }

    private string? Begins(Row row) =>
        tokenizer is not null && Row.AsText(row.Fields["text"] ?? row.Fields["prompt"]) is { Length: > 0 } text
        ? PromptEncoding.SpelledBeginning(tokenizer, text) : null;

    private static List<IRowForm> Forms(
        ITextTokenizer? tokenizer, ExampleOptions options, int vocabulary, IChatFormat? format)
    {
        var tokens = new TokensForm(vocabulary);
        if (tokenizer is null || format is null) return [tokens];
        return [new TextForm(tokenizer), new PromptForm(tokenizer, options.TrainOn),
            new MessagesForm(tokenizer, format, options.TrainOn), tokens];
    }

    private void Check(TokenizedExample example)
    {
        int outside = Array.FindIndex(example.InputIds, id => id < 0 || id >= vocabulary);
        if (outside >= 0)
            throw new InputException(
                $"token {example.InputIds[outside]} at position {outside} is outside the model's vocabulary of " +
                $"{vocabulary}. " +
                "Check that the tokenizer belongs to the model.");
        if (example.PredictedLabels == 0)
            throw new InputException(
                $"the row has no token to learn: of its {example.InputIds.Length} tokens none after the first has " +
                "a label.");
    }
}
