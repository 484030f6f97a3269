namespace LowRank.Tokenizers;

/// <summary>What training and generation need of a tokenizer.</summary>
public interface ITextTokenizer
{
    /// <summary>Number of ids, the first of which is 0.</summary>
    int VocabularySize { get; }

    /// <summary>The token that ends a text; null when there is none.</summary>
    int? EosTokenId { get; }

    /// <summary>The model's own chat template (Jinja); null when it has none.</summary>
    string? ChatTemplateSource { get; }

    /// <summary>All its chat templates by name: <see cref="ChatTemplateSource"/> is "default", and "tool_use" is for
    /// conversations with tools.</summary>
    IReadOnlyDictionary<string, string> ChatTemplates =>
        ChatTemplateSource is { } source ? new Dictionary<string, string> { [ChatTemplateFiles.Default] = source }
            : new Dictionary<string, string>();

    /// <summary>Special tokens as the model's files name them, for its chat template: <c>bos_token</c>,
    /// <c>eos_token</c>, … to their text.</summary>
    IReadOnlyDictionary<string, string> SpecialTokens { get; }

    /// <summary>Text to ids.</summary>
    /// <param name="text">Special tokens spelled out in it become their ids.</param>
    /// <param name="addSpecialTokens">Whether the post-processor adds its tokens.</param>
    int[] Encode(string text, bool addSpecialTokens = true);

    /// <summary>Ids to text, special tokens spelled out.</summary>
    string Decode(IReadOnlyList<int> ids);

    /// <summary>The id of a token; null when it is unknown.</summary>
    int? TokenToId(string token);
}
