using System.Text.Json.Nodes;
using LowRank.Tokenizers.Classes;
using LowRank.Tokenizers.SentencePiece;

namespace LowRank.Tokenizers.Exchange;

/// <summary>What a tokenizer's files hold: its tokens, and by what they are joined.</summary>
/// <param name="Kind">llama, gpt2, bert or t5, as in <see cref="GgufVocabulary.Model"/>.</param>
internal sealed record TokenizerSource(string Kind)
{
    private const string JsonName = "tokenizer.json";

    /// <summary>The tokens by id, without those that were added later.</summary>
    public Dictionary<int, string> Tokens { get; } = [];

    /// <summary>The tokens that were added later, and those that are special.</summary>
    public Dictionary<int, (string Text, bool IsSpecial)> Added { get; } = [];

    /// <summary>The token for what no other covers; null if only the tokenizer's roles name it.</summary>
    public int? Unknown { get; private set; }

    /// <summary>The merges of byte pairs, in order.</summary>
    public IReadOnlyList<(string Left, string Right)> Merges { get; private set; } = [];

    /// <summary>The scores of sentencepiece's pieces.</summary>
    public Dictionary<int, float> Scores { get; } = [];

    /// <summary>The kinds of sentencepiece's pieces.</summary>
    public Dictionary<int, PieceKind> Kinds { get; } = [];

    /// <summary>Keys of <c>tokenizer.ggml.</c> about spaces and letters.</summary>
    public Dictionary<string, object> Settings { get; } = [];

    /// <summary>What the user should know, one sentence each.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>Reads a folder's files.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="tokenizer">The folder's tokenizer.</param>
    /// <exception cref="InputException">The tokenizer is none that llama.cpp has.</exception>
    public static TokenizerSource Read(string folder, Tokenizer tokenizer)
    {
        string json = Path.Combine(folder, JsonName);
        string? pieces = SentencePieceModel.Find(folder);
        TokenizerSource source = File.Exists(json)
            ? FromJson(JsonObjects.Read(json, SmallFile.MostOfVocabulary), json)
            : pieces is not null ? FromPieces(SentencePieceFile.Read(pieces))
            : FromFiles(folder, tokenizer);
        if (!File.Exists(json))
            for (int id = 0; id < tokenizer.VocabularySize; id++)
                if (tokenizer.IdToToken(id) is { } text && (tokenizer.IsSpecial(id) || !source.Tokens.ContainsKey(id)))
                    source.Added[id] = (text, tokenizer.IsSpecial(id));
        // tokenizer.json has no scores of sentencepiece's pairs; the file that it was made from has.
        if (source.Kind == "llama" && File.Exists(json) && pieces is not null
            && SentencePieceFile.Read(pieces) is { MergesPairs: true } file && Agrees(source, file))
            source.TakePieces(file);
        return source;
    }

    private static bool Agrees(TokenizerSource source, SentencePieceFile file) => file.Pieces.Index().All(piece =>
        piece.Item.Kind != PieceKind.Normal || source.Tokens.GetValueOrDefault(piece.Index) == piece.Item.Text);

    private static TokenizerSource FromJson(JsonObject json, string file)
    {
        JsonObject model = json["model"] as JsonObject
            ?? throw new InputException($"{file}: model is missing, expected an object.");
        bool isByteLevel = Holds(json["pre_tokenizer"], "ByteLevel") || Holds(json["decoder"], "ByteLevel");
        string kind = model["vocab"] is JsonArray ? "t5" : model["merges"] is not null
            ? isByteLevel ? "gpt2" : "llama" : "bert";
        var source = new TokenizerSource(kind);
        if (model["vocab"] is JsonArray list)
            foreach ((int id, JsonNode? pair) in list.Index())
            {
                source.Tokens[id] = pair![0]!.GetValue<string>();
                source.Scores[id] = (float)pair[1]!.GetValue<double>();
            }
        else
            foreach ((string token, JsonNode? id) in model["vocab"] as JsonObject ?? [])
                source.Tokens[id!.GetValue<int>()] = token;
        foreach (JsonObject token in (json["added_tokens"] as JsonArray ?? []).OfType<JsonObject>())
            source.Added[token["id"]!.GetValue<int>()] =
                (token["content"]!.GetValue<string>(), token["special"]?.GetValue<bool>() ?? false);
        if (model["unk_id"] is JsonValue number) source.Unknown = number.GetValue<int>();
        else if (model["unk_token"] is JsonValue unknown && model["vocab"]?[unknown.GetValue<string>()] is { } known)
            source.Unknown = known.GetValue<int>();
        source.Merges = [.. (model["merges"] as JsonArray ?? []).Select(Pair)];
        if (kind == "llama") source.ScoreByMerges(file);
        source.ReadSpaces(json);
        return source;
    }

    private static (string, string) Pair(JsonNode? merge)
    {
        string[] parts = merge is JsonArray both ? [.. both.Select(part => part!.GetValue<string>())]
            : merge!.GetValue<string>().Split(' ');
        return (parts[0], parts[1]);
    }

