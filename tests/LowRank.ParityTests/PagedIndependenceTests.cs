using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>A text's logits are the same to the last bit, in whatever passes over pages it is computed and whatever
/// texts are beside it.</summary>
public sealed class PagedIndependenceTests
{
    private static readonly int[] Lengths = [60, 5, 33, 1, 47];

    public static TheoryData<string> Decoders => [.. Golden.Decoders, .. Golden.Settings, "rope_dynamic",
        "phi3_longrope"];

    public static TheoryData<string> Methods => RowIndependenceTests.Methods;

    [Theory, MemberData(nameof(Decoders))]
    public void In_every_family(string family)
    {
        using var golden = new Golden(family, device: CPU);
        AssertIndependent(golden.Model.Decoder);
    }

    [Theory]
    [InlineData("bfloat16"), InlineData("int8"), InlineData("nf4")]
    public void In_every_format(string format)
    {
        using var golden = new Golden("llama", baseDtype: format, device: CPU);
        AssertIndependent(golden.Model.Decoder);
    }

    // Where training and prompts round to bfloat16 for their products.
    [Theory]
    [InlineData("auto"), InlineData("nf4")]
    public void With_products_in_bfloat16(string format)
    {
        using IDisposable stated = BFloat16Units.State(ComputeType.EmulatedBFloat16);
        using var golden = new Golden(
            "llama", baseDtype: format, device: CPU, computeDtype: ComputeTypes.BFloat16);
        AssertIndependent(golden.Model.Decoder);
    }

    [Theory, MemberData(nameof(Methods))]
    public void With_every_method(string name)
    {
        using var golden = new Golden("llama", device: CPU);
        using Adapter adapter = MethodPropertyTests.Create(
            name, seed: 1, rank: 4, alpha: 8, ["q_proj", "v_proj", "down_proj"], golden);
        MethodPropertyTests.Stir(adapter, 1);
        adapter.Attach();
        AssertIndependent(golden.Model.Decoder);
    }

    [Theory]
    [InlineData("llama"), InlineData("gpt2")]
    public void With_adapters_by_row(string family)
    {
        using var golden = new Golden(family, device: CPU);
        using var set = new AdapterSet(golden.Model);
        foreach (string name in new[] { "one", "two" })
            set.Add(name, Adapter.Create(golden.Model, new LoraConfig
            {
                TargetModules = ModuleSelection.AllLinear, InitLoraWeights = InitialWeights.False,
            }, seed: name.Length + name[0]));
        string?[] names = [null, "one", "two", "one", "two"];
        AssertIndependent(golden.Model.Decoder, rows => set.UseRows([.. rows.Select(text => names[text])]));
    }

    private static void AssertIndependent(Decoder model, Func<IReadOnlyList<int>, IDisposable>? use = null)
    {
        int[][] texts = [.. Lengths.Select((length, row) =>
            Enumerable.Range(0, Math.Min(length, model.LongestIndependentLength))
                .Select(i => (7 * row + 3 * i * i + 1) % Math.Min(100, model.VocabularySize)).ToArray())];
        var passes = new PagedPasses(model, texts);
        float[][][] alone = passes.Logits(passes.TokenByToken(), use);
        foreach (int seed in new[] { 1, 2, 3 })
        {
            float[][][] together = passes.Logits(passes.Random(seed), use);
            for (int text = 0; text < texts.Length; text++)
                for (int token = 0; token < texts[text].Length; token++)
                    Assert.True(alone[text][token].AsSpan().SequenceEqual(together[text][token]),
                        $"token {token} of text {text} differs by " +
                        $"{alone[text][token].Zip(together[text][token], (a, b) => Math.Abs(a - b)).Max()}");
        }
    }
}
