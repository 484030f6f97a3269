using System.Text;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Quantised weights against those that Reference/make_nf4_cases.py computes after bitsandbytes' definition:
/// every bit.</summary>
public sealed class QuantizationCaseTests
{
    private static readonly string Cases =
        Path.Combine(AppContext.BaseDirectory, "Fixtures", "quantization", "nf4_cases.safetensors");

    public static TheoryData<string, string> All
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string name in (string[])["normal", "half", "odd", "outliers", "zeros"])
                foreach (string format in (string[])["nf4", "int8"]) data.Add(name, format);
            return data;
        }
    }

    [Theory, MemberData(nameof(All))]
    public void Stored_tensors_are_bitsandbytes_own(string name, string format)
    {
        using var scope = NewDisposeScope();
        using SafeTensorsFile file = SafeTensorsFile.Open(Cases);
        using var buffer = new ExpansionBuffer();
        Tensor weight = file.Map(name);
        using PackedWeight packed = WeightFormats.Get(format)!.Pack(weight, buffer);
        string prefix = $"{name}.{format}.";
        Dictionary<string, Tensor> stored =
            packed.Stored(prefix + "weight", weight.dtype == ScalarType.BFloat16 ? "bfloat16" : "float32")
            .ToDictionary();
        Assert.Equal(file.Entries.Keys.Where(
            key => key.StartsWith(prefix, StringComparison.Ordinal)
            && !key.EndsWith("expanded", StringComparison.Ordinal)).Order(), stored.Keys.Order());
        foreach ((string key, Tensor found) in stored)
        {
            Tensor expected = file.Map(key);
            Assert.Equal(expected.dtype, found.dtype);
            if (key.Contains("quant_state", StringComparison.Ordinal))
                Assert.Equal(Json(expected).ToJsonString(), Json(found).ToJsonString());
            else Assert.True(expected.shape.SequenceEqual(found.shape) && expected.eq(found).all().item<bool>(), key);
        }
        Assert.True(packed.Expand().eq(file.Map(prefix + "expanded")).all().item<bool>());
    }

    [Theory, MemberData(nameof(All))]
    public void A_file_of_bitsandbytes_tensors_is_read(string name, string format)
    {
        using var scope = NewDisposeScope();
        using SafeTensorsFile file = SafeTensorsFile.Open(Cases);
        using var folder = new TemporaryFolder();
        string prefix = $"{name}.{format}.", path = Path.Combine(folder.Path, "model.safetensors");
        SafeTensorsWriter.Write(
            path, [.. file.Entries.Keys.Where(
                key => key.StartsWith(prefix, StringComparison.Ordinal)
                && !key.EndsWith("expanded", StringComparison.Ordinal))
            .Select(key => KeyValuePair.Create(key, file.Map(key)))]);
        using Checkpoint checkpoint = Checkpoint.Open(path);
        KeyValuePair<string, StoredMatrix> read = Assert.Single(BitsAndBytesReader.Read(checkpoint));
        using var buffer = new ExpansionBuffer();
        using PackedWeight packed = read.Value.Open(buffer);
        Assert.Equal((prefix + "weight", format), (read.Key, packed.Format));
        Assert.True(packed.Expand().eq(file.Map(prefix + "expanded")).all().item<bool>());
    }

    [Theory]
    [InlineData("llama", "nf4"), InlineData("llama", "int8"), InlineData("gpt2", "nf4"), InlineData("gpt2", "int8")]
    public void Logits_on_a_quantised_base_are_those_of_the_expanded_weights(string family, string format)
    {
        using var scope = NewDisposeScope();
        using SafeTensorsFile file = SafeTensorsFile.Open(Cases);
        string golden = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", family);
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(golden, "io.safetensors"));
        using PretrainedModel model = PretrainedModel.Open(golden, TestDevice.Current, baseDtype: format);
        Assert.NotEmpty(model.Network.PackedWeights);
        Tensor logits = model.Sequence.Scores(new ModelInput(io.Read("input_ids"), io.Read("attention_mask")));
        Assert.InRange(Golden.LargestDeviation(logits, file.Map($"logits.{family}.{format}")), 0, 1e-4);
    }

    /// <summary>Every case of decoders, encoders, T5 and experts, with its adapter where it has one: packed, written
    /// and read, merged in memory and in a folder.</summary>
    [Theory, MemberData(nameof(Families))]
    public void Every_family_computes_the_same_on_packed_and_on_expanded_weights(string family)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        foreach (string format in (string[])["nf4", "int8"])
        {
            using var packed = new Golden(family, baseDtype: format);
            Assert.NotEmpty(packed.Model.Network.PackedWeights);
            using (var onProcessor = new Golden(family, baseDtype: format, device: CPU))
                QuantizedFolder.Write(onProcessor.Model, folder[format]);
            using var read = new Golden(family, folder[format]);
            using var expanded = new Golden(family, folder[format], WeightFormats.Float32);
            Assert.Equal((packed.Model.Network.PackedWeights.Count, 0),
                (read.Model.Network.PackedWeights.Count, expanded.Model.Network.PackedWeights.Count));
            Near(expanded.Logits(), packed.Logits());
            Near(packed.Logits(), read.Logits());
            string lora = Path.Combine(packed.Folder, "lora");
            if (!Directory.Exists(lora)) continue;
            using Adapter onPacked = Adapter.Load(lora, packed.Model), onExpanded = Adapter.Load(lora, expanded.Model);
            onPacked.Attach();
            onExpanded.Attach();
            Tensor adapted = packed.Logits();
            Near(expanded.Logits(), adapted);
            onPacked.Merge();
            Near(adapted, packed.Logits());
            onPacked.Unmerge();
            AdapterMerge.Write(packed.Model, onPacked, folder[format + ".merged"]);
            using var merged = new Golden(family, folder[format + ".merged"]);
            Assert.Empty(merged.Model.Network.PackedWeights);
            Near(adapted, merged.Logits());
        }
    }

    public static TheoryData<string> Families =>
        [.. Directory.EnumerateDirectories(Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens"))
        .Where(folder => File.Exists(Path.Combine(folder, "config.json"))
            && File.Exists(Path.Combine(folder, "io.safetensors"))).Select(folder => Path.GetFileName(folder))
            .Order(StringComparer.Ordinal)];

    private static void Near(Tensor wanted, Tensor found) =>
        Assert.InRange(Golden.LargestDeviation(wanted, found), 0, 1e-4 * Math.Max(1, wanted.abs().max().item<float>()));

    private static JsonNode Json(Tensor bytes) =>
        JsonNode.Parse(Encoding.UTF8.GetString(bytes.data<byte>().ToArray()))!;
}
