using CsCheck;
using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>The adapted linear layer as one step of the graph, held to the plain formula in float64.</summary>
public sealed class LowRankLinearTests
{
    private static readonly Gen<int> Width = Gen.OneOf(Gen.Int[1, 40], Gen.Int[41, 400]);

    private static readonly Gen<(
        int Batch, int Length, int Inputs, int Outputs, int Rank, double Dropout, bool Biased, ulong Seed)> Case =
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 60], Width, Width, Gen.Int[1, 16],
            Gen.OneOf(Gen.Const(0.0), Gen.Const(0.1), Gen.Const(0.5)), Gen.Bool, Gen.ULong[1, 1UL << 40]);

    [Fact]
    public void Output_and_gradients_are_the_exact_ones_within_rounding() => Case.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        (int batch, int length, int inputs, int outputs, int rank, double dropout, bool biased, ulong seed) = drawn;
        Tensor x = Rounding.Draw(seed, batch, length, inputs).requires_grad_(),
            w = Rounding.Draw(seed + 1, outputs, inputs);
        Tensor a = Rounding.Draw(seed + 2, rank, inputs).requires_grad_(),
            b = Rounding.Draw(seed + 3, outputs, rank).requires_grad_(),
            dy = Rounding.Draw(seed + 4, batch, length, outputs);
        Tensor? bias = biased ? Rounding.Draw(seed + 5, outputs) : null;
        var projection = Linear.Tied("layer", w, bias);
        projection.Slot.Attach(new LoraLayer(a, b, 0.75, dropout));
        using Generator generator = new Generator(seed), again = new Generator(seed);
        Tensor y = projection.Forward(x, generator);
        y.backward([dy]);

        Tensor Exact(Tensor tensor) => tensor.detach().reshape(-1, tensor.shape[^1]).to(ScalarType.Float64);
        Tensor kept = Dropout.Kept(x.detach(), dropout, again) is { } mask ? Exact(mask)
            : ones([], ScalarType.Float64);
        (Tensor X, Tensor W, Tensor A, Tensor B, Tensor D) = (Exact(x), Exact(w), Exact(a), Exact(b), Exact(dy));
        (Tensor Y, Tensor Dx, Tensor Da, Tensor Db) Formulas(
            Tensor X, Tensor W, Tensor A, Tensor B, Tensor D, Tensor added)
        {
            Tensor dropped = X * kept, reduced = dropped.matmul(A.t()), back = D.matmul(B) * Number(0.75);
            return (X.matmul(W.t()).Plus(added).Plus(reduced.matmul(B.t()) * Number(0.75)),
                D.matmul(W).Plus(back.matmul(A) * kept),
                back.t().matmul(dropped), D.t().matmul(reduced) * Number(0.75));
        }
        Tensor added = bias is null ? zeros([], ScalarType.Float64) : bias.to(ScalarType.Float64);
        var exact = Formulas(X, W, A, B, D, added);
        var size = Formulas(X.abs(), W.abs(), A.abs(), B.abs(), D.abs(), added.abs());
        // Each number is a sum of products of at most three sums: no more roundings than all the lengths of those sums
        // and a few.
        double bound = (inputs + outputs + rank + batch * length + 12) * Rounding.Unit * 1.01;
        Rounding.AssertWithin(exact.Y, size.Y * Number(bound), y.detach().reshape(-1, outputs));
        Rounding.AssertWithin(exact.Dx, size.Dx * Number(bound), x.grad!.reshape(-1, inputs));
        Rounding.AssertWithin(exact.Da, size.Da * Number(bound), a.grad!);
        Rounding.AssertWithin(exact.Db, size.Db * Number(bound), b.grad!);
    }, iter: 60, threads: 1);

    [Fact]
    public void What_is_frozen_takes_no_gradient()
    {
        using var scope = NewDisposeScope();
        Tensor w = Rounding.Draw(1, 64, 48), x = Rounding.Draw(2, 40, 48), a = Rounding.Draw(3, 4, 48),
            b = Rounding.Draw(4, 64, 4).requires_grad_();
        var projection = Linear.Tied("layer", w);
        projection.Slot.Attach(new LoraLayer(a, b, 1, 0)); // as LoRA-FA, whose A is frozen
        projection.Forward(x, null).sum().backward();
        Assert.Null(x.grad);
        Assert.Null(w.grad);
        Assert.Null(a.grad);
        Assert.Equal([64, 4], b.grad!.shape);
    }

    [Fact]
    public void A_weight_that_is_trained_takes_its_gradient()
    {
        using var scope = NewDisposeScope();
        Tensor w = Rounding.Draw(1, 64, 48).requires_grad_(), x = Rounding.Draw(2, 40, 48);
        Linear.Tied("layer", w).Forward(x, null).sum().backward();
        Tensor expected = x.sum([0L]).expand(64, 48);
        Assert.True(w.grad!.allclose(expected, rtol: 1e-4, atol: 1e-4));
    }

    [Fact]
    public void Tensors_do_not_grow_with_steps()
    {
        using var scope = NewDisposeScope();
        Tensor w = Rounding.Draw(1, 256, 128), a = Rounding.Draw(3, 4, 128).requires_grad_(),
            b = Rounding.Draw(4, 256, 4).requires_grad_();
        var projection = Linear.Tied("layer", w);
        projection.Slot.Attach(new LoraLayer(a, b, 1, 0.1));
        using var generator = new Generator(1);
        long after = 0;
        for (int i = 0; i < 50; i++)
        {
            using (NewDisposeScope())
            {
                Tensor x = Rounding.Draw(2, 40, 128).requires_grad_();
                projection.Forward(projection.Forward(x, generator).narrow(1, 0, 128), generator).sum().backward();
            }
            if (i == 9) after = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        }
        Assert.Equal(after, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
