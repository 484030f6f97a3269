using LowRank.Adapters;
using LowRank.IO;
using LowRank.IO.Onnx;
using LowRank.Models;
using LowRank.Models.Onnx;
using LowRank.Models.Sentences;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Onnx;

/// <summary>Sentence vectors in ONNX Runtime: pooling and what follows it.</summary>
public sealed class OnnxSentenceTests
{
    private const double Tolerance = 1e-5; // absolute, float32, on a few layers

    private static readonly string Fixtures = Path.Combine(AppContext.BaseDirectory, "Fixtures");

    public static TheoryData<string> Modes => [.. SentenceFolder.ModeNames];

    public static TheoryData<string> Activations => [.. DenseLayer.Activations];

    [Fact]
    public void An_adapter_for_embeddings_gives_the_references_vectors()
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden("roberta_embedding", device: CPU);
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "trained"), golden.Model);
        adapter.Task = new AdapterTask("embedding") { Pooling = "mean" };
        AdapterMerge.WriteOnnx(golden.Model, [(adapter, 1)], folder["onnx"]);
        using var session = new OnnxSession(Path.Combine(folder["onnx"], "model.onnx"));
        using var scope = NewDisposeScope();
        Tensor tokens = golden.Read("input_ids"), mask = golden.Read("attention_mask");
        Dictionary<string, Tensor> found =
            session.Run(OnnxModelTests.Inputs(session, tokens, mask, zeros_like(tokens)));
        Assert.Equal(["last_hidden_state", "sentence_embedding"], session.Outputs);
        Assert.InRange(
            Golden.LargestDeviation(golden.Read("embeddings.trained"), found["sentence_embedding"]), 0, Tolerance);
        Assert.True(File.Exists(Path.Combine(folder["onnx"], "modules.json")));
    }

    [Theory, MemberData(nameof(Modes))]
    public void Each_way_to_pool_gives_the_same_vectors(string mode) =>
        Compare(new SentencePipeline(4, [SentenceFolder.Mode(mode)], []));

    [Theory, MemberData(nameof(Activations))]
    public void A_dense_layer_gives_the_same_vectors(string activation)
    {
        float[] weight = [.. Enumerable.Range(0, 12).Select(i => MathF.Sin(i))];
        Compare(new SentencePipeline(4, [Pooling.Mean],
            [new DenseLayer(weight, [1, 0, -1], weight.Reverse().ToArray(), activation, 4), new NormalizeLayer()]));
        Compare(new SentencePipeline(4, [Pooling.Mean],
            [new DenseLayer([.. weight, 0, 1, 2, 3], null, [], activation, 4),
                new DenseLayer(weight, null, null, activation, 4)]));
    }

    [Fact]
    public void Several_modes_and_modules_give_the_same_vectors()
    {
        Compare(SentenceFolder.Read(Path.Combine(Fixtures, "sentences", "folder"))!);
        Compare(new SentencePipeline(
            4, [Pooling.Max, Pooling.First], [new SentenceLayerNorm([1, 2, 3, 4, 5, 6, 7, 8], new float[8])]));
    }

    [Fact]
    public void Vectors_that_depend_on_a_prompt_are_refused()
    {
        using PretrainedModel model = PretrainedModel.Open(Path.Combine(Fixtures, "goldens", "roberta_embedding"));
        SentencePipeline pipeline = SentencePipeline.Plain(32, Pooling.Mean) with
        {
            IncludesPrompt = false, Prompts = new Dictionary<string, string> { ["query"] = "find: " },
        };
        Assert.Contains("leave out the tokens of a prompt", Assert.Throws<InputException>(
            () => OnnxEncoder.Build(model, new Dictionary<string, LazyWeight>(), pipeline)).Message,
            StringComparison.Ordinal);
    }

    private static void Compare(SentencePipeline pipeline)
    {
        using var folder = new TemporaryFolder();
        var graph = new OnnxGraph();
        string states = graph.Input("states", ScalarType.Float32, "batch", "sequence", 4),
            mask = graph.Input("mask", ScalarType.Int64, "batch", "sequence"),
            indices = graph.Input("indices", ScalarType.Int64, "sequence");
        graph.Output("vectors",
            new OnnxPooling(graph, states, mask, indices).OfSentence(pipeline), "batch", pipeline.OutputWidth);
        OnnxFile.Write(folder.Path, graph);
        using var session = new OnnxSession(folder["model.onnx"]);
        using var scope = NewDisposeScope();
        using Generator generator = new(3);
        Tensor values = randn([4, 6, 4], generator: generator), kept = ones(4, 6, ScalarType.Int64);
        foreach (Tensor hidden in new[] { kept[1].narrow(0, 4, 2), kept[2].narrow(0, 0, 3), kept[3].narrow(0, 1, 5) })
            hidden.zero_();
        Tensor expected = pipeline.Apply(values, kept), found = session.Run(new Dictionary<string, Tensor>
        {
            ["states"] = values, ["mask"] = kept, ["indices"] = Indices(0, 6),
        })["vectors"];
        Assert.Equal(expected.shape, found.shape);
        Assert.InRange(Golden.LargestDeviation(expected, found), 0, Tolerance);
    }
}
