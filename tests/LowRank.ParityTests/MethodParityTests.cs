using System.Text.Json;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.IO;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Each kind of adapter against PEFT: logits attached and merged, files byte for byte, twelve steps of
/// training.</summary>
public sealed class MethodParityTests
{
    private const double Tolerance = 1e-4; // absolute on float32 logits, relative on losses
    private const double Rounding = 1e-5;  // of logits after weights were changed and changed back

    public static TheoryData<string> Kinds =>
        ["dora", "embedding", "trainable_tokens", "orthogonal", "target_parameters_none_alpha1", "vera", "ia3", "loha",
            "lokr", "adalora", "pissa", "olora"];

    public static TheoryData<string> Trained =>
        ["rslora", "patterns", "layers_to_transform", "all_linear", "regex", "exclude", "bias_all", "bias_lora_only",
            "modules_to_save", "dora", "embedding",
            "trainable_tokens", "orthogonal", "target_parameters_none_alpha1", "vera", "ia3", "loha", "lokr",
            "pissa", "olora"];

    [Theory, MemberData(nameof(Kinds))]
    public void Logits_equal_the_reference_attached_merged_and_detached(string kind)
    {
        using var golden = new Golden("qwen2");
        string folder = Path.Combine(golden.Folder, "..", "variants");
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(folder, "io.safetensors"));
        using var scope = NewDisposeScope();
        using Adapter adapter = Adapter.Load(Path.Combine(folder, kind), golden.Model);
        Tensor Logits() => golden.Model.Decoder.Forward(io.Read("input_ids"), io.Read("attention_mask"));
        Tensor before = Logits();
        adapter.Attach();
        Assert.InRange(Golden.LargestDeviation(Logits(), io.Read($"logits.{kind}")), 0, Tolerance);
        adapter.Merge();
        Assert.InRange(Golden.LargestDeviation(Logits(), io.Read($"logits.{kind}.merged")), 0, Tolerance);
        adapter.Unmerge();
        Assert.InRange(Golden.LargestDeviation(Logits(), before), 0, Rounding);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_saved_adapter_equals_PEFTs_files_byte_for_byte(string kind)
    {
        // PiSSA and OLoRA are written so that they are right on the untouched base: another test's matter.
        if (kind is "pissa" or "olora") return;
        using var golden = new Golden("qwen2");
        string folder = Path.Combine(golden.Folder, "..", "variants", kind);
        AdapterParityTests.CheckBytes(folder, golden.Model);
        if (Directory.Exists(Path.Combine(folder, "trained")))
            AdapterParityTests.CheckBytes(Path.Combine(folder, "trained"), golden.Model);
    }

