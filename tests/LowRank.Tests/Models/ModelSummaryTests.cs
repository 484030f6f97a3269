using LowRank.IO;
using LowRank.Models;
using TorchSharp;

namespace LowRank.Tests.Models;

public sealed class ModelSummaryTests
{
    private static void WriteWeights(TemporaryFolder folder) => SafeTensorsWriter.Write(folder["model.safetensors"],
    [
        KeyValuePair.Create("model.embed_tokens.weight", torch.ones([10, 4], torch.bfloat16)),
        KeyValuePair.Create("model.layers.11.norm.weight", torch.ones([4], torch.float32)),
        KeyValuePair.Create("model.layers.0.norm.weight", torch.ones([4], torch.float32)),
    ]);

    [Fact]
    public void A_folder_is_counted_from_its_headers()
    {
        using var scope = torch.NewDisposeScope();
        using var folder = new TemporaryFolder();
        WriteWeights(folder);
        File.WriteAllText(folder["config.json"], """{"model_type": "something_new", "num_hidden_layers": 12}""");
        ModelSummary summary = ModelSummary.Read(folder.Path);
        Assert.Equal("something_new", summary.ModelType);
        Assert.Equal((48L, 12, 112L, 3, 1),
            (summary.Parameters, summary.Layers, summary.Bytes, summary.Tensors, summary.Files));
        Assert.Equal([KeyValuePair.Create("BF16", 40L), KeyValuePair.Create("F32", 8L)], summary.DataTypes);
    }

    [Fact]
    public void Without_a_config_the_names_tell_the_layers()
    {
        using var scope = torch.NewDisposeScope();
        using var folder = new TemporaryFolder();
        WriteWeights(folder);
        ModelSummary summary = ModelSummary.Read(folder["model.safetensors"]);
        Assert.Equal((null, 12), (summary.ModelType, summary.Layers));
    }

    [Theory]
    [InlineData("{", "is not valid JSON")]
    [InlineData("[]", "does not hold a JSON object")]
    public void A_broken_config_is_named(string json, string expected)
    {
        using var scope = torch.NewDisposeScope();
        using var folder = new TemporaryFolder();
        WriteWeights(folder);
        File.WriteAllText(folder["config.json"], json);
        var e = Assert.Throws<InputException>(() => ModelSummary.Read(folder.Path));
        Assert.Contains(folder["config.json"] + " " + expected, e.Message);
    }
}
