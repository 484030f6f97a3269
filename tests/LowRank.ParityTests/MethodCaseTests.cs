using System.Text.Json;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.IO;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Recipes.Steps;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Kinds of adapters, training rules and starts against PEFT on cases of our own
/// (Reference/make_method_cases.py).</summary>
public sealed class MethodCaseTests
{
    private const double Tolerance = 1e-4; // absolute on float32 logits, relative on losses and weights

    public static TheoryData<string, string> LogitCases => new()
    {
        { "lora_bias", "qwen2" }, { "tied_tokens", "gpt2" }, { "tied_embedding", "gpt2" }, { "tied_head", "gpt2" },
            { "dora_gpt2", "gpt2" }, { "ia3_gpt2", "gpt2" },
        { "vera_gpt2", "gpt2" }, { "adalora_gpt2", "gpt2" }, { "prompt_tuning", "llama" },
            { "prompt_tuning_gpt2", "gpt2" }, { "prefix_tuning", "llama" },
        { "prefix_tuning_gpt2", "gpt2" },
    };

    private static string Folder(string name) =>
        Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", "methods", name);

    [Theory, MemberData(nameof(LogitCases))]
    public void Logits_and_files_equal_the_reference(string name, string family)
    {
        using var golden = new Golden(family);
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(Folder(name), "io.safetensors"));
        using var scope = NewDisposeScope();
        using Adapter adapter = Adapter.Load(Folder(name), golden.Model);
        Tensor Logits(Decoder model) => model.Forward(io.Read("input_ids"), io.Read("attention_mask"));
        Tensor expected = io.Read("logits"), before = Logits(golden.Model.Decoder);
        expected = expected.narrow(1, expected.shape[1] - before.shape[1], before.shape[1]); // prompts come first
        adapter.Attach();
        Assert.InRange(Golden.LargestDeviation(Logits(golden.Model.Decoder), expected), 0, Tolerance);
        adapter.Detach();
        Assert.Equal(0, Golden.LargestDeviation(Logits(golden.Model.Decoder), before));
        AdapterParityTests.CheckBytes(Folder(name), golden.Model);
        using var folder = new TemporaryFolder();
        if (golden.Model.Decoder.Prompt is null && adapter.Layers.Count == 0)
        {
            Assert.Contains(
                "cannot be merged",
                Assert.Throws<InputException>(
                    () => AdapterMerge.Write(golden.Model, adapter, folder["merged"])).Message,
                    StringComparison.Ordinal);
            return;
        }
        AdapterMerge.Write(golden.Model, adapter, folder["merged"]);
        using PretrainedModel merged = PretrainedModel.Open(folder["merged"], TestDevice.Current);
        // PEFT's merge of half of a tied pair changes the other half too; ours unties them.
        Assert.Equal(name is "tied_embedding" or "tied_head", !merged.Network.TiesHead
            && golden.Model.Network.TiesHead);
        Assert.InRange(
            Golden.LargestDeviation(Logits(merged.Decoder), io.Entries.ContainsKey("logits.merged")
            ? io.Read("logits.merged") : expected), 0, Tolerance);
    }

    [Theory, InlineData("tied_embedding"), InlineData("tied_head")]
    public void Half_of_a_tied_pair_is_not_merged_in_memory(string name)
    {
        using var golden = new Golden("gpt2");
        using Adapter adapter = Adapter.Load(Folder(name), golden.Model);
        Assert.Contains(
            "shares its weight", Assert.Throws<InputException>(adapter.Merge).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("lora_bias_trained", "lora", "")]
    [InlineData("prompt_tuning_trained", "prompt_tuning", "")]
    [InlineData("prefix_tuning_trained", "prefix_tuning", "")]
    [InlineData("adalora_trained", "adalora", "")]
    [InlineData("lora_plus_trained", "lora_plus", "ratio=4")]
    [InlineData("lora_fa_trained", "lora_fa", "")]
    public void Training_follows_the_reference(string name, string methodName, string options)
    {
        using var golden = new Golden("qwen2");
        using JsonDocument train = JsonDocument.Parse(File.ReadAllText(Path.Combine(golden.Folder, "train.json")));
        IAdapterMethod method = AdapterMethods.Get(methodName);
        Dictionary<string, object?> given = options.Length == 0 ? []
            : new() { [options.Split('=')[0]] = double.Parse(options.Split('=')[1]) };
        using Adapter adapter = Adapter.Load(Folder(name), golden.Model);
        adapter.Attach();
        using ITrainingHooks rules = method.With(given).Hooks(adapter);
        using var output = new TemporaryFolder();
        var steps = new RecordedSteps();
        var trained = new TrainedAdapter(adapter, rules);
        TrainerOptions settings = MethodParityTests.Options(train.RootElement);
        // PEFT's optimizer has both in another order
        if (methodName == "lora_fa") settings = settings with { WeightDecay = 0, Epsilon = 1e-14 };
        new Trainer(golden.Model.Decoder, trained, settings, output["run"], steps)
            .Run([.. MethodParityTests.Rows(train.RootElement)], []);
        JsonElement[] log =
            [.. JsonDocument.Parse(
                File.ReadAllText(Path.Combine(Folder(name), "log.json"))).RootElement.EnumerateArray()];
        Assert.Equal(log.Length, steps.All.Count);
        foreach ((JsonElement wanted, TrainingStep found) in log.Zip(steps.All))
        {
            // PEFT's loss of AdaLoRA has its penalty in it; ours is reported without.
            if (methodName != "adalora")
                AssertClose(wanted.GetProperty("loss").GetDouble(), found.Loss, $"loss of step {found.Step}");
            AssertClose(wanted.GetProperty("grad_norm").GetDouble(), found.GradientNorm,
                $"gradient norm of step {found.Step}");
        }
        CompareFolders(Path.Combine(Folder(name), "trained"), output["run/adapter"]);
    }

    [Fact]
    public void AdaLoRAs_saved_directions_compute_the_references_logits()
    {
        using var golden = new Golden("qwen2");
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(Folder("adalora_trained"), "io.safetensors"));
        using var scope = NewDisposeScope();
        using Adapter adapter = Adapter.Load(Path.Combine(Folder("adalora_trained"), "trained"), golden.Model);
        adapter.Attach();
        Assert.InRange(
            Golden.LargestDeviation(
                golden.Model.Decoder.Forward(io.Read("input_ids"), io.Read("attention_mask")), io.Read("logits")),
                0, Tolerance);
        AdapterParityTests.CheckBytes(Path.Combine(Folder("adalora_trained"), "trained"), golden.Model);
    }

    [Theory]
    [InlineData("corda_ipm", "corda", "mode=ipm")]
    [InlineData("corda_kpm", "corda", "mode=kpm")]
    [InlineData("lora_ga", "lora_ga", "")]
    [InlineData("eva", "eva", "")]
    public void Starts_that_look_at_data_equal_the_reference(string name, string methodName, string options)
    {
        using var golden = new Golden("qwen2");
        using JsonDocument train = JsonDocument.Parse(File.ReadAllText(Path.Combine(golden.Folder, "train.json")));
        IAdapterMethod method = AdapterMethods.Get(methodName);
        Dictionary<string, object?> given = options.Length == 0 ? []
            : new() { [options.Split('=')[0]] = options.Split('=')[1] };
        var shared = new LoraConfig { Rank = 4, Alpha = 8,
            TargetModules = ModuleSelection.Create("q_proj", "v_proj", "down_proj") };
        using var model = golden;
        IExample[] rows = [.. MethodParityTests.Rows(train.RootElement).Take(3)];
        var calibration = new ExampleCalibration(new CausalObjective(golden.Model.Decoder), rows, 3);
        using var scope = NewDisposeScope();
        Tensor before = golden.Model.Decoder.Forward(golden.Read("input_ids"));
        using Adapter adapter =
            Adapter.Create(golden.Model, method.With(given).Configure(shared), 1, calibration);
        adapter.Attach();
        Assert.InRange(
            Golden.LargestDeviation(golden.Model.Decoder.Forward(golden.Read("input_ids")), before), 0, 1e-5);
        using SafeTensorsFile expected = SafeTensorsFile.Open(Path.Combine(Folder(name), "weights.safetensors"));
        JsonElement ranks = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder(name), "ranks.json"))).RootElement;
        Assert.Equal(ranks.GetProperty("rank_pattern").EnumerateObject()
            .ToDictionary(r => r.Name, r => r.Value.GetInt32()),
            ((LoraConfig)adapter.Config).RankPattern.ToDictionary());
        Assert.Equal(expected.Entries.Keys.Order(), adapter.Weights.Select(weight => weight.Key).Order());
        foreach ((string key, Tensor weight) in adapter.Weights.Where(
            weight => weight.Key.EndsWith("lora_A.weight", StringComparison.Ordinal)))
        {
            string keyB = key.Replace("lora_A", "lora_B", StringComparison.Ordinal);
            // A direction's sign is free, in A and B together; EVA's B is zero, and its directions are PEFT's
            // approximation's.
            Tensor wantedA = expected.Read(key), wantedB = expected.Read(keyB),
                b = adapter.Weights.Single(other => other.Key == keyB).Value;
            if (methodName == "eva")
            {
                Assert.Equal(0, b.abs().max().item<float>());
                Assert.InRange(matmul(weight, wantedA.t()).diagonal().abs().min().item<float>(), 0.99, 1.01);
                continue;
            }
            AssertNear(wantedA.abs(), weight.abs(), key);
            AssertNear(wantedB.abs(), b.abs(), keyB);
            if (methodName == "corda") AssertNear(matmul(wantedB, wantedA), matmul(b, weight), key);
        }
    }

    private static void AssertNear(Tensor expected, Tensor found, string what) =>
        Assert.True((expected - found).abs().max().item<float>() <= 1e-3 * expected.abs().max().item<float>(),
            $"{what}: {(expected - found).abs().max().item<float>()} of {expected.abs().max().item<float>()}");

    private static void CompareFolders(string expectedFolder, string actualFolder)
    {
        using var scope = NewDisposeScope();
        using var expected = SafeTensorsFile.Open(Path.Combine(expectedFolder, Adapter.FileName));
        using var actual = SafeTensorsFile.Open(Path.Combine(actualFolder, Adapter.FileName));
        Assert.Equal(expected.Entries.Keys.Order(), actual.Entries.Keys.Order());
        foreach (string key in expected.Entries.Keys)
        {
            Assert.Equal(expected.Entries[key].Shape, actual.Entries[key].Shape);
            if (expected.Entries[key].ElementCount == 0) continue;
            Tensor wanted = expected.Map(key), found = actual.Map(key);
            Assert.True((wanted - found).abs().max().item<float>()
                <= Tolerance * wanted.abs().max().item<float>(), key);
        }
    }

    private static void AssertClose(double expected, double found, string what) =>
        Assert.True(Math.Abs(expected - found) <= Tolerance * Math.Abs(expected),
            $"{what}: {found}, expected {expected}");
}
