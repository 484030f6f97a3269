using System.Text.Json.Nodes;
using LowRank.Tokenization.Decoders;
using LowRank.Tokenization.Models;
using LowRank.Tokenization.Normalizers;
using LowRank.Tokenization.PostProcessors;

namespace LowRank.Tokenization.SentencePiece;

/// <summary>A sentencepiece model as a tokenizer; in a model's folder with the ids and special tokens of transformers' class
/// for the folder's <c>model_type</c>.</summary>
internal sealed record SentencePieceModel(ITokenModel Model, TokenizerFolder Folder, IReadOnlyList<AddedToken> Added, INormalizer Normalizer,
    SpecialTokenFrame Frame, IDecoder Decoder)
{
    /// <summary>The names that such files have.</summary>
    public static IReadOnlyList<string> FileNames { get; } = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"];

    /// <summary>The file in a folder; null where there is none.</summary>
    public static string? Find(string folder) => FileNames.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Reads a model.</summary>
    /// <param name="path">The file.</param>
    /// <param name="folder">The model's folder; null takes the file alone, with sentencepiece's own ids.</param>
    /// <exception cref="InputException">The file is damaged.</exception>
    public static SentencePieceModel Read(string path, string? folder)
    {
        SentencePieceFile file = SentencePieceFile.Read(path);
        TokenizerFolder said = folder is null ? TokenizerFolder.Empty : TokenizerFolder.Read(folder);
        string? family = folder is null ? null : (TokenizerFolder.Json(Path.Combine(folder, "config.json"))["model_type"] as JsonValue)?.GetValue<string>();
        JsonObject config = folder is null ? [] : TokenizerFolder.Json(Path.Combine(folder, "tokenizer_config.json"));
        PieceNumbering ids = PieceNumbering.Of(file, family, config);
        var roles = new Dictionary<string, string>(said.SpecialTokens);
        foreach ((string role, string token) in ids.Roles) roles.TryAdd(role, token);
        // In a folder special tokens are found in the text, as transformers' classes do; sentencepiece itself never does.
        AddedToken[] added = folder is null ? [] : [.. roles.Values.Concat(ids.Extra).Distinct().Where(ids.Vocabulary.ContainsKey)
            .Select(token => new AddedToken(token, ids.Vocabulary[token], true, false, false, false, false))];
        return new SentencePieceModel(Pieces(file, ids), said with { SpecialTokens = roles }, added, new SentencePieceNormalizer(file), ids.Frame(family, config, roles),
            new SentencePieceDecoder(file));
    }

    private static ITokenModel Pieces(SentencePieceFile file, PieceNumbering ids)
    {
        if (file.MergesPairs) return new SentencePieceMerges(file, ids.Vocabulary, ids.IdOf);
        float least = float.PositiveInfinity, most = float.NegativeInfinity;
        foreach ((_, float score, PieceKind kind) in file.Pieces)
        {
            if (kind != PieceKind.Normal) continue;
            least = Math.Min(least, score);
            most = Math.Max(most, score);
        }
        var pieces = new Dictionary<string, (int, double)>();
        for (int i = 0; i < file.Pieces.Count; i++)
        {
            (string text, float score, PieceKind kind) = file.Pieces[i];
            if (kind == PieceKind.Normal) pieces.TryAdd(text, (ids.IdOf(i), score));
            // A user-defined piece beats every way around it.
            else if (kind == PieceKind.UserDefined) pieces.TryAdd(text, (ids.IdOf(i), (float)(System.Text.Encoding.UTF8.GetByteCount(text) * most - 0.1)));
        }
        int unknown = file.Pieces.FindIndex(piece => piece.Kind == PieceKind.Unknown);
        return new UnigramModel(ids.Vocabulary, pieces, new UnigramSettings(unknown < 0 ? null : ids.IdOf(unknown), least)
        {
            FallsBackToBytes = file.FallsBackToBytes,
            SumsInSingle = true,
            FusesUnknown = !file.FallsBackToBytes,
        });
    }
}
