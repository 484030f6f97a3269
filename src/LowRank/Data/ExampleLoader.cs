using LowRank.Tokenization;
using LowRank.Data.Chat;
using LowRank.Data.Forms;

namespace LowRank.Data;

/// <summary>Turns JSONL files into examples. A row has one of the forms <c>{"text"}</c>, <c>{"prompt", "completion"}</c>,
/// <c>{"messages"[, "tools"]}</c>, <c>{"input_ids", "labels"[, "attention_mask"]}</c>, told by its keys; rows of different forms
/// may stand in one file, and keys of no form (such as "facts") are left for others.</summary>
public static class ExampleLoader
{
    /// <summary>Reads all rows.</summary>
    /// <param name="paths">JSONL files; at least one.</param>
    /// <param name="tokenizer">Makes tokens; null allows rows of tokens only.</param>
    /// <param name="options">How; needs a vocabulary size where there is no tokenizer.</param>
    /// <returns>Examples with a predicted label each, none longer than the options allow, and what became of the rows.</returns>
    /// <exception cref="InputException">Rows that cannot be used: all are counted, the first ten problems shown. Or no row is left.</exception>
    public static LoadedExamples Load(IReadOnlyList<string> paths, ITextTokenizer? tokenizer, ExampleOptions options)
    {
        if (paths.Count == 0) throw new ArgumentException("There is no file to read.", nameof(paths));
        if (options.MaxLength < 2) throw new ArgumentException($"MaxLength is {options.MaxLength}, expected at least 2.", nameof(options));
        int vocabulary = options.VocabularySize ?? tokenizer?.VocabularySize
            ?? throw new ArgumentException("Without a tokenizer the options have to give the vocabulary size.", nameof(options));
        IChatFormat? format = tokenizer is null ? null : options.ChatFormat ?? ChatFormats.Of(tokenizer);
        bool talks = false;
        var forms = new SampleForms(Forms(tokenizer, options, vocabulary, format),
            tokenizer is null ? " (rows of text need a tokenizer, and the model has none)" : "");
        var problems = new DataProblems();
        var collected = new ExampleCollector(options.MaxLength);
        foreach (Sample sample in paths.SelectMany(path => SampleReader.Read(path, problems)))
        {
            try
            {
                TokenizedExample example = forms.Of(sample.Row).Tokenize(sample) with { Place = sample.Place };
                Check(example, vocabulary);
                talks |= sample.Row.ContainsKey("messages");
                if (problems.Count == 0) collected.Add(example); // after a problem the rest is only checked
            }
            catch (InputException failure)
            {
                foreach (string problem in failure.Problems) problems.Add(sample.Place, problem);
            }
        }
        problems.ThrowIfAny();
        return collected.Result() with { TurnsToldBy = talks && options.TrainOn == TrainOn.Completion ? format?.TurnsToldBy : null };
    }

    private static List<ISampleForm> Forms(ITextTokenizer? tokenizer, ExampleOptions options, int vocabulary, IChatFormat? format)
    {
        var tokens = new TokensForm(vocabulary);
        if (tokenizer is null || format is null) return [tokens];
        return [new TextForm(tokenizer), new PromptForm(tokenizer, options.TrainOn), new MessagesForm(tokenizer, format, options.TrainOn), tokens];
    }

    private static void Check(TokenizedExample example, int vocabulary)
    {
        int outside = Array.FindIndex(example.InputIds, id => id < 0 || id >= vocabulary);
        if (outside >= 0)
            throw new InputException($"token {example.InputIds[outside]} at position {outside} is outside the model's vocabulary of {vocabulary}. " +
                "Check that the tokenizer belongs to the model.");
        if (example.PredictedLabels == 0)
            throw new InputException($"the row has no token to learn: of its {example.InputIds.Length} tokens none after the first has a label.");
    }
}
