using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenizers.SentencePiece;

namespace LowRank.Tokenizers.Exchange;

/// <summary>Writes the tokenizer of a GGUF file as the files of a Hugging Face folder.</summary>
public static class GgufTokenizerFiles
{
    // The patterns by which llama.cpp splits texts, and what the tokenizers do besides.
    private const string Gpt2 = "gpt-2", Qwen2 = "qwen2", Llama3 = "llama-bpe";

    private const string Qwen2Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string Llama3Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly Dictionary<string, string> Splits = new(StringComparer.Ordinal)
    {
        ["default"] = Gpt2, ["gpt-2"] = Gpt2, ["gpt2"] = Gpt2, ["olmo"] = Gpt2, ["jina-es"] = Gpt2,
        ["roberta-bpe"] = Gpt2, ["modern-bert"] = Gpt2, ["mpt"] = Gpt2, ["phi-2"] = Gpt2,
        ["qwen2"] = Qwen2, ["deepseek-r1-qwen"] = Qwen2, ["megrez"] = Qwen2,
        ["llama-bpe"] = Llama3, ["llama3"] = Llama3, ["llama-v3"] = Llama3, ["smaug-bpe"] = Llama3, ["dbrx"] = Llama3,
        ["falcon3"] = Llama3, ["kormo"] = Llama3,
    };

