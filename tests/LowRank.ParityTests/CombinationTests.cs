using LowRank.Adapters;
using LowRank.Adapters.Combining;
using LowRank.Adapters.Files;
using LowRank.IO;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Combined adapters against PEFT's add_weighted_adapter, weights 0.7 and 0.4.</summary>
public sealed class CombinationTests
{
    private const double Tolerance = 1e-4; // absolute, on logits and on B·A

    private static readonly string Variants = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", "variants");

    public static TheoryData<string, double?, int?> Kinds => new()
    {
        { "linear", null, null }, { "cat", null, null }, { "svd", null, 6 }, { "ties", 0.5, null },
            { "ties_svd", 0.5, 6 }, { "magnitude_prune", 0.5, null },
    };

    [Theory, MemberData(nameof(Kinds))]
    public void A_combination_equals_the_references_product_and_logits(string kind, double? density, int? rank)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        LoraFolder combined = AdapterCombination.Combine(
            [(LoraFolder.Load(Path.Combine(Variants, "combine_a")), 0.7),
                (LoraFolder.Load(Path.Combine(Variants, "combine_b")), 0.4)], kind,
                new CombineOptions { Density = density, Rank = rank });
        combined.Write(folder["mix"]);
        LoraFolder expected = LoraFolder.Load(Path.Combine(Variants, "combined_" + kind, "mix")),
            written = LoraFolder.Load(folder["mix"]);
        Assert.Equal(expected.Modules.Select(module => module.Path), written.Modules.Select(module => module.Path));
        foreach ((LoraModule wanted, LoraModule found) in expected.Modules.Zip(written.Modules))
            Assert.InRange(Golden.LargestDeviation(wanted.Delta(), found.Delta()), 0, Tolerance);
        Assert.Equal(expected.Config.Rank, written.Config.Rank);
        Assert.Equal(expected.Config.Alpha.Value, written.Config.Alpha.Value);

        using var golden = new Golden("qwen2");
        using SafeTensorsFile io = SafeTensorsFile.Open(Path.Combine(Variants, "io.safetensors"));
        using Adapter adapter = Adapter.Load(folder["mix"], golden.Model);
        adapter.Attach();
        Assert.InRange(
            Golden.LargestDeviation(golden.Model.Decoder.Forward(io.Read("input_ids"), io.Read("attention_mask")),
            io.Read("logits.combine." + kind)), 0, Tolerance);
    }

    [Fact]
    public void A_decomposition_that_takes_scales_once_is_the_weighted_sum_of_the_changes()
    {
        using var scope = NewDisposeScope();
        LoraFolder a = LoraFolder.Load(Path.Combine(Variants, "combine_a")),
            b = LoraFolder.Load(Path.Combine(Variants, "combine_b"));
        LoraFolder once =
            AdapterCombination.Combine([(a, 0.7), (b, 0.4)], "svd", new CombineOptions { Rank = 8, ScaleOnce = true });
        foreach ((LoraModule module, int i) in once.Modules.Select((module, i) => (module, i)))
            Assert.InRange(
                Golden.LargestDeviation(
                    module.Delta(), (a.Modules[i].Delta() * Number(0.7)).Plus(b.Modules[i].Delta() * Number(0.4))), 0,
                1e-6);
    }

    [Fact]
    public void Dropping_at_random_keeps_the_mean_and_follows_the_seed()
    {
        using var scope = NewDisposeScope();
        LoraFolder a = LoraFolder.Load(Path.Combine(Variants, "combine_a")),
            b = LoraFolder.Load(Path.Combine(Variants, "combine_b"));
        Tensor Mixed(string kind, long seed) =>
            AdapterCombination.Combine(
                [(a, 0.7), (b, 0.4)], kind,
                new CombineOptions { Density = 0.5, Rank = kind.EndsWith("svd", StringComparison.Ordinal) ? 64
                : null, Seed = seed, ScaleOnce = kind.EndsWith("svd", StringComparison.Ordinal) }).Modules[0].Delta();
        foreach (string kind in new[] { "dare_linear", "dare_ties", "dare_linear_svd", "dare_ties_svd" })
        {
            Assert.Equal(0, Golden.LargestDeviation(Mixed(kind, 1), Mixed(kind, 1)));
            Assert.NotEqual(0, Golden.LargestDeviation(Mixed(kind, 1), Mixed(kind, 2)));
        }
        Tensor whole = (a.Modules[0].Delta() * Number(0.7)).Plus(b.Modules[0].Delta() * Number(0.4));
        Tensor mean = Enumerable.Range(0, 300).Select(seed => Mixed("dare_linear_svd", seed))
            .Aggregate((x, y) => x.Plus(y)) / Number(300);
        // 1/√300 of a deviation of one
        Assert.InRange((mean - whole).norm().item<float>() / whole.norm().item<float>(), 0, 0.1);
    }

    [Fact]
    public void All_that_does_not_go_together_is_said_at_once()
    {
        using var scope = NewDisposeScope();
        LoraFolder a = LoraFolder.Load(Path.Combine(Variants, "combine_a")),
            c = LoraFolder.Load(Path.Combine(Variants, "combine_c")),
            biases = LoraFolder.Load(Path.Combine(Variants, "bias_all"));
        InputException failure = Assert.Throws<InputException>(
            () => AdapterCombination.Combine(
                [(a, 1), (c, double.NaN), (biases, 1)], "ties", new CombineOptions { Rank = 3 }));
        Assert.Contains(
            failure.Problems, problem =>
            problem.StartsWith("weights: found one that is not finite", StringComparison.Ordinal));
        Assert.Contains(failure.Problems, problem => problem.StartsWith("density: missing", StringComparison.Ordinal));
        Assert.Contains(
            failure.Problems, problem =>
            problem.StartsWith("rank: found 3, which has no effect with ties", StringComparison.Ordinal));
        Assert.Contains(failure.Problems, problem => problem.Contains("ranks are 4 and 8", StringComparison.Ordinal));
        Assert.Contains(failure.Problems, problem => problem.Contains("trains biases", StringComparison.Ordinal));
        Assert.Contains(
            "expected one of cat, dare_linear",
            Assert.Throws<InputException>(
                () => AdapterCombination.Combine([(a, 1)], "mean", new CombineOptions())).Message,
                StringComparison.Ordinal);
        foreach (string variant in new[] { "dora", "trainable_tokens", "pissa", "vera" })
            Assert.Contains(
                "plain low-rank pairs",
                Assert.Throws<InputException>(() => LoraFolder.Load(Path.Combine(Variants, variant))).Message,
                StringComparison.Ordinal);
    }
}
