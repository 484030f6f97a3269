using System.Text;
using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Models;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.PostProcessors;
using LowRank.Tokenizers.PreTokenizers;
using LowRank.Tokenizers.SentencePiece;

namespace LowRank.Tokenizers.Classes;

/// <summary>The tokenizer classes that read a sentencepiece model (transformers 5.12). They use its pieces and its
/// character map, but have their own rules for spaces.</summary>
internal static class SentencePieceClasses
{
    private const string LlamaFile = "tokenizer.model", T5File = "spiece.model",
        XlmRobertaFile = "sentencepiece.bpe.model";

    private const string Bytes =
        """{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}""";

    private static readonly Dictionary<string, string> OfLlama =
        new() { ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>" };

    private static readonly Dictionary<string, string> OfGemma = new()
    {
        ["bos_token"] = "<bos>", ["eos_token"] = "<eos>", ["unk_token"] = "<unk>", ["pad_token"] = "<pad>",
            ["mask_token"] = "<mask>",
    };

    private static readonly Dictionary<string, string> OfT5 =
        new() { ["eos_token"] = "</s>", ["unk_token"] = "<unk>", ["pad_token"] = "<pad>" };

    private static readonly Dictionary<string, string> OfXlmRoberta = new()
    {
        ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>", ["sep_token"] = "</s>",
            ["pad_token"] = "<pad>", ["cls_token"] = "<s>", ["mask_token"] = "<mask>",
    };

    /// <summary>The classes by name.</summary>
    public static IReadOnlyDictionary<string, TokenizerClass> All { get; } = new Dictionary<string, TokenizerClass>
    {
        ["LlamaTokenizer"] = new([LlamaFile], Llama),
        ["GemmaTokenizer"] = new([LlamaFile], Gemma),
        ["T5Tokenizer"] = new([T5File], T5),
        ["XLMRobertaTokenizer"] = new([XlmRobertaFile], XlmRoberta),
    };

    private static ClassParts Llama(ClassFolder folder)
    {
        SentencePieceFile file = SentencePieceFile.Read(folder.At(LlamaFile));
        Dictionary<string, int> vocabulary = Numbered(file);
        bool prefix = folder.Config.Flag("add_prefix_space", true);
        string scheme = !prefix ? "never" : folder.Config.Flag("legacy", false) ? "always" : "first";
        var tokens = new ClassTokens(folder, OfLlama, vocabulary, extra: Found(file));
        string strip = prefix ? """, {"type": "Strip", "content": " ", "start": 1, "stop": 0}""" : "";
        return new ClassParts(Merging(file, vocabulary, unknown: null), tokens, tokens.BeginAndEnd(),
            DecoderReader.Read(folder.Component($$"""{"type": "Sequence", "decoders": [{{Bytes}}{{strip}}]}""")))
        {
            PreTokenizer =
                new MetaspacePreTokenizer(folder.Component($$"""{"prepend_scheme": "{{scheme}}", "split": false}""")),
        };
    }

    private static ClassParts Gemma(ClassFolder folder)
    {
        SentencePieceFile file = SentencePieceFile.Read(folder.At(LlamaFile));
        Dictionary<string, int> vocabulary = Numbered(file);
        var tokens = new ClassTokens(folder, OfGemma, vocabulary, extra: Found(file));
        string? unknown = tokens.Roles.TryGetValue("unk_token", out string? text) && vocabulary.ContainsKey(text)
            ? text : null;
        return new ClassParts(Merging(file, vocabulary, unknown), tokens, tokens.BeginAndEnd(),
            DecoderReader.Read(folder.Component($$"""{"type": "Sequence", "decoders": [{{Bytes}}]}""")))
        {
            Normalizer = NormalizerReader.Read(
                folder.Component("""{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}""")),
        };
    }

    private static ClassParts T5(ClassFolder folder)
    {
        SentencePieceFile file = SentencePieceFile.Read(folder.At(T5File));
        string[] sentinels =
            [.. Enumerable.Range(0, folder.Config.NumberOr("extra_ids", 100)).Select(i => $"<extra_id_{i}>")];
        (string, float)[] pieces =
            [.. file.Pieces.Select(piece => (piece.Text, piece.Score)),
            .. sentinels.Reverse().Select(token => (token, 0f))];
        UnigramModel model =
            Unigram(pieces, Math.Max(file.Pieces.FindIndex(piece => piece.Kind == PieceKind.Unknown), 0));
        var tokens = new ClassTokens(
            folder, OfT5, model.Vocabulary, extra: [.. Found(file), .. sentinels.Select(ClassTokens.Special)]);
        tokens.Require(["eos_token"], T5File);
        TemplatePart end = new(null, [tokens.Id("eos_token")!.Value], 0), first = new(0, [], 0), second = new(1, [], 0);
        return Words(folder, file, model, tokens, new SpecialTokenFrame([first, end], [first, end, second, end]),
            prefix: true);
    }

    // fairseq's four tokens come first, then every piece except sentencepiece's own three.
    private static ClassParts XlmRoberta(ClassFolder folder)
    {
        SentencePieceFile file = SentencePieceFile.Read(folder.At(XlmRobertaFile));
        (string, float)[] pieces =
            [("<s>", 0), ("<pad>", 0), ("</s>", 0), ("<unk>", 0),
            .. file.Pieces.Skip(3).Select(piece => (piece.Text, piece.Score)), ("<mask>", 0)];
        UnigramModel model = Unigram(pieces, unknown: 3);
        var tokens = new ClassTokens(folder, OfXlmRoberta, model.Vocabulary, extra: Found(file));
        tokens.Require(["bos_token", "eos_token"], XlmRobertaFile);
        TemplatePart begin = new(null, [tokens.Id("bos_token")!.Value], 0),
            end = new(null, [tokens.Id("eos_token")!.Value], 0), first = new(0, [], 0), second = new(1, [], 0);
        return Words(folder, file, model, tokens,
            new SpecialTokenFrame([begin, first, end], [begin, first, end, end, second, end]),
            folder.Config.Flag("add_prefix_space", true));
    }

    // Separates words and puts ▁ before each.
    private static ClassParts Words(ClassFolder folder, SentencePieceFile file, UnigramModel model, ClassTokens tokens,
        SpecialTokenFrame frame, bool prefix)
    {
        ComponentJson metaspace =
            folder.Component($$"""{"type": "Metaspace", "prepend_scheme": "{{(prefix ? "always" : "never")}}"}""");
        return new ClassParts(model, tokens, frame, DecoderReader.Read(metaspace))
        {
            Normalizer = file.Map is { } map ? new PrecompiledNormalizer(map) : null,
            PreTokenizer = new SequencePreTokenizer(
                [PreTokenizerReader.Read(folder.Component("""{"type": "WhitespaceSplit"}""")),
                new MetaspacePreTokenizer(metaspace)]),
        };
    }

    private static Dictionary<string, int> Numbered(SentencePieceFile file)
    {
        var vocabulary = new Dictionary<string, int>(file.Pieces.Count);
        for (int i = 0; i < file.Pieces.Count; i++) vocabulary[file.Pieces[i].Text] = i;
        return vocabulary;
    }

    // Pieces that match their literal text.
    private static IEnumerable<AddedToken> Found(SentencePieceFile file) =>
        file.Pieces.Where(piece => piece.Kind is PieceKind.Control or PieceKind.UserDefined)
        .Select(piece => ClassTokens.Special(piece.Text) with { IsSpecial = piece.Kind == PieceKind.Control });

    private static UnigramModel Unigram((string Text, float Score)[] pieces, int unknown)
    {
        var vocabulary = new Dictionary<string, int>(pieces.Length);
        var scores = new Dictionary<string, (int, double)>(pieces.Length);
        for (int i = 0; i < pieces.Length; i++)
            (vocabulary[pieces[i].Text], scores[pieces[i].Text]) = (i, (i, pieces[i].Score));
        return new UnigramModel(vocabulary, scores, new UnigramSettings(unknown, pieces.Min(piece => piece.Score)));
    }

    // Every split of a piece into two pieces is a merge; merges are ordered by piece, with the shortest left part
    // first.
    private static BytePairModel Merging(SentencePieceFile file, Dictionary<string, int> vocabulary, string? unknown)
    {
        List<(string, string)> merges = [];
        var known = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        for (int i = 0; i < file.Pieces.Count; i++)
        {
            string piece = file.Pieces[i].Text;
            if (vocabulary[piece] != i) continue;
            for (int cut = 1; cut < piece.Length; cut++)
                if (known.ContainsKey(piece.AsSpan(0, cut)) && known.ContainsKey(piece.AsSpan(cut)))
                    merges.Add((piece[..cut], piece[cut..]));
        }
        return new BytePairModel(
            vocabulary, merges,
            new BytePairSettings { UnknownToken = unknown, FusesUnknown = true, FallsBackToBytes = true }, file.Path);
    }
}
