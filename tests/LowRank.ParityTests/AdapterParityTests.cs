using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

public sealed class AdapterParityTests
{
    private const double Tolerance = 1e-4; // absolute, on float32 logits

    public static TheoryData<string> Decoders => Golden.Decoders;

    /// <summary>Kinds of LoRA on the qwen2 base.</summary>
    public static TheoryData<string> Variants =>
        ["rslora", "patterns", "layers_to_transform", "all_linear", "regex", "exclude", "bias_all", "bias_lora_only",
            "modules_to_save"];

    [Theory, MemberData(nameof(Decoders))]
    public void An_adapter_gives_the_references_logits_attached_merged_and_detached(string family)
    {
        using var golden = new Golden(family);
        Check(golden.Model, Path.Combine(golden.Folder, "lora"), golden.Read, "logits.lora", "logits.merged");
        using var scope = NewDisposeScope();
        Tensor alone = golden.Model.Decoder.Forward(golden.Read("input_ids"), golden.Read("attention_mask"));
        Assert.InRange(Golden.LargestDeviation(alone, golden.Read("logits")), 0, Tolerance);
    }

    [Theory, MemberData(nameof(Variants))]
    public void Each_kind_of_LoRA_gives_the_references_logits(string variant)
    {
        using var golden = new Golden("qwen2");
        string folder = Path.Combine(golden.Folder, "..", "variants");
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        Tensor Read(string name) => io.Entries.ContainsKey(name) ? io.Read(name) : golden.Read(name);
        Check(golden.Model, Path.Combine(folder, variant), Read, $"logits.{variant}", $"logits.{variant}.merged");
    }

    [Theory, MemberData(nameof(Decoders))]
    public void A_saved_adapter_equals_PEFTs_files_byte_for_byte(string family)
    {
        using var golden = new Golden(family);
        foreach (string kind in new[] { "lora", "start", "trained" })
            CheckBytes(Path.Combine(golden.Folder, kind), golden.Model);
    }

    [Theory, MemberData(nameof(Variants))]
    public void A_saved_variant_equals_PEFTs_files_byte_for_byte(string variant)
    {
        using var golden = new Golden("qwen2");
        CheckBytes(Path.Combine(golden.Folder, "..", "variants", variant), golden.Model);
        CheckBytes(Path.Combine(golden.Folder, "..", "variants", variant, "trained"), golden.Model);
    }

    [Theory, MemberData(nameof(Decoders))]
    public void A_merged_folder_computes_the_adapted_logits_in_the_bases_dtype(string family)
    {
        using var golden = new Golden(family);
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-merge-");
        try
        {
            string merged = Path.Combine(folder.FullName, "merged");
            using (Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "lora"), golden.Model))
                AdapterMerge.Write(golden.Model, adapter, merged);
            using var scope = NewDisposeScope();
            using PretrainedModel model = PretrainedModel.Open(merged, TestDevice.Current);
            Tensor logits = model.Decoder.Forward(golden.Read("input_ids"), golden.Read("attention_mask"));
            Assert.InRange(Golden.LargestDeviation(logits, golden.Read("logits.merged")), 0, Tolerance);
            using Checkpoint before = Checkpoint.Open(golden.Folder), after = Checkpoint.Open(merged);
            Assert.Equal(before.Entries.Keys.Order(), after.Entries.Keys.Order());
            Assert.All(before.Entries, entry => Assert.Equal(entry.Value.Type, after.Entries[entry.Key].Type));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Check(
        PretrainedModel model, string folder, Func<string, Tensor> read, string expected, string expectedMerged)
    {
        using var scope = NewDisposeScope();
        using Adapter adapter = Adapter.Load(folder, model);
        Tensor Logits() => model.Decoder.Forward(read("input_ids"), read("attention_mask"));
        Tensor before = Logits();
        adapter.Attach();
        Assert.InRange(Golden.LargestDeviation(Logits(), read(expected)), 0, Tolerance);
        adapter.Merge();
        Assert.InRange(Golden.LargestDeviation(Logits(), read(expectedMerged)), 0, Tolerance);
        adapter.Unmerge();
        Assert.InRange(Golden.LargestDeviation(Logits(), before), 0, Tolerance);
    }

    internal static void CheckBytes(string source, PretrainedModel model)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-adapter-");
        try
        {
            string copy = Path.Combine(folder.FullName, "copy");
            using (Adapter adapter = Adapter.Load(source, model)) adapter.Save(copy);
            foreach (string file in new[] { AdapterConfig.FileName, Adapter.FileName })
                Assert.True(File.ReadAllBytes(Path.Combine(source, file)).AsSpan()
                    .SequenceEqual(File.ReadAllBytes(Path.Combine(copy, file))), $"{source}/{file}");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
