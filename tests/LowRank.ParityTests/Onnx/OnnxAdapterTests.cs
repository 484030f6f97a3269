using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.IO.Onnx;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Onnx;

/// <summary>Adapters that ONNX Runtime loads.</summary>
public sealed class OnnxAdapterTests
{
    private static readonly string Goldens = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens");

    [Theory, InlineData("llama", "llama/lora"), InlineData("gpt2", "gpt2/lora"), InlineData("qwen2", "variants/rslora"),
        InlineData("qwen2", "variants/patterns"), InlineData("qwen2", "variants/all_linear")]
    public void Each_layer_gives_the_same_in_ONNX_Runtime(string family, string path)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string source = Path.Combine(Goldens, path);
        OnnxAdapter.FromPeft(LoraFolder.Load(source), source, folder["a.onnx_adapter"]);
        Check(family, source, folder, 1e-4);
    }

    [Theory, InlineData("dora"), InlineData("vera")]
    public void Other_kinds_become_pairs(string kind)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string source = Path.Combine(Goldens, "variants", kind);
        (LoraFolder pairs, _) = AdapterAsPairs.Make(source, Path.Combine(Goldens, "qwen2"));
        OnnxAdapter.FromPeft(pairs, source, folder["a.onnx_adapter"]);
        Check("qwen2", source, folder, 1e-4);
    }

    [Theory, InlineData("f16", 0.01), InlineData("bf16", 0.05)]
    public void Tensors_are_written_in_other_types(string type, double tolerance)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string source = Path.Combine(Goldens, "llama", "lora");
        OnnxAdapter.FromPeft(LoraFolder.Load(source), source, folder["a.onnx_adapter"], type);
        Check("llama", source, folder, tolerance, type == "f16" ? ScalarType.Float16 : ScalarType.BFloat16);
    }

    [Theory, InlineData("embedding", "have inputs for the pairs of linear layers alone"),
        InlineData("modules_to_save", "have inputs for pairs alone"),
        InlineData("bias_all", "have inputs for pairs alone")]
    public void What_no_input_takes_is_refused(string kind, string expected)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string source = Path.Combine(Goldens, "variants", kind);
        Assert.Contains(expected, Assert.Throws<InputException>(() => OnnxAdapter.FromPeft(
            LoraFolder.Load(source), source, folder["a.onnx_adapter"])).Message, StringComparison.Ordinal);
        Assert.Empty(folder.FileNames);
    }

    // A graph of every adapted layer beside the others: y = Wx + (xA)B, with inputs for A and B that are empty unless
    // an adapter fills them.
    private static void Check(
        string family, string source, TemporaryFolder folder, double tolerance, ScalarType type = ScalarType.Float32)
    {
        using var golden = new Golden(family, device: CPU);
        using Adapter adapter = Adapter.Load(source, golden.Model);
        using var noGradient = no_grad();
        using Generator generator = new(5);
        AdaptedLayer[] layers = [.. adapter.Parts.OfType<AdaptedLayer>()];
        var graph = new OnnxGraph();
        var inputs = new Dictionary<string, Tensor>();
        foreach (Linear layer in layers.Select(part => part.Base.Linear!))
        {
            string x = graph.Input("x." + layer.Path, ScalarType.Float32, "rows", layer.InputSize);
            inputs[x] = randn([2, layer.InputSize], generator: generator);
            string Half(string name, object[] shape, long[] empty)
            {
                graph.Input(layer.Path + name, type, shape);
                return type != ScalarType.Float32
                    ? graph.Node("Cast", [layer.Path + name], ("to", OnnxType.Float))
                    : graph.Weight(layer.Path + name, empty, () => zeros(empty));
            }
            string low = graph.Node(
                "MatMul", [x, Half(".lora_A.weight", [layer.InputSize, "rank " + layer.Path], [layer.InputSize, 0])]);
            string change = graph.Node("MatMul",
                [low, Half(".lora_B.weight", ["rank " + layer.Path, layer.OutputSize], [0, layer.OutputSize])]);
            string below = graph.Node("MatMul", [x, graph.Weight("w." + layer.Path,
                [layer.InputSize, layer.OutputSize], () => layer.Matrix.t())]);
            if (layer.Bias is { } bias)
                below = graph.Node("Add", [below, graph.Weight("b." + layer.Path, bias.shape, () => bias.alias())]);
            graph.Output("y." + layer.Path, graph.Node("Add", [below, change]), "rows", layer.OutputSize);
        }
        OnnxFile.Write(folder.Path, graph);
        using var session = new OnnxSession(folder["model.onnx"]);
        void Compare(string? file)
        {
            Dictionary<string, Tensor> found = session.Run(inputs, file);
            foreach (Linear layer in layers.Select(part => part.Base.Linear!))
                Assert.InRange(
                    Golden.LargestDeviation(layer.Forward(inputs["x." + layer.Path], null), found["y." + layer.Path]),
                    0, tolerance);
        }
        if (type == ScalarType.Float32) Compare(null);
        adapter.Attach();
        Compare(folder["a.onnx_adapter"]);
        Assert.True(layers.Length > 1);
    }
}
