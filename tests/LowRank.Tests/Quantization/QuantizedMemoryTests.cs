using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using LowRank.Models;
using LowRank.Tests.IO;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Quantization;

/// <summary>Measures of the whole process: alone, after all other tests.</summary>
[Collection("alone")]
public sealed class QuantizedMemoryTests
{
    private const long Megabyte = 1 << 20;
    private const int Hidden = 1024, Intermediate = 2816, Layers = 12, Vocabulary = 1000;

    [Fact]
    public void A_model_is_loaded_and_trained_in_little_more_than_its_quantised_size()
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && ProcessMemory.ResetPeak(), "reads and resets the process's peak in /proc");
        using var folder = new TemporaryFolder();
        long whole = WriteModel(folder);
        Assert.True(whole > 580 * Megabyte);
        SeenAgain.Fail(() => Look(folder.Path, whole));
    }

    /// <summary>Weights that are rounded for products: no second copy in float32, not even while they are
    /// read.</summary>
    [Fact]
    public void A_model_that_computes_in_bfloat16_is_loaded_in_little_more_than_half_its_size()
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && ProcessMemory.ResetPeak(), "reads and resets the process's peak in /proc");
        using var folder = new TemporaryFolder();
        long whole = WriteModel(folder);
        using IDisposable units = BFloat16Units.State(ComputeType.EmulatedBFloat16);
        SeenAgain.Fail(() =>
        {
            NativeAllocator.ReturnFreedMemory();
            ProcessMemory.ResetPeak();
            long before = ProcessMemory.ResidentBytes();
            using PretrainedModel model = PretrainedModel.Open(folder.Path, computeDtype: "bfloat16");
            long held = model.Network.PackedWeights.Values.Sum(weight => weight.Bytes),
                loaded = ProcessMemory.PeakBytes() - before;
            Assert.InRange(held, whole * 0.48, whole * 0.5);
            return loaded < held + 4L * Hidden * Intermediate + 24 * Megabyte ? null
                : $"loading {held / Megabyte} MB of rounded weights took {loaded / Megabyte} MB";
        });
    }

    private static string? Look(string folder, long whole)
    {
        NativeAllocator.ReturnFreedMemory();

        // The pages of the file count as the process's own while they are mapped: they have to leave as well.
        ProcessMemory.ResetPeak();
        long before = ProcessMemory.ResidentBytes();
        using PretrainedModel model = PretrainedModel.Open(folder, baseDtype: "nf4");
        long packed = model.Network.PackedWeights.Values.Sum(weight => weight.Bytes),
            loaded = ProcessMemory.PeakBytes() - before;
        Assert.InRange(packed, whole / 8, whole / 7);
        const long LargestLayer = 4L * Hidden * Intermediate;
        if (loaded >= packed + LargestLayer + 24 * Megabyte)
            return $"loading {packed / Megabyte} MB of quantised weights took {loaded / Megabyte} MB";

        // Seven matrices per layer in float32 are 51 MB: a graph that kept them would hold 600. What is allowed beyond
        // a plain base's step is the matrix that is expanded at the moment, and as much again for what the plain base's
        // step finds freed and still resident.
        (long trained, long left) = Steps(model);
        using PretrainedModel plain = PretrainedModel.Open(folder);
        (long usual, long leftUsually) = Steps(plain);
        if (Math.Max(left, leftUsually) >= 8 * Megabyte)
            return $"three steps left {left / Megabyte} MB, on the base in float32 {leftUsually / Megabyte} MB";
        return trained < usual + (2 * LargestLayer) + (8 * Megabyte) ? null
            : $"three steps took {trained / Megabyte} MB more, on the base in float32 {usual / Megabyte} MB";
    }

    // The most that the process grows in three steps, after a first one, and what it keeps.
    private static (long Most, long Left) Steps(PretrainedModel model)
    {
        using Adapter adapter = Adapter.Create(model, new LoraConfig { Rank = 4, Alpha = 8 }, 1);
        adapter.Attach();
        adapter.SetTrainable(true);
        Step(model, adapter);
        NativeAllocator.ReturnFreedMemory();
        ProcessMemory.ResetPeak();
        long before = ProcessMemory.ResidentBytes();
        for (int step = 0; step < 3; step++) Step(model, adapter);
        long most = ProcessMemory.PeakBytes() - before;
        NativeAllocator.ReturnFreedMemory();
        return (most, ProcessMemory.ResidentBytes() - before);
    }

    private static void Step(PretrainedModel model, Adapter adapter)
    {
        using var scope = NewDisposeScope();
        Tensor ids = Indices(0, 24).view(1, -1) % Number(Vocabulary); // more rows than are multiplied directly
        model.Decoder.Logits(model.Decoder.Hidden(ids)).log_softmax(-1).mean().backward();
        Assert.All(adapter.TrainedWeights, weight => Assert.NotNull(weight.Value.grad));
        foreach ((string _, Tensor weight) in adapter.TrainedWeights) weight.grad = null;
    }

    // Zeros that the file system does not store: the file is as long as a real one and costs no time to write.
    private static long WriteModel(TemporaryFolder folder)
    {
        File.WriteAllText(folder["config.json"], $$"""
            {"model_type": "llama", "vocab_size": {{Vocabulary}}, "hidden_size": {{Hidden}}, "intermediate_size": {{Intermediate}}, "num_hidden_layers": {{Layers}},
             "num_attention_heads": 16, "num_key_value_heads": 16, "max_position_embeddings": 64, "tie_word_embeddings": true}
            """);
        var shapes = new List<(
            string Name, long[] Shape)> { ("model.embed_tokens.weight", [Vocabulary, Hidden]),
            ("model.norm.weight", [Hidden]) };
        for (int layer = 0; layer < Layers; layer++)
        {
            string path = $"model.layers.{layer}.";
            shapes.AddRange(
                ((string[])["q", "k", "v", "o"])
                .Select(name => ($"{path}self_attn.{name}_proj.weight", new long[] { Hidden, Hidden })));
            shapes.Add((path + "mlp.gate_proj.weight", [Intermediate, Hidden]));
            shapes.Add((path + "mlp.up_proj.weight", [Intermediate, Hidden]));
            shapes.Add((path + "mlp.down_proj.weight", [Hidden, Intermediate]));
            shapes.Add((path + "input_layernorm.weight", [Hidden]));
            shapes.Add((path + "post_attention_layernorm.weight", [Hidden]));
        }
        long at = 0;
        IEnumerable<string> entries = shapes.Select(tensor =>
        {
            long begin = at;
            at += 4 * tensor.Shape.Aggregate(1L, (product, size) => product * size);
            return $"\"{tensor.Name}\":{{\"dtype\":\"F32\",\"shape\":[{string.Join(",", tensor.Shape)}" +
                $"],\"data_offsets\":[{begin},{at}]}}";
        });
        string header = "{" + string.Join(",", entries) + "}";
        SafeTensorsBytes.WriteSparse(folder["model.safetensors"], header, at, []);
        return at;
    }
}