    // llama.cpp joins the two neighbours whose token has the highest score. A token's score is the rank of its merges,
    // where they stand together; otherwise scores cannot say the order.
    private void ScoreByMerges(string file)
    {
        Dictionary<string, int> ids = Tokens.ToDictionary(token => token.Value, token => token.Key);
        string last = "";
        foreach ((int rank, (string left, string right)) in Merges.Index())
        {
            string joined = left + right;
            if (!ids.TryGetValue(joined, out int id)) continue;
            if (!Scores.TryAdd(id, -rank) && joined != last)
                throw new InputException(
                    $"{file}: the merges that give \"{joined}\" do not stand together, which llama.cpp's scores " +
                    "cannot say. Add the tokenizer.model that the file was made from, if there is one.");
            last = joined;
        }
        HashSet<(string, string)> known = [.. Merges];
        int others = Scores.Keys.Sum(id => Enumerable.Range(1, Tokens[id].Length - 1).Count(at =>
            ids.ContainsKey(Tokens[id][..at]) && ids.ContainsKey(Tokens[id][at..])
                && !known.Contains((Tokens[id][..at], Tokens[id][at..]))));
        if (others > 0)
            Notes.Add(
                $"{file}: llama.cpp joins {others} pairs of tokens that this tokenizer leaves apart, so it may split " +
                "a few words otherwise.");
    }

    private void ReadSpaces(JsonObject json)
    {
        JsonNode? normalizer = json["normalizer"];
        if (Kind is "llama" or "t5")
        {
            JsonObject? metaspace = Find(json["pre_tokenizer"], "Metaspace");
            string scheme = metaspace?["prepend_scheme"]?.GetValue<string>()
                ?? (metaspace?["add_prefix_space"]?.GetValue<bool>() == false ? "never" : "always");
            Settings["add_space_prefix"] =
                Holds(normalizer, "Prepend") || (metaspace is not null && scheme != "never");
        }
        if (Kind == "t5")
        {
            Settings["remove_extra_whitespaces"] = Holds(normalizer, "Replace") || Holds(normalizer, "Strip")
                || Holds(normalizer, "Precompiled");
            if (Find(normalizer, "Precompiled")?["precompiled_charsmap"]?.GetValue<string>() is { Length: > 0 } map)
                Settings["precompiled_charsmap"] = Convert.FromBase64String(map);
        }
        if (Find(normalizer, "BertNormalizer") is { } bert)
        {
            Settings["normalizer.lowercase"] = bert["lowercase"]?.GetValue<bool>() ?? true;
            if (bert["strip_accents"] is JsonValue strips)
                Settings["normalizer.strip_accents"] = strips.GetValue<bool>();
        }
        else if (Holds(normalizer, "Lowercase")) Settings["normalizer.lowercase"] = true;
        if (Holds(normalizer, "NFC")) Settings["normalizer.nfc"] = true;
    }

    private static TokenizerSource FromPieces(SentencePieceFile file)
    {
        var source = new TokenizerSource(file.MergesPairs ? "llama" : "t5");
        source.TakePieces(file);
        return source;
    }

    private void TakePieces(SentencePieceFile file)
    {
        Scores.Clear();
        foreach ((int id, (string text, float score, PieceKind kind)) in file.Pieces.Index())
            (Tokens[id], Scores[id], Kinds[id]) = (text, score, kind);
        if (!Settings.ContainsKey("add_space_prefix")) Settings["add_space_prefix"] = file.AddsBlank;
        if (Kind != "t5") return;
        Settings["remove_extra_whitespaces"] = file.RemovesBlanks;
        if (file.MapBytes is { Length: > 0 } map) Settings["precompiled_charsmap"] = map;
    }

    // BERT's vocab.txt, or GPT-2's two files.
    private static TokenizerSource FromFiles(string folder, Tokenizer tokenizer)
    {
        string merges = Path.Combine(folder, "merges.txt");
        var source = new TokenizerSource(File.Exists(merges) ? "gpt2" : "bert");
        for (int id = 0; id < tokenizer.VocabularySize; id++)
            if (tokenizer.IdToToken(id) is { } text) source.Tokens[id] = text;
        if (source.Kind == "gpt2")
            source.Merges = [.. SmallFile.ReadLines(merges, SmallFile.MostOfVocabulary)
                .Where(line => line.Length > 0 && !line.StartsWith("#version", StringComparison.Ordinal))
                .Select(line => Pair(JsonValue.Create(line)))];
        return source;
    }

    private static bool Holds(JsonNode? node, string type) => Find(node, type) is not null;

    // A component of a type, alone or in a sequence.
    private static JsonObject? Find(JsonNode? node, string type)
    {
        if (node is not JsonObject component) return null;
        if (component["type"]?.GetValue<string>() == type) return component;
        foreach (string key in (string[])["normalizers", "pretokenizers", "decoders"])
            foreach (JsonNode? inner in component[key] as JsonArray ?? [])
                if (Find(inner, type) is { } found) return found;
        return null;
    }
}