    private static readonly JsonSerializerOptions Readable =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes <c>tokenizer.json</c> or <c>tokenizer.model</c>, and <c>tokenizer_config.json</c>.</summary>
    /// <param name="vocabulary">The vocabulary.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="place">The file that it comes from, for messages.</param>
    /// <param name="tokenizerClass">transformers' class for a sentencepiece model.</param>
    /// <exception cref="InputException">Texts are split in a way that is not known here, or the vocabulary is
    /// incomplete.</exception>
    public static void Write(
        GgufVocabulary vocabulary, string folder, string place, string tokenizerClass = "LlamaTokenizer")
    {
        var config = new JsonObject();
        foreach ((string key, string role) in (ReadOnlySpan<(string, string)>)
        [
            ("bos_token_id", "bos_token"), ("eos_token_id", "eos_token"), ("unknown_token_id", "unk_token"),
            ("seperator_token_id", "sep_token"), ("padding_token_id", "pad_token"), ("mask_token_id", "mask_token"),
        ])
            if (Number(vocabulary, key) is { } id && id < vocabulary.Tokens.Count) config[role] = vocabulary.Tokens[id];
        switch (vocabulary.Model)
        {
            case "gpt2":
                WriteBytePairs(vocabulary, folder, place);
                break;
            case "llama":
                WritePieces(vocabulary, folder, place);
                config["tokenizer_class"] = tokenizerClass;
                config["add_bos_token"] = Flag(vocabulary, "add_bos_token", true);
                config["add_eos_token"] = Flag(vocabulary, "add_eos_token", false);
                config["add_prefix_space"] = Flag(vocabulary, "add_space_prefix", true);
                config["legacy"] = true; // llama.cpp puts a space after each special token
                config["added_tokens_decoder"] = new JsonObject(Added(vocabulary).Select(token =>
                    KeyValuePair.Create(token.Id.ToString(CultureInfo.InvariantCulture), (JsonNode?)token.Json)));
                break;
            default:
                throw new InputException(
                    $"{place}: tokenizer.ggml.model is {vocabulary.Model}; readable are gpt2 and llama. Take the " +
                    "model's Hugging Face folder.");
        }
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), config.ToJsonString(Readable));
    }

    private static void WriteBytePairs(GgufVocabulary vocabulary, string folder, string place)
    {
        if (!Splits.TryGetValue(vocabulary.Pre, out string? split))
            throw new InputException(
                $"{place}: tokenizer.ggml.pre is {vocabulary.Pre}; known are {string.Join(", ", Splits.Keys)}. Take " +
                "the model's Hugging Face folder.");
        if (vocabulary.Merges is null) throw new InputException($"{place}: tokenizer.ggml.merges is missing.");
        var tokens = new JsonObject();
        foreach ((int id, string token) in vocabulary.Tokens.Index())
            if (vocabulary.Types[id] is not ((int)PieceKind.Unused) && !tokens.ContainsKey(token)) tokens[token] = id;
        JsonNode Level(bool usesPattern) => new JsonObject
        {
            ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = usesPattern,
        };
        var json = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. Added(vocabulary).Select(token => (JsonNode)token.Json)]),
            ["normalizer"] = split == Qwen2 || vocabulary.Pre == "olmo" ? new JsonObject { ["type"] = "NFC" } : null,
            ["pre_tokenizer"] = split == Gpt2 ? Level(true) : new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(new JsonObject
                {
                    ["type"] = "Split", ["behavior"] = "Isolated", ["invert"] = false,
                    ["pattern"] = new JsonObject { ["Regex"] = split == Qwen2 ? Qwen2Pattern : Llama3Pattern },
                }, Level(false)),
            },
            ["post_processor"] = Frame(vocabulary),
            ["decoder"] = Level(true),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["ignore_merges"] = split == Llama3, ["vocab"] = tokens,
                ["merges"] = new JsonArray([.. vocabulary.Merges.Select(merge => JsonValue.Create(merge))]),
            },
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), json.ToJsonString(Readable));
    }

    private static JsonObject? Frame(GgufVocabulary vocabulary)
    {
        int? before = Flag(vocabulary, "add_bos_token", vocabulary.Pre is "llama-bpe" or "llama3" or "llama-v3")
            ? Number(vocabulary, "bos_token_id") : null;
        int? after = Flag(vocabulary, "add_eos_token", false) ? Number(vocabulary, "eos_token_id") : null;
        if (before is null && after is null) return null;
        var parts = new JsonArray();
        var known = new JsonObject();
        if (before is { } first) AddSpecial(first);
        parts.Add((JsonNode)new JsonObject { ["Sequence"] = new JsonObject { ["id"] = "A", ["type_id"] = 0 } });
        if (after is { } last) AddSpecial(last);
        return new JsonObject { ["type"] = "TemplateProcessing", ["single"] = parts, ["special_tokens"] = known };

        void AddSpecial(int id)
        {
            string token = vocabulary.Tokens[id];
            var special = new JsonObject { ["id"] = token, ["type_id"] = 0 };
            parts.Add((JsonNode)new JsonObject { ["SpecialToken"] = special });
            known[token] = new JsonObject
            {
                ["id"] = token, ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(token),
            };
        }
    }

    private static IEnumerable<(int Id, JsonObject Json)> Added(GgufVocabulary vocabulary)
    {
        foreach ((int id, int type) in vocabulary.Types.Index())
            if (type is (int)PieceKind.Control or (int)PieceKind.UserDefined)
                yield return (id, new JsonObject
                {
                    ["id"] = id, ["content"] = vocabulary.Tokens[id], ["special"] = type == (int)PieceKind.Control,
                    ["normalized"] = false, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false,
                });
    }

    // A sentencepiece model (sentencepiece_model.proto): pieces, and the settings that decide how texts are split.
    private static void WritePieces(GgufVocabulary vocabulary, string folder, string place)
    {
        if (vocabulary.Scores is not { } scores || scores.Count != vocabulary.Tokens.Count)
            throw new InputException(
                $"{place}: tokenizer.ggml.scores has {vocabulary.Scores?.Count ?? 0} numbers, expected one for each " +
                $"of {vocabulary.Tokens.Count} tokens.");
        using var model = new MemoryStream();
        foreach ((int id, string token) in vocabulary.Tokens.Index())
        {
            using var piece = new MemoryStream();
            Bytes(piece, 1, Encoding.UTF8.GetBytes(token.Length == 0 ? $"[PAD{id}]" : token));
            Single(piece, 2, scores[id]);
            Whole(piece, 3, (ulong)Math.Clamp(vocabulary.Types[id], (int)PieceKind.Normal, (int)PieceKind.Byte));
            Bytes(model, 1, piece.ToArray());
        }
        using var trainer = new MemoryStream();
        Whole(trainer, 3, 2); // pairs
        Whole(trainer, 35, vocabulary.Types.Contains((int)PieceKind.Byte) ? 1UL : 0);
        Bytes(model, 2, trainer.ToArray());
        using var normalizer = new MemoryStream();
        Whole(normalizer, 3, Flag(vocabulary, "add_space_prefix", true) ? 1UL : 0);
        Whole(normalizer, 4, Flag(vocabulary, "remove_extra_whitespaces", false) ? 1UL : 0);
        Whole(normalizer, 5, 1);
        Bytes(model, 3, normalizer.ToArray());
        File.WriteAllBytes(Path.Combine(folder, "tokenizer.model"), model.ToArray());
    }

    private static void Bytes(MemoryStream message, int field, byte[] value)
    {
        Varint(message, (ulong)(field << 3 | 2));
        Varint(message, (ulong)value.Length);
        message.Write(value);
    }

    private static void Whole(MemoryStream message, int field, ulong value)
    {
        Varint(message, (ulong)field << 3);
        Varint(message, value);
    }

    private static void Single(MemoryStream message, int field, float value)
    {
        Varint(message, (ulong)(field << 3 | 5));
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        message.Write(bytes);
    }

    private static void Varint(MemoryStream message, ulong value)
    {
        for (; value >= 0x80; value >>= 7) message.WriteByte((byte)(value | 0x80));
        message.WriteByte((byte)value);
    }

    private static int? Number(GgufVocabulary vocabulary, string key) =>
        vocabulary.Settings.TryGetValue(key, out object? value) && value is uint and < int.MaxValue ? (int)(uint)value
            : null;

    private static bool Flag(GgufVocabulary vocabulary, string key, bool otherwise) =>
        vocabulary.Settings.TryGetValue(key, out object? value) && value is bool flag ? flag : otherwise;
}
