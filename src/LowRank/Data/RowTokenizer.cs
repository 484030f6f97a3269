using LowRank.Data.Chat;
using LowRank.Data.Forms;
using LowRank.Tokenization;

namespace LowRank.Data;

/// <summary>Makes an example of a row, by its form.</summary>
internal sealed class RowTokenizer
{
    private readonly int vocabulary;
    private readonly IChatFormat? format;
    private readonly SampleForms forms;
    private readonly TrainOn trainOn;
    private bool talks;

    /// <summary>Prepares for rows of any form.</summary>
    /// <param name="tokenizer">Makes tokens; null allows rows of tokens only.</param>
    /// <param name="options">How; needs a vocabulary size where there is no tokenizer.</param>
    public RowTokenizer(ITextTokenizer? tokenizer, ExampleOptions options)
    {
        if (options.MaxLength < 2) throw new ArgumentException($"MaxLength is {options.MaxLength}, expected at least 2.", nameof(options));
        vocabulary = options.VocabularySize ?? tokenizer?.VocabularySize
            ?? throw new ArgumentException("Without a tokenizer the options have to give the vocabulary size.", nameof(options));
        trainOn = options.TrainOn;
        format = tokenizer is null ? null : options.ChatFormat ?? ChatFormats.Of(tokenizer);
        forms = new SampleForms(Forms(tokenizer, options, vocabulary, format),
            tokenizer is null ? " (rows of text need a tokenizer, and the model has none)" : "");
    }

    /// <summary>How the assistant's turns were told from the rest, in words; null where no row was a conversation.</summary>
    public string? TurnsToldBy => talks && trainOn == TrainOn.Completion ? format?.TurnsToldBy : null;

    /// <summary>The example of a row, of any length; null where it is wrong, which is noted.</summary>
    public TokenizedExample? Tokenize(Sample sample, DataProblems problems)
    {
        try
        {
            TokenizedExample example = forms.Of(sample.Row).Tokenize(sample) with { Place = sample.Place };
            Check(example);
            talks |= sample.Row.ContainsKey("messages");
            return example;
        }
        catch (InputException failure)
        {
            foreach (string problem in failure.Problems) problems.Add(sample.Place, problem);
            return null;
        }
    }

    private static List<ISampleForm> Forms(ITextTokenizer? tokenizer, ExampleOptions options, int vocabulary, IChatFormat? format)
    {
        var tokens = new TokensForm(vocabulary);
        if (tokenizer is null || format is null) return [tokens];
        return [new TextForm(tokenizer), new PromptForm(tokenizer, options.TrainOn), new MessagesForm(tokenizer, format, options.TrainOn), tokens];
    }

    private void Check(TokenizedExample example)
    {
        int outside = Array.FindIndex(example.InputIds, id => id < 0 || id >= vocabulary);
        if (outside >= 0)
            throw new InputException($"token {example.InputIds[outside]} at position {outside} is outside the model's vocabulary of {vocabulary}. " +
                "Check that the tokenizer belongs to the model.");
        if (example.PredictedLabels == 0)
            throw new InputException($"the row has no token to learn: of its {example.InputIds.Length} tokens none after the first has a label.");
    }
}
