using System.Text.Json.Nodes;
using LowRank.Tokenization.Models;
using LowRank.Tokenization.PostProcessors;

namespace LowRank.Tokenization;

/// <summary>BERT's own form of a tokenizer: <c>vocab.txt</c>, with settings in tokenizer_config.json where they differ from
/// transformers' BertTokenizer.</summary>
internal sealed record BertVocabulary(WordPieceModel Model, TokenizerFolder Folder, IReadOnlyList<AddedToken> Added, ComponentJson Normalizer,
    ComponentJson PreTokenizer, ComponentJson Decoder, SpecialTokenFrame Frame)
{
    /// <summary>The file's name.</summary>
    public const string FileName = "vocab.txt";

    private static readonly KeyValuePair<string, string>[] Defaults =
    [
        new("unk_token", "[UNK]"), new("sep_token", "[SEP]"), new("pad_token", "[PAD]"), new("cls_token", "[CLS]"), new("mask_token", "[MASK]"),
    ];

    /// <summary>Reads a folder.</summary>
    /// <exception cref="InputException">The vocabulary lacks a special token.</exception>
    public static BertVocabulary Read(string path)
    {
        string file = Path.Combine(path, FileName);
        Dictionary<string, int> vocabulary = VocabularyReader.ReadLines(file);
        TokenizerFolder said = TokenizerFolder.Read(path);
        var roles = new Dictionary<string, string>(said.SpecialTokens);
        foreach ((string role, string token) in Defaults) roles.TryAdd(role, token);
        string[] missing = [.. Defaults.Select(role => roles[role.Key]).Where(token => !vocabulary.ContainsKey(token))];
        if (missing.Length > 0)
            throw new InputException($"{file} lacks {string.Join(", ", missing)}, which BERT's tokenizer needs. Is it the vocabulary of another tokenizer? Name its special tokens in tokenizer_config.json.");
        JsonObject config = TokenizerFolder.Json(Path.Combine(path, "tokenizer_config.json"));
        JsonNode? Copy(string key) => config[key]?.DeepClone();
        var normalizer = new JsonObject
        {
            ["type"] = "BertNormalizer",
            ["clean_text"] = true,
            ["handle_chinese_chars"] = Copy("tokenize_chinese_chars") ?? true,
            ["strip_accents"] = Copy("strip_accents"),
            ["lowercase"] = Copy("do_lower_case") ?? true,
        };
        ComponentJson Component(JsonObject json) => new(json, path);
        AddedToken[] added = [.. Defaults.Select(role => roles[role.Key]).Distinct().Select(token => new AddedToken(token, vocabulary[token], true, false, false, false, false))];
        return new BertVocabulary(new WordPieceModel(vocabulary, roles["unk_token"], "##", 100, file), said with { SpecialTokens = roles }, added, Component(normalizer),
            Component(new JsonObject { ["type"] = "BertPreTokenizer" }), Component(new JsonObject { ["type"] = "WordPiece" }),
            PostProcessorReader.Bert(vocabulary[roles["cls_token"]], vocabulary[roles["sep_token"]]));
    }
}
