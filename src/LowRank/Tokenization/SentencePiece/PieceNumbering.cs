using System.Text.Json.Nodes;
using LowRank.Tokenization.PostProcessors;

namespace LowRank.Tokenization.SentencePiece;

/// <summary>The ids that transformers gives the pieces of a sentencepiece model, and the special tokens it adds.</summary>
/// <param name="Vocabulary">Tokens to ids.</param>
/// <param name="IdOf">A piece's number to its id.</param>
/// <param name="Roles">Special tokens that the family's class has.</param>
/// <param name="Extra">Further special tokens.</param>
internal sealed record PieceNumbering(Dictionary<string, int> Vocabulary, Func<int, int> IdOf, IReadOnlyDictionary<string, string> Roles, IReadOnlyList<string> Extra)
{
    private const int T5Extras = 100;

    /// <summary>The numbering of a family; of others, and without one, the pieces' own.</summary>
    public static PieceNumbering Of(SentencePieceFile file, string? family, JsonObject config) => family switch
    {
        "xlm-roberta" => Fairseq(file),
        "t5" or "mt5" => WithExtras(file, config["extra_ids"] is JsonValue value && value.TryGetValue(out int extras) ? extras : T5Extras),
        _ => Plain(file),
    };

    /// <summary>The special tokens around a text.</summary>
    public SpecialTokenFrame Frame(string? family, JsonObject config, IReadOnlyDictionary<string, string> roles)
    {
        bool Flag(string key, bool otherwise) => config[key] is JsonValue value && value.TryGetValue(out bool flag) ? flag : otherwise;
        TemplatePart? Special(string role) => roles.TryGetValue(role, out string? token) && Vocabulary.TryGetValue(token, out int id) ? new TemplatePart(null, [id], 0) : null;
        var first = new TemplatePart(0, [], 0);
        var second = new TemplatePart(1, [], 0);
        if (family is null) return SpecialTokenFrame.None;
        if (family == "xlm-roberta" && Special("bos_token") is { } begin && Special("eos_token") is { } end)
            return new SpecialTokenFrame([begin, first, end], [begin, first, end, end, second, end]);
        if (family is "t5" or "mt5" && Special("eos_token") is { } stop) return new SpecialTokenFrame([first, stop], [first, stop, second, stop]);
        TemplatePart[] before = Flag("add_bos_token", true) && Special("bos_token") is { } bos ? [bos] : [];
        TemplatePart[] after = Flag("add_eos_token", false) && Special("eos_token") is { } eos ? [eos] : [];
        return new SpecialTokenFrame([.. before, first, .. after], [.. before, first, .. after, .. before, second with { Type = 1 }, .. after]);
    }

    private static PieceNumbering Plain(SentencePieceFile file)
    {
        Dictionary<string, int> vocabulary = [];
        for (int i = 0; i < file.Pieces.Count; i++) vocabulary.TryAdd(file.Pieces[i].Text, i);
        var roles = new Dictionary<string, string>();
        foreach ((string role, string token) in new[] { ("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>") })
            if (vocabulary.TryGetValue(token, out int id) && file.Pieces[id].Kind is PieceKind.Control or PieceKind.Unknown) roles[role] = token;
        return new PieceNumbering(vocabulary, number => number, roles, []);
    }

    // fairseq's four come first, and every piece but sentencepiece's own three moves up by one.
    private static PieceNumbering Fairseq(SentencePieceFile file)
    {
        var vocabulary = new Dictionary<string, int> { ["<s>"] = 0, ["<pad>"] = 1, ["</s>"] = 2, ["<unk>"] = 3 };
        for (int i = 0; i < file.Pieces.Count; i++) vocabulary.TryAdd(file.Pieces[i].Text, i + 1);
        vocabulary["<mask>"] = file.Pieces.Count + 1;
        var roles = new Dictionary<string, string>
        {
            ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["sep_token"] = "</s>", ["cls_token"] = "<s>", ["unk_token"] = "<unk>", ["pad_token"] = "<pad>", ["mask_token"] = "<mask>",
        };
        return new PieceNumbering(vocabulary, number => vocabulary[file.Pieces[number].Text], roles, []);
    }

    private static PieceNumbering WithExtras(SentencePieceFile file, int extras)
    {
        PieceNumbering plain = Plain(file);
        string[] names = [.. Enumerable.Range(0, extras).Select(i => $"<extra_id_{i}>")];
        for (int i = 0; i < extras; i++) plain.Vocabulary.TryAdd(names[i], file.Pieces.Count + extras - 1 - i);
        return plain with { Extra = names };
    }
}
