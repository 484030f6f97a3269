using System.Text.Json;
using CsCheck;
using LowRank.Adapters;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Recipes.Steps;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Properties of every method, for random ranks, scales and places.</summary>
public sealed class MethodPropertyTests
{
    // What a method may target, and ranks that all starts take; loftq needs a quantised base and has tests of its own.
    private static readonly Gen<(
        int Seed, int Rank, double Alpha, string[] Targets, string Family)> Shapes = Gen.Select(
        Gen.Int[0, 1_000_000], Gen.Int[1, 4], Gen.Double[0.5, 16],
            Gen.OneOf("q_proj", "q_proj down_proj", "k_proj v_proj gate_proj", "o_proj up_proj"),
        Gen.OneOf("llama", "qwen2", "qwen3"), (seed, rank, alpha, targets, family) =>
            (seed, 2 * rank, alpha, targets.Split(' '), family));

    public static TheoryData<string> Methods =>
        [.. AdapterMethods.Names.Where(name => name is not ("loftq" or "bitfit"))];

    [Theory, MemberData(nameof(Methods))]
    public void Every_adapter_written_is_read_back_equal_and_computes_the_same(string name) => Shapes.Sample(shape =>
    {
        using var scope = NewDisposeScope();
        using var golden = new Golden(shape.Family);
        using var folder = new TemporaryFolder();
        Tensor ids = golden.Read("input_ids"), alone = golden.Model.Decoder.Forward(ids);
        using Adapter adapter = Create(name, shape.Seed, shape.Rank, shape.Alpha, shape.Targets, golden);
        Stir(adapter, shape.Seed);
        adapter.Attach();
        Tensor expected = golden.Model.Decoder.Forward(ids);
        Assert.True(Golden.LargestDeviation(expected, alone) > 1e-6, "the adapter does nothing");
        adapter.Save(folder["written"]);
        adapter.Detach();
        Assert.Equal(0, Golden.LargestDeviation(golden.Model.Decoder.Forward(ids), alone));

        using Adapter read = Adapter.Load(folder["written"], golden.Model);
        read.Attach();
        double largest = expected.abs().max().item<float>();
        Assert.InRange(Golden.LargestDeviation(golden.Model.Decoder.Forward(ids), expected) / largest, 0, 1e-5);
        read.Save(folder["again"]);
        foreach (string file in new[] { AdapterConfig.FileName, Adapter.FileName })
            Assert.True(File.ReadAllBytes(folder["written/" + file]).AsSpan()
                .SequenceEqual(File.ReadAllBytes(folder["again/" + file])), file);
        if (golden.Model.Decoder.Prompt is not null) return;
        AdapterMerge.Write(golden.Model, read, folder["merged"]);
        using PretrainedModel merged = PretrainedModel.Open(folder["merged"], TestDevice.Current);
        Assert.InRange(Golden.LargestDeviation(merged.Decoder.Forward(ids), expected) / largest, 0, 1e-4);
    }, iter: 4, threads: 1);

    internal static Adapter Create(string name, int seed, int rank, double alpha, string[] targets, Golden golden)
    {
        IAdapterMethod method = AdapterMethods.Get(name);
        bool hasTargets = method.Keys.Contains("target_modules");
        var shared = new LoraConfig { Rank = rank, Alpha = alpha, TargetModules = hasTargets
            ? ModuleSelection.Create(targets) : null };
        using JsonDocument train = JsonDocument.Parse(File.ReadAllText(Path.Combine(golden.Folder, "train.json")));
        var calibration = new ExampleCalibration(
            new CausalObjective(golden.Model.Decoder), [.. MethodParityTests.Rows(train.RootElement).Take(3)], 3);
        return Adapter.Create(golden.Model, method.Configure(shared), seed, calibration);
    }

    // Every trained weight away from its start, so that a part left out shows.
    internal static void Stir(Adapter adapter, int seed)
    {
        using var noGradient = no_grad();
        using Generator random = new Generator().manual_seed(seed);
        foreach ((string _, Tensor weight) in adapter.TrainedWeights)
            weight.add_(empty(weight.shape).normal_(0, 0.1, random).to(weight.device), Number(1));
    }
}
