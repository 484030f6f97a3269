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

    /// <summary>Every case whose adapter was not trained only: decoders, encoders, T5, experts.</summary>
    public static TheoryData<string> WithAdapters =>
        [.. Directory.EnumerateDirectories(Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens"))
        .Where(folder => Directory.Exists(Path.Combine(folder, "lora"))).Select(folder => Path.GetFileName(folder))
            .Order(StringComparer.Ordinal)];

    [Theory, MemberData(nameof(WithAdapters))]
    public void A_saved_adapter_equals_PEFTs_files_byte_for_byte(string name)
    {
        using var golden = new Golden(name);
        foreach (string folder in Adapters(golden.Folder)) AdapterParityTests.CheckBytes(folder, golden.Model);
    }

    [Fact]
    public void No_key_of_a_reference_config_is_unknown()
    {
        var unknown = new List<string>();
        foreach (string folder in Directory.EnumerateDirectories(
            Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens"))
            .Where(folder => File.Exists(Path.Combine(folder, "config.json"))))
        {
            using PretrainedModel model = PretrainedModel.Open(folder);
            unknown.AddRange(model.Config.UnknownKeys.Select(key => $"{Path.GetFileName(folder)}: {key}"));
            Assert.Equal(model.Config.UnknownKeys.Count > 0, model.Notes.Count > 0);
        }
        Assert.True(unknown.Count == 0, string.Join(", ", unknown));
    }

    private static IEnumerable<string> Adapters(string folder) =>
        Directory.EnumerateDirectories(folder)
            .Where(inner => File.Exists(Path.Combine(inner, AdapterConfig.FileName))
            && Path.GetFileName(folder) is not ("variants" or "methods"));
}
