using LowRank.Adapters;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Encoders with their heads and T5 against transformers and PEFT.</summary>
public sealed class NetworkParityTests
{
    private const double Tolerance = 1e-4; // absolute, on float32 logits

    public static TheoryData<string> Cases => ["bert", "roberta", "distilbert", "t5"];

    [Theory, MemberData(nameof(Cases))]
    public void Logits_equal_the_reference_bare_adapted_merged_and_detached(string name)
    {
        using var golden = new Golden(name);
        using var scope = NewDisposeScope();
        Assert.InRange(Golden.LargestDeviation(golden.Logits(), golden.Read("logits")), 0, Tolerance);
        using Adapter adapter = Adapter.Load(Path.Combine(golden.Folder, "lora"), golden.Model);
        adapter.Attach();
        Assert.InRange(Golden.LargestDeviation(golden.Logits(), golden.Read("logits.lora")), 0, Tolerance);
        adapter.Merge();
        Assert.InRange(Golden.LargestDeviation(golden.Logits(), golden.Read("logits.merged")), 0, Tolerance);
        adapter.Unmerge();
        Assert.InRange(Golden.LargestDeviation(golden.Logits(), golden.Read("logits")), 0, Tolerance);
    }

    [Theory, MemberData(nameof(Cases))]
    public void A_saved_adapter_equals_PEFTs_files_byte_for_byte(string name)
    {
        using var golden = new Golden(name);
        foreach (string kind in new[] { "lora", "start", "trained" })
            AdapterParityTests.CheckBytes(Path.Combine(golden.Folder, kind), golden.Model);
    }
}
