using System.Runtime.InteropServices;
using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>What the second run of a recomputed part leaves out: the last product, where it is only added.</summary>
public sealed class RecomputationTests
{
    public static TheoryData<string, bool> Parts => new()
    {
        { "product", true }, { "sum", true }, { "dropped sum", true }, { "sum of sums", true }, { "pair", true },
        { "pair of the base", true }, { "two pairs", true }, { "activation", false }, { "factor", false },
        { "first of two", false }, { "states", false },
    };

    [Theory, MemberData(nameof(Parts))]
    public void A_product_that_is_only_added_is_left_out_and_no_other(string name, bool isLeftOut)
    {
        Assert.SkipWhen(KernelForm.IsPlain, "The plain form has no steps.");
        using var scope = NewDisposeScope();
        var weight = new CountedMatrix(new DenseMatrix(Rounding.Draw(1, 8, 8)));
        Tensor[] trained = [Rounding.Draw(6, 2, 8), Rounding.Draw(7, 8, 2), Rounding.Draw(8, 8)];
        foreach (Tensor tensor in trained) tensor.requires_grad_();
        Func<Tensor, Tensor> part = Part(name, weight, trained[0], trained[1], trained[2]);
        float[][] Gradients(Func<Tensor, Tensor> run)
        {
            Tensor x = Rounding.Draw(2, 40, 8).requires_grad_();
            foreach (Tensor tensor in trained) tensor.grad = null;
            run(x).backward([Rounding.Draw(5, 40, 8)]);
            return [.. trained.Prepend(x).Select(tensor => tensor.grad?.data<float>().ToArray() ?? [])];
        }
        float[][] expected = Gradients(part);
        var runs = new Recomputation();
        weight.Products = 0;
        runs.First(() => part(Rounding.Draw(2, 40, 8).requires_grad_()));
        int products = weight.Products;
        Assert.Equal(expected, Gradients(x => runs.Again(() => part(x))));
        Assert.Equal(isLeftOut ? 2 * products - 1 : 2 * products, weight.Products);
    }

    [Fact]
    public void A_part_that_computes_something_else_is_refused()
    {
        Assert.SkipWhen(KernelForm.IsPlain, "The plain form has no steps.");
        using var scope = NewDisposeScope();
        var weight = new DenseMatrix(Rounding.Draw(1, 8, 8));
        Tensor x = Rounding.Draw(2, 40, 8).requires_grad_();
        var runs = new Recomputation();
        runs.First(() => LowRankLinear.Base(x, weight, null));
        Assert.Contains("without gradient checkpointing", Assert.Throws<InvalidOperationException>(
            () => runs.Again(() => LowRankLinear.Base(x, weight, null).relu())).Message, StringComparison.Ordinal);
    }

    // A factor's gradient needs the values: what the tensor's identity would not show is torch's error.
    [Fact]
    public void A_product_cannot_be_changed_in_place()
    {
        Assert.SkipWhen(KernelForm.IsPlain, "The plain form has no steps.");
        using var scope = NewDisposeScope();
        var slot = new AdapterSlot("layer", new InnerLayer(new DenseMatrix(Rounding.Draw(1, 8, 8)), null));
        slot.Attach(new Scaling(Rounding.Draw(2, 8).requires_grad_(), inPlace: true));
        Assert.Contains("is being modified inplace", Assert.Throws<ExternalException>(
            () => slot.Forward(Rounding.Draw(3, 40, 8).requires_grad_(), null)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_left_out_has_memory_on_the_device_of_the_input()
    {
        Assert.SkipWhen(KernelForm.IsPlain, "The plain form has no steps.");
        using var scope = NewDisposeScope();
        var weight = new CountedMatrix(new DenseMatrix(Rounding.Draw(1, 6, 8)), isPacked: true);
        Tensor x = empty(2, 40, 8, device: META).requires_grad_(), states = empty(2, 40, 6, device: META);
        var runs = new Recomputation();
        Tensor Part() => Residual.Add(states, LowRankLinear.Base(x, weight, null));
        runs.First(Part);
        Tensor again = runs.Again(Part);
        Assert.Equal(1, weight.Products);
        Assert.Equal(DeviceType.META, again.device_type);
        Assert.Equal([2, 40, 6], again.shape);
    }

    private static Func<Tensor, Tensor> Part(string name, IWeightMatrix weight, Tensor a, Tensor b, Tensor factor)
    {
        var slot = new AdapterSlot("layer", new InnerLayer(weight, Rounding.Draw(3, 8)));
        if (name is "pair" or "two pairs") slot.Attach(new LoraLayer(a, b, 0.5, 0));
        if (name == "two pairs") slot.Attach(new LoraLayer(a, b, 0.25, 0));
        if (name == "pair of the base")
            slot.Attach(new LoraLayer(a, b, 0.5, 0, initialPair: (Rounding.Draw(9, 2, 8), Rounding.Draw(10, 8, 2))));
        if (name == "factor") slot.Attach(new Scaling(factor));
        return x => name switch
        {
            "product" => slot.Forward(x, null),
            "dropped sum" => Dropped(x, slot),
            "sum of sums" => Residual.Add(x, Residual.Add(x * Number(2), slot.Forward(x, null))),
            "activation" => Residual.Add(x, slot.Forward(x, null).relu()),
            "first of two" => FirstOfTwo(x, slot),
            "states" => Residual.Add(slot.Forward(x, null), x.relu()),
            _ => Residual.Add(x, slot.Forward(x, null)),
        };
    }

    private static Tensor Dropped(Tensor x, AdapterSlot slot)
    {
        using var generator = new Generator(7);
        return Residual.Add(x, Dropout.Apply(slot.Forward(x, null), 0.5, generator));
    }

    private static Tensor FirstOfTwo(Tensor x, AdapterSlot slot)
    {
        Tensor product = slot.Forward(x, null);
        return Residual.Add(product, slot.Forward(product, null).relu());
    }

    private sealed class Scaling(Tensor factor, bool inPlace = false) : ISlotAdapter
    {
        public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
            inPlace ? inner.Forward(input).mul_(factor) : inner.Forward(input) * factor;
    }

    /// <summary>A weight that counts its products; on the meta device only their shape.</summary>
    private sealed class CountedMatrix(DenseMatrix weight, bool isPacked = false) : IWeightMatrix
    {
        public int Products { get; set; }

        public long Inputs => weight.Inputs;

        public long Outputs => weight.Outputs;

        public bool IsPacked => isPacked;

        public bool TakesGradient => false;

        public Tensor Dense() => weight.Dense();

        public Tensor Product(Tensor input, Tensor? bias)
        {
            Products++;
            return input.device_type == DeviceType.META
                ? empty([.. input.shape[..^1], Outputs], device: META) : weight.Product(input, bias);
        }

        public Tensor StepProduct(Tensor input, Tensor? bias) => Product(input, bias);

        public Tensor BackProduct(Tensor gradient) => weight.BackProduct(gradient);

        public Tensor Plain(Tensor input, Tensor? bias) => weight.Plain(input, bias);

        public void Write(Tensor result, Tensor rows) => weight.Write(result, rows);

        public void WriteBack(Tensor result, Tensor gradient) => weight.WriteBack(result, gradient);
    }
}
