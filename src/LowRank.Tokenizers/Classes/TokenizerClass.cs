using System.Text.Json.Nodes;

namespace LowRank.Tokenizers.Classes;

/// <summary>A tokenizer class of transformers for files that predate tokenizer.json: its name determines how it
/// processes text, and the files contain the rest.</summary>
/// <param name="Files">The files that it needs.</param>
/// <param name="Build">Creates the tokenizer of a folder.</param>
internal sealed record TokenizerClass(IReadOnlyList<string> Files, Func<ClassFolder, ClassParts> Build)
{
    private static readonly Dictionary<string, TokenizerClass> Known =
        new[] { BytePairClasses.All, WordPieceClasses.All, SentencePieceClasses.All }
        .SelectMany(classes => classes).ToDictionary(entry => entry.Key, entry => entry.Value);

    // transformers' other names for the same class.
    private static readonly Dictionary<string, string> SameAs = Names(new()
    {
        ["RobertaTokenizer"] = "BartTokenizer LongformerTokenizer LEDTokenizer MvpTokenizer",
        ["BertTokenizer"] =
            "DistilBertTokenizer ElectraTokenizer MobileBertTokenizer SqueezeBertTokenizer ConvBertTokenizer " +
            "LxmertTokenizer " +
            "LayoutLMTokenizer RetriBertTokenizer",
    });

    // The class for a model_type if tokenizer_config.json specifies none (transformers 5.12, tokenization_auto.py).
    private static readonly Dictionary<string, string> ByModelType = Names(new()
    {
        ["GPT2Tokenizer"] = "gpt2 gpt_bigcode gpt_neo gptj opt phi codegen starcoder2 dbrx flex_olmo jais2",
        ["GPTNeoXTokenizer"] = "gpt_neox falcon_mamba mamba mamba2 mpt olmo olmo2 olmoe rwkv stablelm xlstm",
        ["RobertaTokenizer"] = "roberta roberta-prelayernorm bart longformer led mvp ibert data2vec-text lilt mega mra",
        ["Qwen2Tokenizer"] = "qwen2 qwen2_moe qwen2_vl qwen2_5_vl qwen3 qwen3_moe qwen3_next qwen3_vl",
        ["BlenderbotTokenizer"] = "blenderbot",
        ["DebertaTokenizer"] = "deberta",
        ["CohereTokenizer"] = "cohere cohere2",
        ["BertTokenizer"] =
            "bert distilbert electra mobilebert squeezebert convbert lxmert layoutlm ernie megatron-bert nezha " +
            "nomic_bert visual_bert",
        ["MPNetTokenizer"] = "mpnet",
        ["FunnelTokenizer"] = "funnel",
        ["T5Tokenizer"] = "t5 mt5 umt5 switch_transformers",
        ["XLMRobertaTokenizer"] = "xlm-roberta xlm-roberta-xl xmod",
        ["GemmaTokenizer"] = "gemma gemma2 gemma3 gemma3_text recurrent_gemma t5gemma",
    });

    // Model types whose folders on the Hub specify a class that transformers knows to be wrong.
    private static readonly HashSet<string> WronglyNamed = ["qwen2"];

    /// <summary>Reads a folder without tokenizer.json; null if nothing in it specifies a class.</summary>
    /// <exception cref="InputException">The class is unknown, its files are missing, or they contradict each
    /// other.</exception>
    public static ClassParts? Read(string folder)
    {
        var files = new ClassFolder(folder);
        string? modelType = Text(files.Model, "model_type"), byType = modelType is null ? null
            : ByModelType.GetValueOrDefault(modelType);
        string? named = Text(files.Config.Json, "tokenizer_class") ?? Text(files.Model, "tokenizer_class");
        if (named is null && byType is null)
        {
            if (modelType is null || SentencePieceModel.Find(folder) is not null) return null;
            throw new InputException(
                $"{folder} has no tokenizer.json, and model_type \"{modelType}\" does not say which class reads " +
                $"{Present(folder)}. " +
                $"Name it as tokenizer_class in tokenizer_config.json; supported: {Supported}.");
        }
        string name = modelType is not null && WronglyNamed.Contains(modelType) ? byType! : Plain(named ?? byType!);
        string place = named is null ? $"model_type \"{modelType}\" in config.json means" : "tokenizer_class is";
        if (!Known.TryGetValue(SameAs.GetValueOrDefault(name, name), out TokenizerClass? found))
            throw new InputException(
                $"{folder} has no tokenizer.json, and {place} {name}, which is not supported without one; " +
                $"supported: {Supported}. " +
                "Save the tokenizer with transformers (AutoTokenizer.from_pretrained(…).save_pretrained(…)) to get " +
                    "a tokenizer.json.");
        string[] missing = [.. found.Files.Where(file => !File.Exists(Path.Combine(folder, file)))];
        if (missing.Length > 0)
            throw new InputException(
                $"{folder} lacks {string.Join(" and ", missing)}: {place} {name}, which reads " +
                $"{string.Join(" and ", found.Files)}; found: {Present(folder)}. " +
                "Copy the model's tokenizer files, or correct tokenizer_class in tokenizer_config.json.");
        return found.Build(files);
    }

    /// <summary>Builds a tokenizer from a folder's files with a class given by the caller, if the files specify
    /// none.</summary>
    public static ClassParts Read(string folder, string name) => Known[name].Build(new ClassFolder(folder));

    private static string Supported => string.Join(", ", Known.Keys.Concat(SameAs.Keys).Order(StringComparer.Ordinal));

    private static string Present(string folder) => string.Join(", ", new[] { "vocab.json", "merges.txt", "vocab.txt" }
        .Concat(SentencePieceModel.FileNames).Where(file => File.Exists(Path.Combine(folder, file))));

    private static string Plain(string name) => name.EndsWith("Fast", StringComparison.Ordinal) ? name[..^4] : name;

    private static string? Text(JsonObject json, string key) =>
        json[key] is JsonValue value && value.TryGetValue(out string? text) && text.Length > 0 ? text : null;

    private static Dictionary<string, string> Names(Dictionary<string, string> byClass) =>
        byClass.SelectMany(entry => entry.Value.Split(' ').Select(name => (Name: name, Class: entry.Key)))
            .ToDictionary(entry => entry.Name, entry => entry.Class);
}
