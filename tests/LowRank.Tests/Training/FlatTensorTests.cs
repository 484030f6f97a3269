using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Training;

public sealed class FlatTensorTests
{
    [Fact]
    public void Adopted_tensors_keep_values_and_handles_and_lie_in_one()
    {
        using var scope = NewDisposeScope();
        Tensor first = Indices(0, 6, type: ScalarType.Float32).view(2, 3).clone().requires_grad_(),
            second = full(1, Number(7f)), third = ones(17);
        FlatTensor flat = FlatTensor.Adopt([first, second, third, second]);
        Assert.Equal(16 + 16 + 32, flat.Whole.numel());
        Assert.Equal([2, 3], first.shape);
        Assert.Equal([0f, 1, 2, 3, 4, 5], first.data<float>().ToArray());
        Assert.Equal(15 + 7 + 17, flat.Whole.sum().item<float>());
        Assert.True(first.requires_grad && first.is_leaf && !second.requires_grad);
        using (no_grad()) flat.Whole.mul_(Number(2));
        Assert.Equal(14f, second.item<float>());
        (first * Number(3)).sum().backward();
        Assert.Equal(18f, first.grad!.sum().item<float>());
        flat.Dispose();
        Assert.Equal(10f, first.data<float>()[5]);
    }

    [Fact]
    public void What_does_not_fit_into_one_is_refused()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>(() => FlatTensor.Zeros([ones(2), ones(2, ScalarType.Float64)]));
        Assert.Throws<ArgumentException>(() => FlatTensor.Zeros([ones(2), empty(2, device: META)]));
    }
}
