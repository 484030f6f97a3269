using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.IO;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Tasks;

/// <summary>A BERT of a few hundred random weights with a vocabulary of words, and a file of rows for its
/// tasks.</summary>
internal sealed class TinyTask : IDisposable
{
    public const string Bert = """
        {"model_type": "bert", "vocab_size": 32, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
         "max_position_embeddings": 16, "type_vocab_size": 2, "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0}
        """;

    private static readonly string[] Words =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "alice", "in", "rome", "i", "met", "bob", "good", "bad", "new",
        "lives", "東", "京", "iphone14", "where", "?", ".", "al", "##ice", "paris", "the", "tower", "is", "today", "!",
        "with", "then", "u"];

    private readonly TemporaryFolder folder = new();

    public TinyTask(string config = Bert)
    {
        File.WriteAllText(folder["config.json"], config);
        File.WriteAllLines(folder["vocab.txt"], Words);
        File.WriteAllText(folder["tokenizer_config.json"], """{"tokenizer_class": "BertTokenizer"}""");
        Tokenizer = Tokenizer.Load(folder.Path);
    }

    public string Path => folder.Path;

    public Tokenizer Tokenizer { get; }

    public ConfigReader Config => ConfigReader.Open(folder["config.json"]);

    /// <summary>Writes rows, JSON Lines unless the name says otherwise.</summary>
    public RowSource Rows(IEnumerable<string> rows, string name = "rows.jsonl", BadRows onBadRow = BadRows.Error)
    {
        File.WriteAllLines(folder[name], rows);
        return RowSource.From([folder[name]], new RowOptions { OnBadRow = onBadRow });
    }

    /// <summary>The settings that the task makes of the data.</summary>
    public TaskSettings Complete(string task, RowSource rows, TaskSettings? settings = null) =>
        TaskRegistry.Get(task).Complete(settings ?? new TaskSettings(), rows, Config);

    /// <summary>The model with a random head for a task; the caller disposes of it.</summary>
    public PretrainedModel Model(string task, TaskSettings settings) =>
        PretrainedModel.FromScratch(
            folder.Path, 1,
            head: new HeadRequest(TaskRegistry.Get(task).Head, TaskRegistry.Get(task).HeadSize(settings)));

    /// <summary>Writes the model's weights beside its config.</summary>
    public void Save(PretrainedModel model)
    {
        using var scope = NewDisposeScope();
        SafeTensorsWriter.Write(
            folder["model.safetensors"],
            [.. model.Network.Parameters.Select(weight => KeyValuePair.Create(weight.Key, weight.Value.detach()))]);
    }

    public ITask Start(string task, PretrainedModel model, TaskSettings settings) =>
        TaskRegistry.Get(task).Start(model, Tokenizer, settings);

    public void Dispose() => folder.Dispose();
}
