using CsCheck;
using LowRank.Adapters;
using LowRank.Adapters.Combining;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Properties of operations on adapters, for random shapes, ranks and scales.</summary>
public sealed class OperationTests
{
    private static readonly string Goldens = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens");

    private static readonly Gen<(
        int Seed, int Inputs, int Outputs, int Rank, double Alpha, bool RankStabilized)> Shapes =
        Gen.Select(Gen.Int[0, 1_000_000], Gen.Int[2, 40], Gen.Int[2, 40], Gen.Int[1, 12],
            Gen.Double[0.1, 40], Gen.Bool);

    [Fact]
    public void Side_by_side_is_the_weighted_sum() =>
        Gen.Select(Shapes, Gen.Int[1, 12], Gen.Double[-2, 2], Gen.Double[-2, 2]).Sample((shape, otherRank, one, two) =>
    {
        using var scope = NewDisposeScope();
        LoraFolder a = Random(shape), b = Random(shape with { Seed = shape.Seed + 1, Rank = otherRank });
        Tensor combined =
            AdapterCombination.Combine([(a, one), (b, two)], "cat", new CombineOptions()).Modules[0].Delta();
        Tensor expected = (a.Modules[0].Delta() * Number(one)).Plus(b.Modules[0].Delta() * Number(two));
        AssertNear(expected, combined);
    }, iter: 100);

    [Fact]
    public void A_single_adapter_with_weight_one_stays_what_it_is() => Shapes.Sample(shape =>
    {
        using var scope = NewDisposeScope();
        LoraFolder a = Random(shape);
        foreach (string kind in new[] { "linear", "cat" })
            AssertNear(a.Modules[0].Delta(),
                AdapterCombination.Combine([(a, 1)], kind, new CombineOptions()).Modules[0].Delta());
    }, iter: 100);

    [Fact]
    public void Resizing_at_full_rank_is_exact_and_a_smaller_rank_is_the_nearest() => Shapes.Sample(shape =>
    {
        using var scope = NewDisposeScope();
        LoraFolder a = Random(shape);
        Tensor delta = a.Modules[0].Delta();
        (LoraFolder full, IReadOnlyList<KeptEnergy> kept) = AdapterResize.Resize(a, shape.Rank);
        AssertNear(delta, full.Modules[0].Delta());
        Assert.InRange(kept[0].Fraction, 1 - 1e-9, 1 + 1e-9);
        int smaller = Math.Max(1, shape.Rank / 2);
        (LoraFolder small, IReadOnlyList<KeptEnergy> less) = AdapterResize.Resize(a, smaller);
        double[] values = linalg.svdvals(delta.to(ScalarType.Float64)).data<double>().ToArray();
        double lost = Math.Sqrt(values.Skip(smaller).Sum(value => value * value)); // Eckart and Young
        Assert.InRange(
            (delta - small.Modules[0].Delta()).norm().item<float>(), lost - 1e-4 * values[0], lost + 1e-4 * values[0]);
        Assert.InRange(less[0].Fraction, 0, 1 + 1e-9);
    }, iter: 100);

