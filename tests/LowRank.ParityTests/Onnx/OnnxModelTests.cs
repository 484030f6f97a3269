using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.IO;
using LowRank.IO.Onnx;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests.Onnx;

/// <summary>Encoders as ONNX models, computed by ONNX Runtime.</summary>
public sealed class OnnxModelTests
{
    private const double Tolerance = 1e-5; // absolute, float32; 1e-6 to 2e-6 was found

    private static readonly string Goldens = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens");

    public static TheoryData<string> Cases =>
    [
        "bert", "roberta", "distilbert", "xlm-roberta", "modernbert", "bert_sequence_pairs", "bert_regression",
        "bert_multi_label", "bert_token_classification", "roberta_token_classification",
        "modernbert_token_classification", "bert_question_answering", "distilbert_question_answering",
        "bert_masked_lm", "roberta_masked_lm", "distilbert_masked_lm", "modernbert_masked_lm",
    ];

    public static TheoryData<string, HeadKind> Heads
    {
        get
        {
            var heads = new TheoryData<string, HeadKind>();
            foreach (string family in new[] { "bert", "distilbert", "roberta", "xlm-roberta", "modernbert" })
                foreach (HeadKind kind in Enum.GetValues<HeadKind>()) heads.Add(family, kind);
            return heads;
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void An_adapter_merged_into_its_base_gives_the_references_scores(string name)
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden(name, device: CPU);
        string kind = golden.Has("logits.lora") ? "lora" : "trained";
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, kind), golden.Model);
        AdapterMerge.WriteOnnx(golden.Model, [(adapter, 1)], folder["onnx"]);
        using var scope = NewDisposeScope();
        using var session = new OnnxSession(Path.Combine(folder["onnx"], "model.onnx"));
        Tensor tokens = golden.Read("input_ids");
        Dictionary<string, Tensor> found = session.Run(
            Inputs(session, tokens, golden.Read("attention_mask"), golden.Has("token_type_ids")
                ? golden.Read("token_type_ids") : zeros_like(tokens)));
        foreach ((string output, Tensor scores) in found)
            Assert.InRange(Golden.LargestDeviation(golden.Read($"{output}.{kind}"), scores), 0, Tolerance);
        Assert.Equal(golden.Has("start_logits") ? 2 : 1, found.Count);
        adapter.Attach();
        Assert.InRange(golden.HeadDeviation("." + kind), 0, Tolerance);
    }

    [Theory, MemberData(nameof(Heads))]
    public void Each_family_gives_the_same_with_each_head_for_each_length_and_padding(string family, HeadKind kind)
    {
        using var folder = new TemporaryFolder();
        using PretrainedModel model =
            PretrainedModel.Open(Path.Combine(Goldens, family), head: new HeadRequest(kind, 3)
            {
                Renewal = HeadRenewal.WhereOther,
            });
        AdapterMerge.WriteOnnx(model, [], folder["onnx"]);
        using var session = new OnnxSession(Path.Combine(folder["onnx"], "model.onnx"));
        Assert.Equal(kind switch
        {
            HeadKind.None => ["last_hidden_state"],
            HeadKind.QuestionAnswering => ["start_logits", "end_logits"],
            _ => (string[])["logits"],
        }, session.Outputs);
        foreach ((int rows, int length) in new[] { (1, 1), (3, 40) })
        {
            using var scope = NewDisposeScope();
            using var noGradient = no_grad();
            var random = new Random(rows);
            Tensor Numbers(int least, int end) => tensor(
                Enumerable.Range(0, rows * length).Select(_ => (long)random.Next(least, end)).ToArray(), rows, length);
            Tensor tokens = Numbers(4, 90), types = Numbers(0, 2), mask = ones_like(tokens);
            int padding = ((Encoder)model.Network).Shape.PositionPadding ?? 0;
            if (rows > 1) mask[1].narrow(0, 25, 15).zero_();
            // On the left, where classifiers of texts look, padding is not supported by these families.
            if (rows > 1 && kind != HeadKind.SequenceClassification) mask[2].narrow(0, 0, 7).zero_();
            tokens = tokens.masked_fill(mask == Number(0), Number(padding));
            var input = new ModelInput(tokens, mask, types);
            Tensor expected = kind == HeadKind.None ? model.Sequence.States(input) : model.Sequence.Scores(input);
            Dictionary<string, Tensor> found = session.Run(Inputs(session, tokens, mask, types));
            Tensor scores = kind == HeadKind.QuestionAnswering
                ? stack([found["start_logits"], found["end_logits"]], -1) : found.Values.Single();
            Assert.Equal(expected.shape, scores.shape);
            Tensor difference = (expected - scores).abs();
            // What padding becomes is nobody's business.
            if (difference.dim() == 3) difference = difference * mask.unsqueeze(-1);
            Assert.InRange(difference.max().item<float>(), 0, Tolerance);
        }
    }

    [Theory, InlineData("nf4"), InlineData("int8"), InlineData("bfloat16")]
    public void A_base_in_fewer_bits_is_written_as_it_computes(string form)
    {
        using var folder = new TemporaryFolder();
        string source = Path.Combine(Goldens, "bert");
        if (form == "bfloat16") source = InBFloat16(source, folder["narrow"]);
        using var golden = new Golden("bert", source, form == "bfloat16" ? "auto" : form, CPU);
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "trained"), golden.Model);
        AdapterMerge.WriteOnnx(golden.Model, [(adapter, 1)], folder["onnx"]);
        using var scope = NewDisposeScope();
        using var session = new OnnxSession(Path.Combine(folder["onnx"], "model.onnx"));
        Tensor tokens = golden.Read("input_ids");
        Tensor found =
            session.Run(Inputs(session, tokens, golden.Read("attention_mask"), zeros_like(tokens)))["logits"];
        adapter.Attach();
        Assert.InRange(Golden.LargestDeviation(golden.Logits(), found), 0, Tolerance);
    }

    [Fact]
    public void The_folder_has_all_that_a_program_needs()
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden("bert", device: CPU);
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "trained"), golden.Model);
        adapter.Task = new AdapterTask("sequence_classification") { Labels = ["no", "maybe", "yes"] };
        AdapterMerge.WriteOnnx(golden.Model, [(adapter, 1)], folder["onnx"]);
        Assert.Equal(["config.json", "lowrank_task.json", "model.onnx"],
            Directory.GetFiles(folder["onnx"]).Select(Path.GetFileName).Order());
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder["onnx"], "config.json")))!;
        Assert.Equal("BertForSequenceClassification", config["architectures"]![0]!.GetValue<string>());
        Assert.Equal("maybe", config["id2label"]!["1"]!.GetValue<string>());
        using var session = new OnnxSession(Path.Combine(folder["onnx"], "model.onnx"));
        Assert.Equal(["input_ids", "attention_mask", "token_type_ids"], session.Inputs);
    }

    [Fact]
    public void Weights_that_no_message_holds_are_in_a_file_beside_it()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using Generator generator = new(7);
        Tensor weight = rand([5, 3], generator: generator), bias = rand([3], generator: generator),
            x = rand([2, 5], generator: generator);
        foreach (long most in new[] { 72L, 71L }) // 15 and 3 numbers of four bytes
        {
            var graph = new OnnxGraph();
            graph.Output("y", graph.Node("Add",
                [graph.Node("MatMul", [graph.Input("x", ScalarType.Float32, "rows", 5),
                    graph.Weight("w", [5, 3], () => weight.alias())]), graph.Weight("b", [3], () => bias.alias())]),
                "rows", 3);
            OnnxFile.Write(folder.Path, graph, most);
            using var session = new OnnxSession(folder["model.onnx"]);
            Tensor found = session.Run(new Dictionary<string, Tensor> { ["x"] = x })["y"];
            Assert.InRange(Golden.LargestDeviation(x.matmul(weight).Plus(bias), found), 0, 1e-6);
            Assert.Equal(most == 71, File.Exists(folder["model.onnx_data"]));
        }
        Assert.Equal(2 * 4096, new FileInfo(folder["model.onnx_data"]).Length);
    }

    [Fact]
    public void What_no_graph_says_is_refused_with_the_way_out()
    {
        using var folder = new TemporaryFolder();
        using PretrainedModel decoder = PretrainedModel.Open(Path.Combine(Goldens, "llama"));
        Assert.Contains("llama model, and ONNX files are made of encoders alone: bert, distilbert",
            Assert.Throws<InputException>(() => AdapterMerge.WriteOnnx(decoder, [], folder["a"])).Message,
            StringComparison.Ordinal);
        Assert.Empty(folder.FileNames);
    }

    internal static Dictionary<string, Tensor> Inputs(OnnxSession session, Tensor tokens, Tensor mask, Tensor types) =>
        new Dictionary<string, Tensor>
        {
            ["input_ids"] = tokens, ["attention_mask"] = mask, ["token_type_ids"] = types,
        }.Where(input => session.Inputs.Contains(input.Key)).ToDictionary();

    private static string InBFloat16(string source, string target)
    {
        using var scope = NewDisposeScope();
        using Checkpoint checkpoint = Checkpoint.Open(source);
        ModelFolder.Write(source, target,
            [.. checkpoint.Entries.Keys.Select(name =>
                KeyValuePair.Create(name, checkpoint.Map(name).to(ScalarType.BFloat16)))]);
        return target;
    }
}