    [Theory, InlineData("pissa"), InlineData("olora")]
    public void What_began_as_a_part_of_the_base_is_saved_right_for_the_untouched_base(string kind)
    {
        using var golden = new Golden("qwen2");
        string variants = Path.Combine(golden.Folder, "..", "variants");
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(variants, "io.safetensors"));
        using var folder = new TemporaryFolder();
        using (Adapter adapter = Adapter.Load(Path.Combine(variants, kind), golden.Model))
            adapter.Save(folder["saved"]);
        var config = (LoraConfig)AdapterConfig.Load(folder["saved"]);
        Assert.Equal((8, 16.0, "true"), (config.Rank, config.Alpha.Value, config.InitLoraWeights.Name));
        using var scope = NewDisposeScope();
        using Adapter again = Adapter.Load(folder["saved"], golden.Model);
        again.Attach();
        Assert.InRange(
            Golden.LargestDeviation(
                golden.Model.Decoder.Forward(io.Read("input_ids"), io.Read("attention_mask")),
                io.Read($"logits.{kind}")), 0, Tolerance);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_merged_folder_computes_the_adapted_logits(string kind)
    {
        using var golden = new Golden("qwen2");
        string variants = Path.Combine(golden.Folder, "..", "variants");
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(variants, "io.safetensors"));
        using var folder = new TemporaryFolder();
        using (Adapter adapter = Adapter.Load(Path.Combine(variants, kind), golden.Model))
            AdapterMerge.Write(golden.Model, adapter, folder["merged"]);
        using var scope = NewDisposeScope();
        using Models.PretrainedModel merged = Models.PretrainedModel.Open(folder["merged"], TestDevice.Current);
        Assert.InRange(
            Golden.LargestDeviation(
                merged.Decoder.Forward(io.Read("input_ids"), io.Read("attention_mask")),
                io.Read($"logits.{kind}.merged")), 0, Tolerance);
    }

    [Theory, MemberData(nameof(Trained))]
    public void Training_follows_the_reference(string kind)
    {
        using var golden = new Golden("qwen2");
        string folder = Path.Combine(golden.Folder, "..", "variants", kind);
        using Adapter adapter = Adapter.Load(folder, golden.Model);
        adapter.Attach();
        using var output = new TemporaryFolder();
        var steps = new RecordedSteps();
        using JsonDocument train = JsonDocument.Parse(File.ReadAllText(Path.Combine(golden.Folder, "train.json")));
        var trainer = new Trainer(
            golden.Model.Decoder, new TrainedAdapter(adapter), Options(train.RootElement), output["run"], steps);
        trainer.Run([.. Rows(train.RootElement)], []);
        using JsonDocument log = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "train_log.json")));
        JsonElement[] expected = [.. log.RootElement.EnumerateArray()];
        Assert.Equal(expected.Length, steps.All.Count);
        foreach ((JsonElement wanted, TrainingStep found) in expected.Zip(steps.All))
        {
            AssertClose(wanted.GetProperty("loss").GetDouble(), found.Loss, $"loss of step {found.Step}");
            AssertClose(wanted.GetProperty("grad_norm").GetDouble(), found.GradientNorm,
                $"gradient norm of step {found.Step}");
        }
        using SafeTensorsFile end = SafeTensorsFile.Open(Path.Combine(folder, "trained", "adapter_model.safetensors"));
        using var scope = NewDisposeScope();
        Assert.NotEmpty(adapter.TrainedWeights);
        foreach ((string key, Tensor weight) in adapter.TrainedWeights)
        {
            // A bias of keys moves no attention: its gradient is rounding, which AdamW makes steps of, and another
            // device rounds otherwise.
            if (TestDevice.Current.type != DeviceType.CPU && key.EndsWith("k_proj.bias", StringComparison.Ordinal))
                continue;
            Tensor wanted = end.Read(key);
            Assert.True((weight - wanted).abs().max().item<float>()
                <= Tolerance * wanted.abs().max().item<float>(), key);
        }
    }

    internal static TrainerOptions Options(JsonElement train) => new()
    {
        Steps = train.GetProperty("steps").GetInt32(), BatchSize = 3, Shuffle = false,
            LearningRate = train.GetProperty("lr").GetDouble(),
        WarmupSteps = train.GetProperty("warmup").GetInt32(),
            WeightDecay = train.GetProperty("weight_decay").GetDouble(),
        Beta1 = train.GetProperty("betas")[0].GetDouble(), Beta2 = train.GetProperty("betas")[1].GetDouble(),
            Epsilon = train.GetProperty("eps").GetDouble(),
        MaxGradientNorm = train.GetProperty("clip").GetDouble(), Schedule = ScheduleKind.Linear,
    };

    // What is padded stands at a row's end and has no label.
    internal static IEnumerable<TokenizedExample> Rows(JsonElement train)
    {
        JsonElement masks = train.GetProperty("attention_mask");
        for (int step = 0; step < train.GetProperty("steps").GetInt32(); step++)
        {
            for (int row = 0; row < 3; row++)
            {
                JsonElement mask = masks[0][0].ValueKind == JsonValueKind.Array
                    ? masks[step % masks.GetArrayLength()][row] : masks[row];
                int length = mask.EnumerateArray().Sum(value => value.GetInt32());
                int[] Values(string name) =>
                    [.. train.GetProperty(name)[step][row].EnumerateArray().Take(length)
                    .Select(value => value.GetInt32())];
                yield return new TokenizedExample(Values("input_ids"), Values("labels"));
            }
        }
    }

    private static void AssertClose(double expected, double found, string what) =>
        Assert.True(Math.Abs(expected - found) <= Tolerance * Math.Abs(expected),
            $"{what}: {found}, expected {expected}");
}