    [Fact]
    public void What_is_written_is_read_back_equal() => Shapes.Sample(shape =>
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        LoraFolder a = Random(shape);
        a.Write(folder["adapter"]);
        LoraFolder read = LoraFolder.Load(folder["adapter"]);
        Assert.Equal(0, Golden.LargestDeviation(a.Modules[0].A, read.Modules[0].A));
        Assert.Equal(0, Golden.LargestDeviation(a.Modules[0].B, read.Modules[0].B));
        Assert.InRange(read.Modules[0].Scale / a.Modules[0].Scale, 1 - 1e-12, 1 + 1e-12);
    }, iter: 30);

    [Fact]
    public void Merging_and_unmerging_restores_the_weights_to_rounding() =>
        Gen.Select(Gen.Int[0, 1000], Gen.Int[1, 16], Gen.Double[0.1, 8],
        Gen.OneOf("lora", "dora", "vera", "loha", "lokr", "ia3", "pissa")).Sample((seed, rank, alpha, method) =>
    {
        using var golden = new Golden("qwen2");
        using var scope = NewDisposeScope();
        LoraConfig shared =
            new() { Rank = rank, Alpha = alpha, InitLoraWeights = InitialWeights.False, TargetModules = method == "ia3"
            ? null : ModuleSelection.AllLinear };
        var kind = LowRank.Adapters.AdapterMethods.Get(method);
        using Adapter adapter = Adapter.Create(golden.Model, kind.Configure(shared), seed);
        Dictionary<string, Tensor> before = golden.Model.Network.Parameters.ToDictionary(
            weight => weight.Key, weight => weight.Value.clone());
        adapter.Merge();
        adapter.Unmerge();
        foreach ((string name, Tensor weight) in golden.Model.Network.Parameters)
            Assert.True(Golden.LargestDeviation(weight, before[name]) < 2e-5, $"{method}: {name}");
    }, iter: 20);

    [Fact]
    public void An_extracted_adapter_of_a_merged_model_is_the_adapter_again()
    {
        using var golden = new Golden("qwen2");
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        string given = Path.Combine(Goldens, "variants", "combine_a");
        using (Adapter adapter = Adapter.Load(given, golden.Model))
            AdapterMerge.Write(golden.Model, adapter, folder["merged"]);
        ExtractedAdapter extracted = AdapterExtraction.Extract(
            golden.Folder, folder["merged"], 4, ModuleSelection.Create("q_proj", "v_proj", "down_proj"));
        Assert.Empty(extracted.OtherChanges);
        LoraFolder expected = LoraFolder.Load(given);
        Assert.Equal(expected.Modules.Select(module => module.Path),
            extracted.Adapter.Modules.OrderBy(module => module.Path, StringComparer.Ordinal)
            .Select(module => module.Path).Order(StringComparer.Ordinal));
        foreach (LoraModule module in expected.Modules)
            AssertNear(module.Delta(), extracted.Adapter.Modules.Single(other => other.Path == module.Path).Delta());
        Assert.All(extracted.Kept, kept => Assert.InRange(kept.Fraction, 0.9999, 1.0001));
        extracted.Adapter.Write(folder["extracted"]);
        using Adapter loaded = Adapter.Load(folder["extracted"], golden.Model);
        Assert.Equal(6, loaded.Layers.Count);
        Assert.Contains(
            "nothing to extract",
            Assert.Throws<InputException>(() => AdapterExtraction.Extract(golden.Folder, golden.Folder, 4)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Layers_that_did_not_change_are_no_targets_of_an_extracted_adapter()
    {
        using var golden = new Golden("qwen2");
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using (Adapter adapter = Adapter.Load(Path.Combine(Goldens, "variants", "combine_a"), golden.Model))
            AdapterMerge.Write(golden.Model, adapter, folder["merged"]);
        ExtractedAdapter extracted = AdapterExtraction.Extract(golden.Folder, folder["merged"], 4);
        Assert.Equal(6, extracted.Kept.Count); // of 14 linear layers
        extracted.Adapter.Write(folder["extracted"]);
        using Adapter loaded = Adapter.Load(folder["extracted"], golden.Model);
        Assert.Equal(LoraFolder.Load(Path.Combine(Goldens, "variants", "combine_a")).Modules.Select(
            module => module.Path).Order(StringComparer.Ordinal), loaded.Layers.Keys.Order(StringComparer.Ordinal));
    }

    [Theory, InlineData(ScalarType.BFloat16), InlineData(ScalarType.Float16)]
    public void Half_precision_is_merged_in_float32_and_rounded_once(ScalarType type)
    {
        using var golden = new Golden("qwen2");
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using (LowRank.IO.Checkpoint stored = LowRank.IO.Checkpoint.Open(golden.Folder))
            ModelFolder.Write(
                golden.Folder, folder["half"],
                [.. stored.Entries.Keys.Select(name => KeyValuePair.Create(name, stored.Map(name).to(type)))]);
        string given = Path.Combine(Goldens, "variants", "combine_a");
        using PretrainedModel half = PretrainedModel.Open(folder["half"]);
        using (Adapter adapter = Adapter.Load(given, half))
            AdapterMerge.Write(half, [(adapter, 0.5)], folder["merged"]);
        using LowRank.IO.Checkpoint before = LowRank.IO.Checkpoint.Open(folder["half"]),
            merged = LowRank.IO.Checkpoint.Open(folder["merged"]);
        LoraModule module = LoraFolder.Load(given).Modules[0];
        Tensor exact = before.Map(module.Path + ".weight").to(ScalarType.Float32).Plus(module.Delta() * Number(0.5));
        Assert.Equal(type, merged.Entries[module.Path + ".weight"].Type);
        Assert.Equal(0,
            Golden.LargestDeviation(
                exact.to(type).to(ScalarType.Float32), merged.Map(module.Path + ".weight").to(ScalarType.Float32)));
    }

    [Theory, InlineData(float.NaN), InlineData(1e30f)]
    public void A_merge_whose_result_is_not_finite_is_refused_and_writes_nothing(float value)
    {
        using var golden = new Golden("qwen2");
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using (LowRank.IO.Checkpoint stored = LowRank.IO.Checkpoint.Open(golden.Folder))
            ModelFolder.Write(
                golden.Folder, folder["half"],
                [.. stored.Entries.Keys.Select(
                    name => KeyValuePair.Create(name, stored.Map(name).to(ScalarType.Float16)))]);
        using PretrainedModel half = PretrainedModel.Open(folder["half"]);
        using Adapter adapter = Adapter.Load(Path.Combine(Goldens, "variants", "combine_a"), half);
        using (no_grad()) adapter.Weights[0].Value[0, 0] = value; // the second overflows float16 alone
        Assert.Contains(
            "is not finite in Float16",
            Assert.Throws<NonFiniteException>(() => AdapterMerge.Write(half, adapter, folder["merged"])).Message,
            StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["merged"]));
    }

    [Fact]
    public void What_an_adapter_was_trained_for_and_its_tokenizer_come_along()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        LoraFolder plain = LoraFolder.Load(Path.Combine(Goldens, "variants", "combine_a"));
        plain.Write(folder["given"]);
        new AdapterTask("text_embedding") { Pooling = "cls" }.Save(folder["given"]);
        File.WriteAllText(
            folder["given/tokenizer.json"], LowRank.Tokenizers.BytePairTrainer.Train(["a b c"], 256, []));
        AdapterResize.Resize(LoraFolder.Load(folder["given"]), 2).Adapter.Write(folder["resized"]);
        AdapterCombination.Combine([(LoraFolder.Load(folder["given"]), 1), (LoraFolder.Load(folder["given"]), 1)],
            "cat", new CombineOptions()).Write(folder["combined"]);
        foreach (string made in new[] { "resized", "combined" })
        {
            Assert.Equal("cls", AdapterTask.Load(folder[made])!.Pooling);
            Assert.Equal(File.ReadAllBytes(folder["given/tokenizer.json"]),
                File.ReadAllBytes(folder[made + "/tokenizer.json"]));
        }
    }

    [Fact]
    public void What_no_pair_holds_is_named_or_kept_whole()
    {
        using var golden = new Golden("qwen2");
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using (Adapter adapter = Adapter.Load(
            Path.Combine(Goldens, "variants", "modules_to_save", "trained"), golden.Model))
            AdapterMerge.Write(golden.Model, adapter, folder["merged"]);
        ExtractedAdapter whole = AdapterExtraction.Extract(golden.Folder, folder["merged"], 8, saveOthers: true);
        Assert.Equal(["lm_head.weight"], whole.OtherChanges);
        whole.Adapter.Write(folder["extracted"]);
        using PretrainedModel merged = PretrainedModel.Open(folder["merged"]);
        using Adapter loaded = Adapter.Load(folder["extracted"], golden.Model);
        loaded.Attach();
        Assert.InRange(
            Golden.LargestDeviation(
                golden.Model.Decoder.Forward(golden.Read("input_ids")),
                merged.Decoder.Forward(golden.Read("input_ids"))), 0, 1e-4);
    }

    [Theory, InlineData("variants/combine_a", "qwen2"), InlineData("variants/patterns", "qwen2"),
        InlineData("variants/rslora", "qwen2"), InlineData("variants/dora", "qwen2"), InlineData("llama/lora", "llama")]
    public void To_mlx_and_back_computes_the_same(string adapterFolder, string family)
    {
        using var golden = new Golden(family);
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        string given = Path.Combine(Goldens, adapterFolder);
        MlxFolder.FromPeft(given, golden.Folder, folder["mlx"]);
        MlxFolder.ToPeft(folder["mlx"], golden.Folder, folder["peft"]);
        Tensor Logits(string path)
        {
            using Adapter adapter = Adapter.Load(path, golden.Model);
            adapter.Attach();
            return golden.Model.Decoder.Forward(golden.Read("input_ids"));
        }
        Assert.InRange(Golden.LargestDeviation(Logits(given), Logits(folder["peft"])), 0, 1e-5);
    }

    [Fact]
    public void The_difference_of_an_adapter_from_itself_is_none_and_from_its_opposite_twice_itself()
    {
        using var scope = NewDisposeScope();
        LoraFolder a = LoraFolder.Load(Path.Combine(Goldens, "variants", "combine_a"));
        LoraFolder opposite = a with { Modules = [.. a.Modules.Select(module => module with { B = module.B.neg() })] };
        AdapterDifference same = AdapterDifference.From(a, a), other = AdapterDifference.From(a, opposite);
        Assert.Empty(same.Settings);
        Assert.All(same.Modules, module => Assert.InRange(module.Distance!.Value, 0, 1e-6));
        Assert.All(same.Modules, module => Assert.InRange(module.Overlap!.Value, 1 - 1e-9, 1 + 1e-9));
        Assert.All(other.Modules, module => Assert.InRange(module.Cosine!.Value, -1 - 1e-9, -1 + 1e-9));
        Assert.All(other.Modules,
            module => Assert.InRange(module.Distance!.Value / module.FirstNorm, 2 - 1e-6, 2 + 1e-6));
    }

    private static LoraFolder Random(
        (int Seed, int Inputs, int Outputs, int Rank, double Alpha, bool RankStabilized) shape)
    {
        using Generator random = new Generator().manual_seed(shape.Seed);
        Tensor a = empty(shape.Rank, shape.Inputs).normal_(0, 1, random),
            b = empty(shape.Outputs, shape.Rank).normal_(0, 1, random);
        LoraConfig config =
            new() { Rank = shape.Rank, Alpha = shape.Alpha, UseRsLora = shape.RankStabilized,
            TargetModules = ModuleSelection.Create("q_proj") };
        return new LoraFolder(
            config, [
                new LoraModule("model.layers.0.self_attn.q_proj", false, a, b, config.Scale(shape.Rank, shape.Alpha))],
                new Dictionary<string, Tensor>());
    }

    private static void AssertNear(Tensor expected, Tensor found) =>
        Assert.InRange(
            Golden.LargestDeviation(expected, found), 0, 2e-5 * Math.Max(1e-3, expected.abs().max().item<float>()));
}
