using System.Text.Json.Nodes;
using LowRank.Kernels;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

/// <summary>AdamW with a byte per number of its state, against bitsandbytes' formulas
/// (ParityTests/Reference/make_eight_bit_case.py).</summary>
public sealed class EightBitAdamTests
{
    private const int Count = 5000; // 19 blocks and a part of one

    private static JsonNode Case { get; } =
        JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "eight_bit_case.json")))!;

    [Fact]
    public void The_numbers_are_those_of_bitsandbytes()
    {
        Assert.Equal(Floats("signed"), DynamicMap.Signed.Values);
        Assert.Equal(Floats("unsigned"), DynamicMap.Unsigned.Values);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public void Steps_follow_bitsandbytes(bool isPlain)
    {
        using IDisposable form = KernelForm.Use(isPlain);
        using var scope = NewDisposeScope();
        Tensor weight = Pseudo(99).requires_grad_();
        using AdamW optimizer = Optimizer(weight);
        for (int step = 1; step <= Case["steps"]!.GetValue<int>(); step++)
        {
            weight.grad = Pseudo(step);
            optimizer.Step(0.01 / step);
        }
        Dictionary<string, Tensor> state = new(optimizer.State());
        Assert.Equal(["w.mean.codes", "w.mean.scales", "w.square.codes", "w.square.scales"], state.Keys);
        float[] expected = Floats("weight"), found = weight.detach().data<float>().ToArray();
        // Another order of roundings; where it moves a moment to the neighbouring number, a step differs by a fiftieth
        // of itself at most.
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], found[7 * i], 2e-4f);
        int exact = expected.Where((value, i) => Math.Abs(value - found[7 * i]) <= 1e-6f).Count();
        Assert.True(exact >= 0.99 * expected.Length, $"{exact} of {expected.Length} weights");
        foreach (string name in (string[])["mean", "square"])
        {
            AssertCodes(Convert.FromHexString(Case[name + "_codes"]!.GetValue<string>()),
                state[$"w.{name}.codes"].data<byte>().ToArray());
            float[] scales = state[$"w.{name}.scales"].data<float>().ToArray();
            foreach ((float want, float got) in Floats(name + "_scales").Zip(scales))
                Assert.Equal(want, got, 1e-5f * want);
        }
    }

    [Fact]
    public void The_pass_over_memory_stores_what_torchs_operations_store()
    {
        using var scope = NewDisposeScope();
        byte[][][] states = [.. new[] { false, true }.Select(isPlain =>
        {
            using IDisposable form = KernelForm.Use(isPlain);
            Tensor weight = Pseudo(99).requires_grad_();
            using AdamW optimizer = Optimizer(weight, decay: 0.1);
            weight.grad = Pseudo(1);
            optimizer.Step(0.01, gradientScale: 0.5);
            return optimizer.State().Select(part => part.Value.bytes.ToArray()).ToArray();
        })];
        Assert.Equal(states[1], states[0]);
    }

    [Fact]
    public void Every_number_is_stored_as_its_nearest_and_keeps_its_sign()
    {
        using var scope = NewDisposeScope();
        using var random = new Generator().manual_seed(4);
        Tensor numbers = (rand(40 * 256, generator: random) * Number(2) - Number(1)).pow(Number(9));
        numbers[(3 * 256)..(4 * 256)] = 0; // a block of zeros
        foreach (DynamicMap map in (DynamicMap[])[DynamicMap.Signed, DynamicMap.Unsigned])
        {
            using var moment = new BlockwiseMoment([numbers], map);
            moment.Store(0, map.IsSigned ? numbers : numbers.abs());
            float[] stored = moment.Expand(0, numbers.numel()).data<float>().ToArray(),
                wanted = (map.IsSigned ? numbers : numbers.abs()).data<float>().ToArray();
            for (int i = 0; i < wanted.Length; i++)
            {
                float scale = moment.Parts[0].Scales[i / 256].item<float>();
                float nearest = map.Values.Min(value => Math.Abs(value * scale - wanted[i]));
                // A negative number next to zero goes to the negative neighbour instead.
                float allowed = wanted[i] < 0 ? scale * 1e-6f : 0;
                Assert.True(
                    Math.Abs(stored[i] - wanted[i]) <= nearest + allowed + 1e-9f, $"{wanted[i]} as {stored[i]}");
                if (wanted[i] < 0) Assert.True(stored[i] < 0, $"{wanted[i]} as {stored[i]}");
            }
        }
    }

    [Fact]
    public void Small_weights_keep_float32_and_the_estimate_counts_what_is_held()
    {
        using var scope = NewDisposeScope();
        KeyValuePair<string, Tensor>[] weights =
        [
            KeyValuePair.Create("large", zeros(70, 100).requires_grad_()),
            KeyValuePair.Create("small", zeros(4095).requires_grad_()),
        ];
        using var optimizer = new AdamW(weights, new TrainerOptions { EightBitState = true });
        Assert.Equal(
            ["large.mean.codes", "large.mean.scales", "large.square.codes", "large.square.scales", "small.mean",
                "small.square"],
            optimizer.State().Select(part => part.Key));
        long held = optimizer.State().Sum(part => part.Value.numel() * part.Value.element_size());
        Assert.Equal(held, AdamMoments.Bytes(weights.Select(weight => weight.Value.numel()), packs: true));
        Assert.Equal(2 * 4 * (7000 + 4095), AdamMoments.Bytes([7000, 4095], packs: false));
    }

    private static AdamW Optimizer(Tensor weight, double decay = 0) =>
        new([KeyValuePair.Create("w", weight)], new TrainerOptions { EightBitState = true, WeightDecay = decay });

    private static void AssertCodes(byte[] expected, byte[] found)
    {
        Assert.Equal(expected.Length, found.Length);
        int same = expected.Zip(found).Count(pair => pair.First == pair.Second);
        Assert.True(same >= 0.995 * expected.Length, $"{same} of {expected.Length} bytes");
        Assert.All(expected.Zip(found), pair => Assert.InRange(pair.First - pair.Second, -1, 1));
    }

    // As in the script.
    private static Tensor Pseudo(int step) => tensor([.. Enumerable.Range(0, Count).Select(i =>
        (float)((double)((i * 7919L + step * 104729L) % 1009 - 504) / 1009 * Math.Pow(10, (i * 31 + step) % 5 - 4)))]);

    private static float[] Floats(string name) => [.. Case[name]!.AsArray().Select(value => value!.GetValue<float>())];
}
