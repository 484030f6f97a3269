using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Models;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.PostProcessors;
using LowRank.Tokenizers.SentencePiece;

namespace LowRank.Tokenizers.Classes;

/// <summary>A sentencepiece model as a tokenizer with sentencepiece's own behaviour: alone, or in a folder that
/// specifies no tokenizer class of transformers.</summary>
internal sealed record SentencePieceModel(
    ITokenModel Model, TokenizerFolder Folder, IReadOnlyList<AddedToken> Added, INormalizer Normalizer,
    SpecialTokenFrame Frame, IDecoder Decoder)
{
    /// <summary>The usual names of such files.</summary>
    public static IReadOnlyList<string> FileNames { get; } =
        ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"];

    /// <summary>The file in a folder; null if there is none.</summary>
    public static string? Find(string folder) =>
        FileNames.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Reads a model.</summary>
    /// <param name="path">The file.</param>
    /// <param name="folder">A folder that specifies no tokenizer class; null uses the file alone.</param>
    /// <exception cref="InputException">The file is damaged.</exception>
    public static SentencePieceModel Read(string path, string? folder)
    {
        SentencePieceFile file = SentencePieceFile.Read(path);
        var vocabulary = new Dictionary<string, int>();
        for (int i = 0; i < file.Pieces.Count; i++) vocabulary.TryAdd(file.Pieces[i].Text, i);
        Dictionary<string, string> roles = Roles(file, vocabulary);
        var (normalizer, decoder) = (new SentencePieceNormalizer(file), new SentencePieceDecoder(file));
        // Sentencepiece itself never finds special tokens in a text.
        if (folder is null)
            return new SentencePieceModel(
                Pieces(file, vocabulary), TokenizerFolder.Empty with { SpecialTokens = roles }, [], normalizer,
                SpecialTokenFrame.None, decoder);
        var files = new ClassFolder(folder);
        var tokens = new ClassTokens(files, roles, vocabulary);
        SpecialTokenFrame frame = files.Model["model_type"] is null ? SpecialTokenFrame.None
            : tokens.BeginAndEnd(addsBegin: true);
        return new SentencePieceModel(
            Pieces(file, vocabulary), TokenizerFolder.Read(folder) with { SpecialTokens = tokens.Roles }, tokens.Added,
            normalizer, frame, decoder);
    }

    private static Dictionary<string, string> Roles(SentencePieceFile file, Dictionary<string, int> vocabulary)
    {
        var roles = new Dictionary<string, string>();
        foreach (
            (string role, string token) in new[] { ("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"),
            ("pad_token", "<pad>") })
            if (vocabulary.TryGetValue(token, out int id) && file.Pieces[id].Kind is PieceKind.Control
                or PieceKind.Unknown)
                roles[role] = token;
        return roles;
    }

    private static ITokenModel Pieces(SentencePieceFile file, Dictionary<string, int> vocabulary)
    {
        if (file.MergesPairs) return new SentencePieceMerges(file, vocabulary);
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
            if (kind == PieceKind.Normal) pieces.TryAdd(text, (i, score));
            // A user-defined piece takes precedence over all other segmentations.
            else if (kind == PieceKind.UserDefined)
                pieces.TryAdd(text, (i, (float)(System.Text.Encoding.UTF8.GetByteCount(text) * most - 0.1)));
        }
        int unknown = file.Pieces.FindIndex(piece => piece.Kind == PieceKind.Unknown);
        return new UnigramModel(vocabulary, pieces, new UnigramSettings(unknown < 0 ? null : unknown, least)
        {
            FallsBackToBytes = file.FallsBackToBytes,
            SumsInSingle = true,
            FusesUnknown = !file.FallsBackToBytes,
        });
    }
}
