using CsCheck;
using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class RotaryTests
{
    [Fact]
    public void Any_heads_turn_to_the_last_bit_as_torch_turns_them() =>
        Gen.Select(Gen.Int[1, 4], Gen.Int[1, 5], Gen.OneOf(Gen.Int[1, 4], Gen.Int[60, 90]), Gen.Int[1, 70],
            Gen.Select(Gen.Int[0, 9], Gen.Bool), Gen.Bool, Gen.Bool, Gen.ULong[1, 1UL << 40]).Sample(
            (batch, heads, sequence, half, kind, shared, folded, seed) =>
        {
            using var scope = NewDisposeScope();
            (int rest, bool interleaved) = kind;
            long width = 2 * half + rest;
            // As a projection gives them: heads beside each other, the sequence before them.
            Tensor states = folded
                ? Rounding.Draw(seed, batch, sequence, heads * width).view(
                    batch, sequence, heads, width).transpose(1, 2)
                : Rounding.Draw(seed, batch, heads, sequence, width);
            Tensor cosine = Rounding.Draw(seed + 1, shared ? 1 : batch, 1, sequence, half),
                sine = Rounding.Draw(seed + 2, shared ? 1 : batch, 1, sequence, half);
            Assert.Null(Rotary.TryRotate(states, cosine, sine, interleaved));
            Tensor ordinary = Rotary.Rotate(states, cosine, sine, interleaved); // autograd is on
            using var noGradient = no_grad();
            Tensor? found = Rotary.TryRotate(states, cosine, sine, interleaved);
            Assert.NotNull(found);
            Assert.Equal(ordinary.shape, found.shape);
            Assert.Equal(ordinary.contiguous().data<float>().ToArray(), found.data<float>().ToArray());
            Assert.Equal(width > 1 && batch * sequence > 0,
                Rotary.Rotate(states, cosine, sine, interleaved).is_contiguous());
        }, iter: 100, threads: 1);

    [Fact]
    public void What_torch_must_compute_is_left_to_it()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor heads = ones(2, 3, 1, 8), angles = ones(1, 1, 1, 4);
        Assert.NotNull(Rotary.TryRotate(heads, angles, angles));
        Assert.Null(Rotary.TryRotate(ones(0, 3, 1, 8), ones(1, 1, 1, 4), ones(1, 1, 1, 4)));
        Assert.Null(Rotary.TryRotate(heads, ones(3, 1, 1, 4), ones(3, 1, 1, 4)));
        Assert.Null(Rotary.TryRotate(heads, angles, ones(2, 1, 1, 4)));
        Assert.Null(Rotary.TryRotate(heads, ones(1, 1, 1, 5), ones(1, 1, 1, 5)));
        Assert.Null(Rotary.TryRotate(heads.to(ScalarType.Float64), angles, angles));
    }
}
