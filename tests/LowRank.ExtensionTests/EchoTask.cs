using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Tasks;
using LowRank.Tokenizers;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.ExtensionTests;

/// <summary>A task of another program: each text is learned once forward and once backward.</summary>
internal sealed class EchoKind : ITaskKind
{
    public string Name => "echo";

    public HeadKind Head => HeadKind.LanguageModel;

    public IReadOnlyList<string> Options => [];

    public bool Fits(IModelFamily family) => family is DecoderFamily;

    public TaskSettings Complete(TaskSettings settings, RowSource data, ConfigReader config) => settings;

    public int HeadSize(TaskSettings settings) => 0;

    public ITask Start(PretrainedModel model, Tokenizer? tokenizer, TaskSettings settings) =>
        new EchoTask(TaskRegistry.Get(TaskRegistry.Default).Start(model, tokenizer, settings));
}

internal sealed class EchoTask(ITask inner) : ITask
{
    public INetwork Network => inner.Network;

    public TaskData Read(RowSource source)
    {
        TaskData data = inner.Read(source);
        IEnumerable<IExample> backward = data.Examples.Cast<TokenizedExample>().Select(
            example => new TokenizedExample([.. example.InputIds.Reverse()], [.. example.Labels.Reverse()]));
        return data with { Examples = [.. data.Examples, .. backward] };
    }

    public Tensor Sum(IReadOnlyList<IExample> rows, Generator? dropout, IMetricAccumulator? board = null) =>
        inner.Sum(rows, dropout, board);

    public IMetricAccumulator? NewBoard() => inner.NewBoard();

    public IEnumerable<JsonObject> Predict(RowSource source, int batchSize, ICollection<Words>? notes = null) =>
        Read(source).Examples.Select(example => new JsonObject { ["tokens"] = example.Length });

    public AdapterTask Describe() => new("echo");
}
