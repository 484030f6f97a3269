using LowRank.Tokenization;
using LowRank.Data.Rows;

namespace LowRank.Data;

/// <summary>Turns rows of files into examples. A row has one of the forms <c>{"text"}</c>, <c>{"prompt", "completion"}</c>,
/// <c>{"messages"[, "tools"]}</c>, <c>{"input_ids", "labels"[, "attention_mask"]}</c>, told by its keys; rows of different forms
/// may stand in one file, and keys of no form (such as "facts") are left for others. Forms of Alpaca, ShareGPT, OpenAI and TRL are
/// read as these.</summary>
public static class ExampleLoader
{
    /// <summary>Reads all rows.</summary>
    /// <param name="paths">Files, folders and patterns; at least one.</param>
    /// <param name="tokenizer">Makes tokens; null allows rows of tokens only.</param>
    /// <param name="options">How; needs a vocabulary size where there is no tokenizer.</param>
    /// <returns>Examples with a predicted label each, none longer than the options allow, and what became of the rows.</returns>
    /// <exception cref="InputException">Rows that cannot be used: all are counted, the first ten problems shown. Or no row is left.</exception>
    public static LoadedExamples Load(IReadOnlyList<string> paths, ITextTokenizer? tokenizer, ExampleOptions options) => Load(RowSource.Of(paths), tokenizer, options);

    /// <summary>Reads all rows of a source.</summary>
    /// <inheritdoc cref="Load(IReadOnlyList{string}, ITextTokenizer?, ExampleOptions)"/>
    public static LoadedExamples Load(RowSource source, ITextTokenizer? tokenizer, ExampleOptions options)
    {
        var loading = new ExampleLoading(source, tokenizer, options);
        List<TokenizedExample> examples = [.. loading.Examples()];
        return new LoadedExamples(examples, loading.Finish()) { TurnsToldBy = loading.TurnsToldBy, HasConversations = loading.HasConversations, Notes = loading.Notes };
    }
}
