using System.Text.Json.Nodes;
using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Models;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.PostProcessors;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Classes;

/// <summary>The tokenizer classes that read <c>vocab.txt</c>: BERT's word pieces (transformers 5.12).</summary>
internal static class WordPieceClasses
{
    /// <summary>The file name of the vocabulary.</summary>
    public const string FileName = "vocab.txt";

    private static readonly string[] Needed = ["unk_token", "cls_token", "sep_token"];

    private static readonly Dictionary<string, string> OfBert = new()
    {
        ["unk_token"] = "[UNK]", ["sep_token"] = "[SEP]", ["pad_token"] = "[PAD]", ["cls_token"] = "[CLS]",
            ["mask_token"] = "[MASK]",
    };

    private static readonly Dictionary<string, string> OfMpnet = new()
    {
        ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["unk_token"] = "[UNK]", ["sep_token"] = "</s>",
            ["pad_token"] = "<pad>", ["cls_token"] = "<s>", ["mask_token"] = "<mask>",
    };

    private static readonly Dictionary<string, string> OfFunnel = new()
    {
        ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>", ["sep_token"] = "<sep>",
            ["pad_token"] = "<pad>", ["cls_token"] = "<cls>", ["mask_token"] = "<mask>",
    };

    /// <summary>The classes by name.</summary>
    public static IReadOnlyDictionary<string, TokenizerClass> All { get; } =
        new Dictionary<string, Func<ClassFolder, ClassParts>>
    {
        ["BertTokenizer"] = folder => Make(folder, OfBert, PostProcessorReader.Bert),
        ["MPNetTokenizer"] = folder => Make(folder, OfMpnet, PostProcessorReader.Mpnet,
            (role, text) => ClassTokens.Special(text) with { StripsLeft = role == "mask_token" }),
        ["FunnelTokenizer"] = folder => Make(folder, OfFunnel, PostProcessorReader.Funnel),
    }.ToDictionary(entry => entry.Key, entry => new TokenizerClass([FileName], entry.Value));

    private static ClassParts Make(
        ClassFolder folder, Dictionary<string, string> roles, Func<int, int, SpecialTokenFrame> frame,
        Func<string, string, AddedToken>? plain = null)
    {
        Dictionary<string, int> vocabulary = VocabularyReader.ReadLines(folder.At(FileName));
        var tokens = new ClassTokens(folder, roles, vocabulary, plain);
        tokens.Require(Needed, FileName);
        string unknown = tokens.Roles["unk_token"];
        vocabulary.TryAdd(unknown, tokens.Id("unk_token")!.Value);
        JsonNode? Said(string key) => folder.Config.Json[key]?.DeepClone();
        var normalizer = new ComponentJson(new JsonObject
        {
            ["type"] = "BertNormalizer",
            ["clean_text"] = Said("clean_text") ?? true,
            ["handle_chinese_chars"] = Said("tokenize_chinese_chars") ?? true,
            ["strip_accents"] = Said("strip_accents"),
            ["lowercase"] = Said("do_lower_case") ?? true,
        }, folder.Config.Place);
        return new ClassParts(new WordPieceModel(vocabulary, unknown, "##", 100, folder.At(FileName)), tokens,
            frame(tokens.Id("cls_token")!.Value, tokens.Id("sep_token")!.Value),
                DecoderReader.Read(folder.Component("""{"type": "WordPiece"}""")))
        {
            Normalizer = NormalizerReader.Read(normalizer),
            PreTokenizer = PreTokenizerReader.Read(folder.Component("""{"type": "BertPreTokenizer"}""")),
        };
    }
}
