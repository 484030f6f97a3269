namespace LowRank.Tokenizers;

/// <summary>The parts of a tokenizer that training and generation need.</summary>
public interface ITextTokenizer
{
    /// <summary>Number of ids, starting with 0.</summary>
    int VocabularySize { get; }

    /// <summary>The token that ends a text; null if there is none.</summary>
    int? EosTokenId { get; }

    /// <summary>The model's own chat template (Jinja); null if it has none.</summary>
    string? ChatTemplateSource { get; }

    /// <summary>All its chat templates by name: <see cref="ChatTemplateSource"/> is "default", and "tool_use" is for
    /// conversations with tools.</summary>
    IReadOnlyDictionary<string, string> ChatTemplates =>
        ChatTemplateSource is { } source ? new Dictionary<string, string> { [ChatTemplateFiles.Default] = source }
            : new Dictionary<string, string>();

    /// <summary>Special tokens from the model's files, for its chat template: <c>bos_token</c>, <c>eos_token</c>, …
    /// with their text.</summary>
    IReadOnlyDictionary<string, string> SpecialTokens { get; }

    /// <summary>Encodes a text as ids.</summary>
    /// <param name="text">The text; special tokens in it become their ids.</param>
    /// <param name="addSpecialTokens">Whether the post-processor adds its special tokens.</param>
    int[] Encode(string text, bool addSpecialTokens = true);

    /// <summary>Decodes ids to text, including special tokens.</summary>
    string Decode(IReadOnlyList<int> ids);

    /// <summary>The id of a token; null if unknown.</summary>
    int? TokenToId(string token);
}
