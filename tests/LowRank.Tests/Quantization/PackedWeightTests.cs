using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Quantization;

public sealed class PackedWeightTests
{
    public static TheoryData<string, int, int, int> Shapes
    {
        get
        {
            var data = new TheoryData<string, int, int, int>();
            foreach (string format in (string[])["nf4", "int8", "bfloat16"])
                foreach ((int rows, int outputs, int inputs) in new[] { (1, 96, 128), (3, 33, 192), (8, 64, 64),
                    (9, 96, 128), (40, 31, 50), (1, 7, 9), (5, 2000, 320) })
                    data.Add(format, rows, outputs, inputs);
            return data;
        }
    }

    [Theory, MemberData(nameof(Shapes))]
    public void Products_are_those_of_the_expanded_matrix(string format, int rows, int outputs, int inputs)
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        using PackedWeight packed = Pack(format, outputs, inputs, buffer);
        Tensor wide = packed.Expand(), input = randn(2, rows, inputs), bias = randn(outputs);
        Near(nn.functional.linear(input, wide, bias), packed.Linear(input, bias));
        Near(nn.functional.linear(input[0], wide), packed.Product(input[0]));
        Tensor gradient = randn(rows, outputs);
        Near(matmul(gradient, wide), packed.BackProduct(gradient));
    }

    [Theory, InlineData("nf4"), InlineData("int8"), InlineData("bfloat16")]
    public void Gradients_are_those_of_the_expanded_matrix(string format)
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        using PackedWeight packed = Pack(format, 48, 128, buffer);
        Tensor wide = packed.Expand(), weight = randn(2, 6, 48);
        Tensor input = randn(2, 6, 128).requires_grad_(), other = input.detach().clone().requires_grad_();
        Tensor bias = zeros(48).requires_grad_(), otherBias = zeros(48).requires_grad_();
        (packed.Linear(input * Number(2), bias).tanh() * weight).sum().backward();
        (nn.functional.linear(other * Number(2), wide, otherBias).tanh() * weight).sum().backward();
        Near(other.grad!, input.grad!);
        Near(otherBias.grad!, bias.grad!);
    }

    // What other devices compute with, here on the processor's memory.
    [Theory, MemberData(nameof(Shapes))]
    public void On_another_device_a_weight_expands_to_the_same_bits(string format, int rows, int outputs, int inputs)
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        PackedWeight packed = Pack(format, outputs, inputs, buffer);
        Tensor wide = packed.Expand(), input = randn(2, rows, inputs), bias = randn(outputs),
            gradient = randn(rows, outputs);
        using PackedWeight moved = packed.MoveTo(CPU);
        Assert.True(moved.IsOnDevice);
        Assert.True(moved.Expand().eq(wide).all().item<bool>());
        Near(nn.functional.linear(input, wide, bias), moved.Linear(input, bias));
        Near(matmul(gradient, wide), moved.BackProduct(gradient));
        Assert.Throws<InvalidOperationException>(() => moved.Stored("weight", "float32"));
    }

    [Theory, InlineData("nf4"), InlineData("int8"), InlineData("bfloat16")]
    public void On_another_device_gradients_are_those_of_the_expanded_matrix(string format)
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        PackedWeight packed = Pack(format, 48, 128, buffer);
        Tensor wide = packed.Expand(), weight = randn(2, 6, 48), input = randn(2, 6, 128).requires_grad_(),
            other = input.detach().clone().requires_grad_();
        using PackedWeight moved = packed.MoveTo(CPU);
        (moved.Linear(input * Number(2)).tanh() * weight).sum().backward();
        (nn.functional.linear(other * Number(2), wide).tanh() * weight).sum().backward();
        Near(other.grad!, input.grad!);
    }

    [Theory, InlineData("nf4"), InlineData("int8")]
    public void On_another_device_large_matrices_are_multiplied_part_by_part(string format)
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        PackedWeight packed = Pack(format, 4200, 8192, buffer); // 34.4 M values; a part has 33.5
        Tensor wide = packed.Expand(), input = randn(2, 8192), gradient = randn(2, 4200);
        using PackedWeight moved = packed.MoveTo(CPU);
        Assert.True(moved.Expand().eq(wide).all().item<bool>());
        Near(matmul(input, wide.t()), moved.Product(input));
        Near(matmul(gradient, wide), moved.BackProduct(gradient));
    }

    [Fact]
    public void Matrices_larger_than_the_buffer_are_multiplied_part_by_part()
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        using PackedWeight packed = Pack("nf4", 5000, 2048, buffer); // 10 M values; the buffer holds 8
        Tensor wide = packed.Expand(), input = randn(10, 2048), gradient = randn(10, 5000);
        Near(matmul(input, wide.t()), packed.Product(input));
        Near(matmul(gradient, wide), packed.BackProduct(gradient));
        Assert.Equal((8L << 20) / 2048 * 2048, buffer.Capacity);
    }

    [Fact]
    public void One_buffer_serves_all_and_two_uses_at_once_are_refused()
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        using PackedWeight small = Pack("nf4", 16, 50, buffer), large = Pack("nf4", 64, 50, buffer);
        small.BackProduct(randn(2, 16));
        large.BackProduct(randn(2, 64));
        small.BackProduct(randn(2, 16));
        Assert.Equal(64 * 50, buffer.Capacity);
        unsafe { buffer.Lend(10, out _); }
        Assert.Throws<InvalidOperationException>(() => small.BackProduct(randn(2, 16)));
        buffer.Return();
        small.BackProduct(randn(2, 16));
    }

    private static PackedWeight Pack(string format, int outputs, int inputs, ExpansionBuffer buffer)
    {
        using var random = new Generator().manual_seed(outputs + inputs);
        using Tensor weight = randn([outputs, inputs], generator: random);
        return WeightFormats.Get(format)!.Pack(weight, buffer);
    }

    private static void Near(Tensor expected, Tensor found)
    {
        Assert.Equal(expected.shape, found.shape);
        Assert.InRange(
            (expected - found).abs().max().item<float>(), 0, 2e-5 * Math.Max(1, expected.abs().max().item<float>()));
    }
}
