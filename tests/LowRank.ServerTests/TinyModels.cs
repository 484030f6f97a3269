using System.Text.Json.Nodes;
using LowRank.Tokenizers;

namespace LowRank.ServerTests;

/// <summary>Very small models with tokenizers, in folders: a llama that writes bytes in a chat template with tools, and
/// BERTs that embed, label and score.</summary>
public sealed class TinyModels : IDisposable
{
    /// <summary>Most tokens of the writer's texts.</summary>
    public const int Context = 512;

    private const string ChatTemplate = "chat_template.jinja";

    private readonly TemporaryFolder folder = new();

    public TinyModels()
    {
        Copy("llama", Writer, ("max_position_embeddings", Context));
        File.WriteAllText(Path.Combine(Writer, "tokenizer.json"), BytePairTrainer.Train(["a b c"], 256, []));
        File.Copy(
            Path.Combine(RepositoryFiles.Root, "tests", "clients", ChatTemplate), Path.Combine(Writer, ChatTemplate));
        CopyFolder(Writer, Thinker);
        string template = File.ReadAllText(Path.Combine(Writer, ChatTemplate));
        File.WriteAllText(Path.Combine(Thinker, ChatTemplate),
            template.Replace("'assistant:'", "'assistant:<think>\\n'", StringComparison.Ordinal));
        foreach ((string golden, string to) in new[]
            { ("bert_masked_lm", Encoder), ("bert_regression", Scorer), ("bert", Labeller) })
        {
            Copy(golden, to);
            File.WriteAllLines(Path.Combine(to, "vocab.txt"), Words());
            File.WriteAllText(Path.Combine(to, "tokenizer_config.json"), """{"tokenizer_class": "BertTokenizer"}""");
        }
        foreach (string name in new[] { "lora", "start", "trained" }) CopyFolder(Golden("llama", name), folder[name]);
    }

    /// <summary>A llama.</summary>
    public string Writer => folder["writer"];

    /// <summary>The llama with a chat template in which replies begin with thoughts.</summary>
    public string Thinker => folder["thinker"];

    /// <summary>A BERT without a head for texts.</summary>
    public string Encoder => folder["encoder"];

    /// <summary>A BERT that gives a score to a pair of texts.</summary>
    public string Scorer => folder["scorer"];

    /// <summary>A BERT that labels texts.</summary>
    public string Labeller => folder["labeller"];

    /// <summary>Adapters of the writer; the folder that holds them is the root for those that are loaded.</summary>
    public string Adapter => folder["lora"];

    public string OtherAdapter => folder["trained"];

    public string Root => folder.Path;

    public string this[string name] => folder[name];

    public static string Golden(params string[] parts) => Path.Combine(
        [RepositoryFiles.Root, "tests", "LowRank.ParityTests", "Fixtures", "goldens", .. parts]);

    public static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from)) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    public void Dispose() => folder.Dispose();

    private static void Copy(string golden, string to, params (string Key, int Value)[] changes)
    {
        Directory.CreateDirectory(to);
        File.Copy(Golden(golden, "model.safetensors"), Path.Combine(to, "model.safetensors"));
        JsonObject config = JsonNode.Parse(File.ReadAllText(Golden(golden, "config.json")))!.AsObject();
        foreach ((string key, int value) in changes) config[key] = value;
        File.WriteAllText(Path.Combine(to, "config.json"), config.ToJsonString());
    }

    // As many as the BERTs have.
    private static IEnumerable<string> Words() =>
    [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
        .. "abcdefghijklmnopqrstuvwxyz".Select(letter => $"{letter}"),
        .. "abcdefghijklmnopqrstuvwxyz".Select(letter => $"##{letter}"),
        .. Enumerable.Range(0, 200 - 57).Select(number => $"[unused{number}]"),
    ];
}
