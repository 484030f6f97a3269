using System.Text.Json.Nodes;
using LowRank.Models;
using LowRank.Models.Sentences;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Pooling and the layers behind it against sentence-transformers' modules
/// (Reference/make_sentence_cases.py).</summary>
public sealed class SentenceParityTests
{
    private const double Tolerance = 1e-5; // absolute, float32

    private static readonly string Fixture = Path.Combine(AppContext.BaseDirectory, "Fixtures", "sentences");
    private static readonly JsonNode Cases = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixture, "cases.json")))!;

    public static TheoryData<string> Modes => [.. SentenceFolder.ModeNames];

    public static TheoryData<string> Activations => [.. DenseLayer.Activations];

    [Theory, MemberData(nameof(Modes))]
    public void Each_way_to_pool_gives_the_librarys_vectors(string mode)
    {
        using var scope = NewDisposeScope();
        var pipeline = new SentencePipeline(4, [SentenceFolder.Mode(mode)], []);
        Tensor states = Read(Cases["states"]!), mask = Read(Cases["mask"]!).to(ScalarType.Int64);
        Near(Cases["pooling"]![mode]!, pipeline.Apply(states, mask));
        Near(Cases["pooling"]![mode]!, pipeline.Apply(states.narrow(0, 0, 1), null), rows: 1);
        Near(Cases["without_prompt"]![mode]!, (pipeline with { IncludesPrompt = false })
            .Apply(states.narrow(0, 0, 2), mask.narrow(0, 0, 2), promptTokens: 2));
    }

    [Theory, MemberData(nameof(Activations))]
    public void A_dense_layer_computes_as_the_librarys(string activation)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        Copy(Fixture, folder.Path);
        File.WriteAllText(
            folder["modules.json"],
            $$"""[{"path": "", "type": "a.Transformer"}, {"path": "folder/1_Pooling", "type": "a.Pooling"}, {"path": "dense/{{activation}}", "type": "a.Dense"}]""");
        ISentenceLayer layer = Assert.Single(SentenceFolder.Read(folder.Path)!.Layers);
        Near(Cases["dense"]![activation]!, layer.Forward(Read(Cases["vectors"]!)));
    }

    [Fact]
    public void A_folder_opens_and_is_written_again_as_it_was()
    {
        using var scope = NewDisposeScope();
        SentencePipeline read = SentenceFolder.Read(Path.Combine(Fixture, "folder"))!;
        using var folder = new TemporaryFolder();
        SentenceFolder.Save(read, folder.Path);
        Assert.Equal(["1_Pooling", "2_Dense", "3_LayerNorm", "4_Normalize"], Directory.GetDirectories(folder.Path)
            .Select(Path.GetFileName).Order());
        foreach (SentencePipeline pipeline in new[] { read, SentenceFolder.Read(folder.Path)! })
        {
            Assert.Equal((12, true, "query", "dot", 4),
                (pipeline.MaxLength, pipeline.LowersCase, pipeline.DefaultPrompt, pipeline.Similarity, pipeline.Width));
            Assert.Equal("good ", pipeline.Prompts["query"]);
            Near(Cases["pipeline"]!, pipeline.Apply(Read(Cases["states"]!), Read(Cases["mask"]!).to(ScalarType.Int64)));
        }
        Assert.Null(SentenceFolder.Read(Fixture));
    }

    [Theory]
    [InlineData("""[{"path": "", "type": "m.WordEmbeddings"}, {"path": "1_Pooling", "type": "m.Pooling"}]""",
        "the first module is WordEmbeddings, expected Transformer")]
    [InlineData("""[{"path": "0_Transformer", "type": "m.Transformer"}]""", "the Transformer lies in")]
    [InlineData("""[{"path": "", "type": "m.Transformer"}, {"path": "1_Pooling", "type": "m.CNN"}]""",
        "the second module is CNN, expected Pooling")]
    [InlineData(
        """[{"path": "", "type": "m.Transformer"}, {"path": "1_Pooling", "type": "m.Pooling"}, {"path": "2_D", "type": "m.Dropout"}]""", "the module Dropout is not supported")]
    [InlineData("""[{"path": "", "type": "m.Transformer"}, {"path": "../1_Pooling", "type": "m.Pooling"}]""",
        "leads out of the folder")]
    [InlineData("""[{"path": "", "type": "m.Transformer"}, {"path": "9_Pooling", "type": "m.Pooling"}]""",
        "is missing, which modules.json")]
    [InlineData("""{"modules": []}""", "expected a list of modules")]
    [InlineData("""[{"path": """, "it is no JSON from")]
    public void What_is_not_supported_is_named(string modules, string expected)
    {
        using var folder = new TemporaryFolder();
        Copy(Path.Combine(Fixture, "folder"), folder.Path);
        File.WriteAllText(folder["modules.json"], modules);
        Assert.Contains(expected, Assert.Throws<InputException>(() => SentenceFolder.Read(folder.Path)).Message,
            StringComparison.Ordinal);
    }

    private static Tensor Read(JsonNode values)
    {
        JsonNode first = values;
        var shape = new List<long>();
        for (; first is JsonArray list; first = list[0]!) shape.Add(list.Count);
        return tensor(Flat(values).ToArray()).view([.. shape]);
    }

    private static IEnumerable<float> Flat(JsonNode values) => values is JsonArray list
        ? list.SelectMany(one => Flat(one!)) : [values.GetValue<float>()];

    private static void Near(JsonNode expected, Tensor found, int? rows = null)
    {
        Tensor right = Read(expected);
        if (rows is { } taken) right = right.narrow(0, 0, taken);
        Assert.Equal(right.shape, found.shape);
        Assert.InRange(Golden.LargestDeviation(right, found), 0, Tolerance);
    }

    private static void Copy(string from, string to)
    {
        foreach (string file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target, overwrite: true);
        }
    }
}
