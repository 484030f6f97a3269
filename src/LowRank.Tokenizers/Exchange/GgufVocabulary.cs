using System.Globalization;
using System.Text.RegularExpressions;
using LowRank.Tokenizers.SentencePiece;

namespace LowRank.Tokenizers.Exchange;

/// <summary>A tokenizer as GGUF files have it, for llama.cpp and the programs that are made of it.</summary>
/// <param name="model"><see cref="Model"/></param>
/// <param name="pre"><see cref="Pre"/></param>
/// <param name="tokens"><see cref="Tokens"/></param>
/// <param name="types"><see cref="Types"/></param>
public sealed partial class GgufVocabulary(
    string model, string pre, IReadOnlyList<string> tokens, IReadOnlyList<int> types)
{
    private const int Normal = (int)PieceKind.Normal, Unknown = (int)PieceKind.Unknown,
        Control = (int)PieceKind.Control, UserDefined = (int)PieceKind.UserDefined, Unused = (int)PieceKind.Unused;

    private const float OfUnused = -10000, OfAdded = -1000; // as llama.cpp's converter scores them

    private static readonly (string Role, string Key)[] Roles =
    [
        ("bos_token", "bos_token_id"), ("eos_token", "eos_token_id"), ("unk_token", "unknown_token_id"),
        ("sep_token", "seperator_token_id"), ("pad_token", "padding_token_id"), ("mask_token", "mask_token_id"),
    ];

    /// <summary>How texts are split: <c>llama</c> (sentencepiece's pairs), <c>gpt2</c> (byte pairs), <c>bert</c>
    /// (WordPiece) or <c>t5</c> (unigram).</summary>
    public string Model => model;

    /// <summary>llama.cpp's name of the way in which texts are split before that.</summary>
    public string Pre => pre;

    /// <summary>The tokens by id.</summary>
    public IReadOnlyList<string> Tokens => tokens;

    /// <summary>The kind of each token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.</summary>
    public IReadOnlyList<int> Types => types;

    /// <summary>The scores by id; null for byte pairs and WordPiece.</summary>
    public IReadOnlyList<float>? Scores { get; init; }

    /// <summary>The merges in order, each two texts with a blank between; null for models without them.</summary>
    public IReadOnlyList<string>? Merges { get; init; }

    /// <summary>Further keys of <c>tokenizer.ggml.</c> and their values: numbers of special tokens
    /// (<see cref="uint"/>), flags (<see cref="bool"/>), a map of characters (bytes).</summary>
    public IReadOnlyDictionary<string, object> Settings { get; init; } = new Dictionary<string, object>();

    /// <summary>What the user should know, one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Reads the tokenizer of a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="size">Number of rows of the model's vocabulary: numbers without a token are unused.</param>
    /// <param name="endOfText">The token that ends a text if the tokenizer's files specify none.</param>
    /// <exception cref="InputException">llama.cpp cannot split texts as this tokenizer does, or it has more tokens than
    /// the model.</exception>
    public static GgufVocabulary Read(string folder, int size, int? endOfText = null) =>
        Read(folder, size, endOfText, pre: null);

    /// <summary>Reads the tokenizer of a model folder, whose way to split texts is known by name.</summary>
    internal static GgufVocabulary Read(string folder, int size, int? endOfText, string? pre)
    {
        Tokenizer tokenizer = Tokenizer.Load(folder, endOfText);
        if (tokenizer.VocabularySize > size)
            throw new InputException(
                $"{folder}: the tokenizer has {tokenizer.VocabularySize} tokens, the model {size} rows. Take the " +
                "tokenizer that belongs to the model.");
        TokenizerSource source = TokenizerSource.Read(folder, tokenizer);
        if (source.Kind is "gpt2" or "bert") pre ??= PreTokenizerNames.Find(tokenizer);
        if (source.Kind == "gpt2" && pre is null) throw UnknownSplit(folder, tokenizer);
        (string[] tokens, int[] types) = Listed(tokenizer, source, size);
        if (source.Kind == "bert") MarkBeginnings(tokens, types);
        return new GgufVocabulary(source.Kind, pre ?? "default", tokens, types)
        {
            Scores = source.Kind is "llama" or "t5" ? [.. Enumerable.Range(0, size).Select(id =>
                types[id] == Unused && !source.Scores.ContainsKey(id) ? OfUnused
                    : source.Added.ContainsKey(id) ? OfAdded : source.Scores.GetValueOrDefault(id, OfAdded))] : null,
            Merges = source.Kind == "gpt2" ? [.. source.Merges.Select(merge => $"{merge.Left} {merge.Right}")] : null,
            Settings = SettingsOf(tokenizer, source),
            Notes = source.Notes,
        };
    }

    private static InputException UnknownSplit(string folder, Tokenizer tokenizer) => new(
        $"{folder}: llama.cpp does not know this tokenizer, and would split texts wrongly. It tells the ways to " +
        $"split a text by the ids of one text, whose digest is {PreTokenizerNames.Digest(tokenizer)} here. Only " +
        "tokenizers of models that llama.cpp knows can be written as GGUF.");

    private static (string[] Tokens, int[] Types) Listed(Tokenizer tokenizer, TokenizerSource source, int size)
    {
        string[] tokens = new string[size];
        int[] types = new int[size];
        for (int id = 0; id < size; id++)
        {
            (tokens[id], types[id]) = source.Tokens.TryGetValue(id, out string? text)
                ? (text, source.Kinds.TryGetValue(id, out PieceKind kind) ? (int)kind : Normal)
                : ($"[PAD{id.ToString(CultureInfo.InvariantCulture)}]", Unused);
            if (source.Kind == "llama" && ByteToken().IsMatch(tokens[id])) types[id] = (int)PieceKind.Byte;
            else if (source.Kind is "llama" or "t5" && id == (source.Unknown ?? tokenizer.UnknownTokenId))
                types[id] = Unknown;
            else if (source.Added.TryGetValue(id, out (string Text, bool IsSpecial) added))
                (tokens[id], types[id]) = added.IsSpecial || LooksSpecial(added.Text) ? (added.Text, Control)
                    : (added.Text.Replace('\u2581', ' '), UserDefined);
        }
        return (tokens, types);
    }

    // Pieces that begin a word carry ▁, the others nothing: the other way round than in WordPiece.
    private static void MarkBeginnings(string[] tokens, int[] types)
    {
        for (int id = 0; id < tokens.Length; id++)
            if (types[id] != Control)
                tokens[id] = tokens[id].StartsWith("##", StringComparison.Ordinal) ? tokens[id][2..]
                    : "\u2581" + tokens[id];
    }

    // As llama.cpp's converter: some models do not mark their control tokens as special.
    private static bool LooksSpecial(string text) => text is "<pad>" or "<mask>" or "<2mass>" or "[@BOS@]"
        || (text.StartsWith("<|", StringComparison.Ordinal) && text.EndsWith("|>", StringComparison.Ordinal))
        || (text.StartsWith("<｜", StringComparison.Ordinal) && text.EndsWith("｜>", StringComparison.Ordinal))
        || (text.StartsWith("<unused", StringComparison.Ordinal) && text.EndsWith('>'));

    private static Dictionary<string, object> SettingsOf(Tokenizer tokenizer, TokenizerSource source)
    {
        var settings = new Dictionary<string, object>(source.Settings);
        foreach ((string role, string key) in Roles)
            if (tokenizer.SpecialTokens.TryGetValue(role, out string? token) && tokenizer.TokenToId(token) is { } id)
                settings[key] = (uint)id;
        if (source.Unknown is { } unknown) settings.TryAdd("unknown_token_id", (uint)unknown);
        // What a tokenizer puts around each text is what llama.cpp puts there, under its own names.
        IReadOnlyList<int> before = tokenizer.Frame.Before, after = tokenizer.Frame.After;
        if (before.Count > 0) settings["bos_token_id"] = (uint)before[0];
        if (after.Count > 0) settings["eos_token_id"] = (uint)after[^1];
        else if (tokenizer.EosTokenId is { } end) settings.TryAdd("eos_token_id", (uint)end);
        settings["add_bos_token"] = before.Count > 0;
        settings["add_eos_token"] = after.Count > 0;
        if (after.Count > 0 && before.Count > 0)
        {
            settings["add_sep_token"] = true;
            settings.TryAdd("seperator_token_id", (uint)after[^1]);
        }
        return settings;
    }

    [GeneratedRegex("^<0x[0-9A-F]{2}>$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex ByteToken();
}
