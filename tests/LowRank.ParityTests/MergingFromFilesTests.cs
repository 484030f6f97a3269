using System.Security.Cryptography;
using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using LowRank.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>A base that was opened for merging keeps its weights in the files, and gives the same merged model as one
/// that is in memory.</summary>
public sealed class MergingFromFilesTests
{
    private static readonly string Goldens = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens");

    public static TheoryData<string, string> Adapters
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (string family in (string[])["llama", "gpt2", "gemma2", "phi3", "gpt_neox", "mixtral", "bert", "t5",
                "modernbert", "roberta"])
                data.Add(family, Path.Combine(family, "lora"));
            foreach (string config in Directory.GetFiles(
                Path.Combine(Goldens, "variants"), "adapter_config.json", SearchOption.AllDirectories))
                data.Add("qwen2", Path.GetRelativePath(Goldens, Path.GetDirectoryName(config)!));
            return data;
        }
    }

    [Theory, MemberData(nameof(Adapters))]
    public void The_files_are_the_same_to_the_last_byte(string family, string adapter)
    {
        using var folder = new TemporaryFolder();
        string half = Half(Path.Combine(Goldens, family), folder["half"]), given = Path.Combine(Goldens, adapter);
        string[] dtypes = family is "llama" or "gpt2" || adapter.Contains("dora", StringComparison.Ordinal)
            ? ["auto", "nf4"] : ["auto"];
        foreach (string dtype in dtypes)
            foreach (string model in (string[])[Path.Combine(Goldens, family), half])
            {
                HeadRequest? head = AdapterTask.LoadHead(given);
                Assert.Equal(
                    Merged(() => PretrainedModel.Open(model, head: head, baseDtype: dtype), given),
                    Merged(() => PretrainedModel.OpenForMerging(model, head, baseDtype: dtype), given));
            }
    }

    [Fact]
    public void No_weight_is_in_memory_before_it_is_read()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        string half = Half(Path.Combine(Goldens, "gpt2"), folder["half"]);
        using PretrainedModel plain = PretrainedModel.OpenForMerging(half),
            packed = PretrainedModel.OpenForMerging(half, baseDtype: "nf4"), whole = PretrainedModel.Open(half);
        Assert.All(plain.Network.Parameters.Values, weight => Assert.Equal(ScalarType.BFloat16, weight.dtype));
        Assert.Equal(8, packed.Network.PackedWeights.Count);
        Assert.All(packed.Network.PackedWeights.Values, weight => Assert.Equal(0, weight.Bytes));
        foreach ((string path, AdaptableLayer layer) in AdaptableLayer.From(plain.Network))
        {
            Assert.Equal(ScalarType.Float32, layer.Matrix.dtype);
            Assert.Equal(0, Golden.LargestDeviation(layer.Matrix, AdaptableLayer.From(whole.Network)[path].Matrix));
        }
    }

    // The digests of all files, or why there are none.
    private static IReadOnlyList<string> Merged(Func<PretrainedModel> open, string adapter)
    {
        using var folder = new TemporaryFolder();
        string target = folder["merged"];
        try
        {
            using PretrainedModel model = open();
            using Adapter loaded = Adapter.Load(adapter, model);
            AdapterMerge.Write(model, loaded, target);
            if (GgufArchitecture.Known.Contains(model.Config.ModelType))
                AdapterMerge.WriteGguf(model, [(loaded, 1)], Path.Combine(target, "merged.gguf"), "f32");
        }
        catch (InputException refusal)
        {
            return [refusal.Message.Replace(target, "", StringComparison.Ordinal)];
        }
        return [.. Directory.GetFiles(target).Order(StringComparer.Ordinal).Select(
            file => $"{Path.GetFileName(file)} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))}")];
    }

    private static string Half(string source, string target)
    {
        using var scope = NewDisposeScope();
        using Checkpoint stored = Checkpoint.Open(source);
        ModelFolder.Write(source, target, [.. stored.Entries.Keys.Select(name => KeyValuePair.Create(
            name, stored.Map(name) is var weight && weight.is_floating_point() ? weight.to(ScalarType.BFloat16)
                : weight))]);
        return target;
    }
}
