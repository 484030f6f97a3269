using LowRank.Kernels;
using LowRank.Kernels.Native;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class ComputeTypeTests
{
    [Fact]
    public void Float32_is_always_there_and_auto_takes_what_the_device_has()
    {
        Assert.Equal("float32", Devices.ComputeType("float32", CPU));
        Assert.Equal(
            BFloat16Units.Missing(CPU) is null ? "bfloat16" : "float32", Devices.ComputeType("auto", CPU));
        using (BFloat16Units.State(ComputeType.EmulatedBFloat16))
        {
            Assert.Equal("bfloat16", Devices.ComputeType("auto", CPU));
            Assert.Equal(ComputeType.EmulatedBFloat16, ComputeTypes.Choose("bfloat16", CPU));
            Assert.Equal(ComputeType.Float32, ComputeTypes.Choose("float32", CPU));
        }
        Assert.Null(BFloat16Units.Stated);
    }

    [Fact]
    public void A_type_without_its_unit_and_an_unknown_one_are_refused_with_the_reason()
    {
        InputException unknown =
            Assert.Throws<InputException>(() => Devices.ComputeType("float16", CPU));
        Assert.Contains("float16, expected one of float32, bfloat16, auto", unknown.Message);
        // There is no driver for it where these tests run, or a GPU that says what it has.
        string? missing = BFloat16Units.Missing(META);
        Assert.Contains("AVX512_BF16 or AMX", missing);
        Assert.Contains("compute capability 8.0", missing);
        InputException refused = Assert.Throws<InputException>(() => Devices.ComputeType("bfloat16", META));
        Assert.Contains("the compute type is bfloat16, but the device is meta", refused.Message);
        Assert.Contains("Compute in float32", refused.Message);
        Assert.Equal(KnownSettings.ComputeDtype.To("float32"), refused.Details[0].Remedy);
        Assert.Equal("float32", Devices.ComputeType("auto", META));
        if (BFloat16Units.Missing(CPU) is not { } here) return;
        Assert.Contains(" processor ", here);
        Assert.Contains(here, Assert.Throws<InputException>(() => Devices.ComputeType("bfloat16", CPU)).Message);
    }

    [Fact]
    public unsafe void Rounding_gives_torchs_bits()
    {
        using var scope = NewDisposeScope();
        float[] edges = [0, -0f, 1, 1 + 1f / 256, 1 + 3f / 256, -1 - 1f / 256, float.MaxValue, float.Epsilon,
            1e-40f, float.PositiveInfinity, float.NegativeInfinity, 3.3895e38f, 1 + 1f / 128];
        Tensor values = cat([tensor(edges), randn(103) * Number(7), exp(randn(40) * Number(30))]),
            found = empty_like(values,
            ScalarType.BFloat16);
        BFloat16Matrix.Narrow((float*)NativeTensor.Address(values), values.numel(),
            (ushort*)NativeTensor.Address(found));
        Tensor wanted = values.to(ScalarType.BFloat16);
        Assert.Equal(Bits(wanted), Bits(found));
        // Some NaN in any place: torch's own have other bits in vectors than alone.
        values.fill_(Number(float.NaN));
        BFloat16Matrix.Narrow((float*)NativeTensor.Address(values), values.numel(),
            (ushort*)NativeTensor.Address(found));
        Assert.True(found.isnan().all().item<bool>());

        static ushort[] Bits(Tensor half) => new ReadOnlySpan<ushort>(
            (void*)NativeTensor.Address(half), (int)half.numel()).ToArray();
    }

    /// <summary>Emulated, in torch's own products and in the plain form: the exact sums of rounded numbers, rounded,
    /// to the neighbour at most.</summary>
    [Theory, InlineData(ComputeType.EmulatedBFloat16), InlineData(ComputeType.BFloat16)]
    internal void Products_are_those_of_rounded_numbers(ComputeType compute)
    {
        using var scope = NewDisposeScope();
        Tensor rows = Rounding.Draw(1, 40, 70), weight = Rounding.Draw(2, 33, 70).to(ScalarType.BFloat16),
            bias = Rounding.Draw(3, 33), result = empty(40, 33);
        Tensor exact = matmul(rows.to(ScalarType.BFloat16).to(ScalarType.Float64), weight.to(ScalarType.Float64).t());
        compute.Write(result, compute.Prepare(rows), weight.t());
        Near(exact, result);
        Assert.True(result.eq(result.to(ScalarType.BFloat16).to(ScalarType.Float32)).all().item<bool>());
        compute.Write(result, compute.Prepare(rows), weight.t(), adds: true);
        Near(exact * Number(2), result);
        Near(exact, compute.Linear(rows, weight, bias) - bias);
    }

    private static void Near(Tensor wanted, Tensor found) => Assert.True(
        ((wanted - found).abs() <= (wanted.abs() / Number(128)).Plus(1e-5)).all().item<bool>());
}
