using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Quantization;
using static TorchSharp.torch;

namespace LowRank.Tests.Quantization;

public sealed unsafe class KernelTests
{
    public static TheoryData<string> Formats => ["nf4", "int8", "bfloat16"];

    [Fact]
    public void Every_path_of_the_nf4_kernel_gives_the_same_bits()
    {
        byte* packed = stackalloc byte[32];
        float* plain = stackalloc float[64], wide = stackalloc float[64], wider = stackalloc float[64];
        for (int byteValue = 0; byteValue < 256; byteValue++)
        {
            for (int i = 0; i < 32; i++) packed[i] = (byte)(byteValue + 37 * i);
            Nf4Kernel.ExpandAny(packed, 64, 0.37f, plain);
            for (int i = 0; i < 64; i++)
            {
                int code = (i & 1) == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15; // the first value is the high half
                Assert.Equal(Nf4.Levels[code] * 0.37f, plain[i]);
                Assert.Equal(Nf4.Levels[code], Nf4Kernel.Level(packed, i));
            }
            if (Avx2.IsSupported) Nf4Kernel.Expand256(packed, Vector256.Create(0.37f), wide);
            if (Avx512F.IsSupported) Nf4Kernel.Expand512(packed, Vector512.Create(0.37f), wider);
            for (int i = 0; i < 64; i++)
            {
                if (Avx2.IsSupported) Assert.Equal(plain[i], wide[i]);
                if (Avx512F.IsSupported) Assert.Equal(plain[i], wider[i]);
            }
        }
    }

    [Fact]
    public void The_dynamic_map_is_ascending_symmetric_and_ends_at_one()
    {
        float[] values = DynamicMap.Values;
        Assert.Equal(256, values.Length);
        Assert.Equal(values.Order(), values);
        Assert.Equal(256, values.Distinct().Count());
        Assert.Equal(1, values[255]);
        Assert.Equal(0, values[127]);
        Assert.Equal(5.5e-7, values[128], 1e-12);
        Assert.Equal(values[..127].Select(value => -value).Reverse(), values[128..255]);
    }

    [Theory, MemberData(nameof(Formats))]
    public void Any_range_of_a_matrix_is_expanded_alike(string format)
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        using PackedWeight packed = WeightFormats.Get(format)!.Pack(randn(11, 77), buffer);
        float[] whole = packed.Expand().data<float>().ToArray();
        float* part = stackalloc float[847];
        foreach (
            (int first, int count) in new[] { (0, 847), (0, 64), (1, 63), (63, 2), (65, 700), (128, 128),
            (846, 1), (77, 77) })
        {
            packed.Matrix.Expand(first, count, part);
            Assert.Equal(whole[first..(first + count)], new ReadOnlySpan<float>(part, count).ToArray());
        }
    }

    [Theory]
    [InlineData("nf4", 0.15), InlineData("int8", 0.02), InlineData("bfloat16", 0.004)]
    public void A_round_trip_stays_near_and_a_second_one_changes_no_more(string format, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var random = new TorchSharp.torch.Generator().manual_seed(3);
        using var buffer = new ExpansionBuffer();
        Tensor weight = randn([256, 512], generator: random);
        using PackedWeight packed = WeightFormats.Get(format)!.Pack(weight, buffer);
        Tensor once = packed.Expand();
        Assert.InRange(((once - weight).norm() / weight.norm()).item<float>(), 0, tolerance);
        Assert.InRange(packed.Bytes / (double)packed.ElementCount, 0, WeightFormats.Get(format)!.BytesPerWeight * 1.01);
        using PackedWeight again = WeightFormats.Get(format)!.Pack(once, buffer);
        // Scales are rounded too (nf4's are 8-bit): a little remains.
        Assert.InRange(((again.Expand() - once).norm() / weight.norm()).item<float>(), 0, format == "nf4"
            ? 0.01 : 1e-6);
        if (format == "nf4") Assert.True(Nf4.RoundTrip(weight).eq(once).all().item<bool>());
    }

    [Fact]
    public void Values_that_are_not_finite_are_refused()
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        foreach (string format in (string[])["nf4", "int8"])
            foreach (float bad in (float[])[float.NaN, float.PositiveInfinity])
            {
                Tensor weight = ones(4, 64);
                weight[2][5] = tensor(bad);
                Assert.Contains(
                    "not finite", Assert.Throws<InputException>(
                        () => WeightFormats.Get(format)!.Pack(weight, buffer)).Message);
            }
    }

    [Fact]
    public void NF4_takes_at_most_0_6_bytes_a_weight()
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        using PackedWeight packed = WeightFormats.Get("nf4")!.Pack(randn(768, 2304), buffer);
        Assert.InRange(packed.Bytes / (double)packed.ElementCount, 0.5, 0.52);
    }
}
