using LowRank.Adapters;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Quantization;
using LowRank.Testing;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>A text's logits are the same to the last bit, whatever texts are generated beside it.</summary>
public sealed class RowIndependenceTests
{
    private const int Steps = 5;
    private static readonly int[] Lengths = [9, 1, 4, 4, 13, 2, 6, 1, 3, 7, 5, 2, 8, 1, 3, 4, 6, 2];

    public static TheoryData<string> Decoders => Golden.Decoders;

    [Theory, MemberData(nameof(Decoders))]
    public void In_every_family(string family)
    {
        using var golden = new Golden(family);
        AssertIndependent(golden.Model.Decoder);
    }

    [Theory]
    [InlineData("bfloat16"), InlineData("int8"), InlineData("nf4")]
    public void In_every_format(string format)
    {
        using var golden = new Golden("llama");
        using PretrainedModel model = PretrainedModel.Open(golden.Folder, baseDtype: format);
        AssertIndependent(model.Decoder);
    }

    // Where a prompt precedes the texts, torch attends to it and to padding, in an order of its own.
    public static TheoryData<string> Methods =>
        [.. AdapterMethods.Names.Except(["loftq", "bitfit", "prompt_tuning", "prefix_tuning"])];

    [Theory, MemberData(nameof(Methods))]
    public void With_every_method(string name)
    {
        using var golden = new Golden("llama");
        using Adapter adapter = MethodPropertyTests.Create(
            name, seed: 1, rank: 4, alpha: 8, ["q_proj", "v_proj", "down_proj"], golden);
        MethodPropertyTests.Stir(adapter, 1);
        adapter.Attach();
        AssertIndependent(golden.Model.Decoder);
    }

    [Theory]
    [InlineData("llama"), InlineData("gpt2"), InlineData("mixtral"), InlineData("qwen2_moe"), InlineData("bloom")]
    public void With_adapters_by_row(string family)
    {
        using var golden = new Golden(family);
        using var set = new AdapterSet(golden.Model);
        foreach (string name in new[] { "one", "two" })
        {
            Adapter adapter = Adapter.Create(golden.Model, new LoraConfig
            {
                TargetModules = ModuleSelection.AllLinear, InitLoraWeights = InitialWeights.False,
            }, seed: name.Length + name[0]);
            set.Add(name, adapter);
        }
        string?[] names = [.. Lengths.Select((_, row) => (row % 3) switch { 0 => null, 1 => "one", _ => "two" })];
        AssertIndependent(golden.Model.Decoder, row => set.UseRows(row is { } one ? [names[one]] : names));
    }

    // Use prepares all rows, or one.
    private static void AssertIndependent(Decoder model, Func<int?, IDisposable>? use = null)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        int[][] texts = [.. Lengths.Select((length, row) => Enumerable.Range(0, length)
            .Select(i => (7 * row + 3 * i + 1) % Math.Min(100, model.VocabularySize)).ToArray())];
        float[][][] together;
        using (use?.Invoke(null)) together = Logits(model, texts);
        for (int row = 0; row < texts.Length; row++)
        {
            using IDisposable? one = use?.Invoke(row);
            float[][] alone = [.. Logits(model, [texts[row]]).Select(step => step[0])];
            for (int step = 0; step <= Steps; step++)
                Assert.True(alone[step].AsSpan().SequenceEqual(together[step][row]),
                    $"step {step} of row {row} ({texts[row].Length} tokens) differs by " +
                    $"{alone[step].Zip(together[step][row], (a, b) => Math.Abs(a - b)).Max()}");
        }
    }

    // By step and row.
    private static float[][][] Logits(Decoder model, int[][] texts)
    {
        using var scope = NewDisposeScope();
        using var cache = new KeyValueCache(
            model.Shape, texts.Length, texts.Max(text => text.Length) + Steps, model.Device);
        var logits = new List<float[][]>();
        void Add(Tensor hidden)
        {
            Tensor rows = model.Logits(hidden);
            logits.Add([.. Enumerable.Range(0, texts.Length).Select(row => rows[row].data<float>().ToArray())]);
        }
        Add(model.Prefill(texts, cache));
        for (int step = 0; step < Steps; step++)
        {
            long[] next = [.. texts.Select(text => (long)(text[0] + step) % model.VocabularySize)];
            Add(model.Hidden(tensor(next).view(-1, 1), null, cache).select(1, 0));
        }
        return [.. logits];
    }
}
