using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Models;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.PostProcessors;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Classes;

/// <summary>The tokenizer classes that read <c>vocab.json</c> and <c>merges.txt</c>: BPE on bytes (transformers
/// 5.12).</summary>
internal static class BytePairClasses
{
    private const string Vocabulary = "vocab.json", Merges = "merges.txt", EndOfText = "<|endoftext|>";
    private static readonly string[] Framing = ["cls_token", "sep_token"];

    private static readonly Dictionary<string, string> OfGpt2 =
        new() { ["bos_token"] = EndOfText, ["eos_token"] = EndOfText, ["unk_token"] = EndOfText };

    private static readonly Dictionary<string, string> OfRoberta = new()
    {
        ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>", ["sep_token"] = "</s>",
            ["pad_token"] = "<pad>", ["cls_token"] = "<s>", ["mask_token"] = "<mask>",
    };

    private static readonly Dictionary<string, string> OfDeberta = new()
    {
        ["bos_token"] = "[CLS]", ["eos_token"] = "[SEP]", ["unk_token"] = "[UNK]", ["sep_token"] = "[SEP]",
            ["pad_token"] = "[PAD]", ["cls_token"] = "[CLS]", ["mask_token"] = "[MASK]",
    };

    private static readonly Dictionary<string, string> OfCohere = new()
    {
        ["bos_token"] = "<BOS_TOKEN>", ["eos_token"] = "<|END_OF_TURN_TOKEN|>", ["unk_token"] = "<UNK>",
            ["sep_token"] = "<SEP>", ["pad_token"] = "<PAD>",
        ["cls_token"] = "<CLS>", ["mask_token"] = "<MASK_TOKEN>",
    };

    /// <summary>The classes by name.</summary>
    public static IReadOnlyDictionary<string, TokenizerClass> All { get; } =
        new Dictionary<string, Func<ClassFolder, ClassParts>>
    {
        ["GPT2Tokenizer"] = folder => Make(folder, OfGpt2),
        ["CodeGenTokenizer"] = folder => Make(folder, OfGpt2),
        ["GPTNeoXTokenizer"] = folder =>
            Make(folder, new(OfGpt2) { ["pad_token"] = "<|padding|>" }) with { Normalizer = Nfc(folder) },
        ["Qwen2Tokenizer"] = folder =>
            Make(folder, new() { ["eos_token"] = EndOfText, ["unk_token"] = EndOfText, ["pad_token"] = EndOfText }) with
        {
            Normalizer = Nfc(folder),
            PreTokenizer = new SequencePreTokenizer(
                [new SplitPreTokenizer(SplitPatterns.Qwen2, SplitBehavior.Isolated, invert: false),
                Bytes(folder, splits: false)]),
        },
        ["CohereTokenizer"] = folder => Make(folder, OfCohere) with
        {
            Normalizer = Nfc(folder),
            PreTokenizer = new SequencePreTokenizer(
                [PreTokenizerReader.Read(folder.Component("""{"type": "Digits", "individual_digits": true}""")),
                Bytes(folder)]),
        },
        ["BlenderbotTokenizer"] = folder => Make(folder, OfRoberta, prefixSpace: true, takesBlank: true),
        ["RobertaTokenizer"] = folder =>
            WithFrame(Make(folder, OfRoberta), (begin, end) => PostProcessorReader.Roberta(begin, end) with
        {
            TrimsOffsets = folder.Config.Flag("trim_offsets", true),
            AddsPrefixSpace = folder.Config.Flag("add_prefix_space", false),
        }),
        ["DebertaTokenizer"] = folder =>
            WithFrame(Make(folder, OfDeberta),
            (begin, end) => PostProcessorReader.Roberta(begin, end) with { BareType = 1 }),
    }.ToDictionary(entry => entry.Key, entry => new TokenizerClass([Vocabulary, Merges], entry.Value));

    private static ClassParts Make(
        ClassFolder folder, Dictionary<string, string> roles, bool prefixSpace = false, bool takesBlank = false)
    {
        BytePairModel model = BytePairReader.Read(folder.At(Vocabulary), folder.At(Merges));
        Func<string, string, AddedToken>? plain = takesBlank ? (role, text) =>
            ClassTokens.Special(text) with { StripsLeft = role == "mask_token" } : null;
        var tokens = new ClassTokens(folder, roles, model.Vocabulary, plain);
        return new ClassParts(
            model, tokens, tokens.BeginAndEnd(),
            new ByteLevelDecoder()) { PreTokenizer = Bytes(folder, prefixSpace: prefixSpace) };
    }

    // The classes of encoders add special tokens around a text, independently of the start and end settings in the
    // files.
    private static ClassParts WithFrame(ClassParts parts, Func<int, int, SpecialTokenFrame> frame)
    {
        parts.Tokens.Require(Framing, Vocabulary);
        return parts with { Frame = frame(parts.Tokens.Id("cls_token")!.Value, parts.Tokens.Id("sep_token")!.Value) };
    }

    private static ByteLevelPreTokenizer Bytes(ClassFolder folder, bool splits = true, bool prefixSpace = false) =>
        new(folder.Config.Flag("add_prefix_space", prefixSpace), splits);

    private static INormalizer Nfc(ClassFolder folder) =>
        NormalizerReader.Read(folder.Component("""{"type": "NFC"}"""));
}
