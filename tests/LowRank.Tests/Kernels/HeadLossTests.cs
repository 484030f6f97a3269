using CsCheck;
using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>The output head with its loss, held to torch's in float64.</summary>
public sealed class HeadLossTests
{
    private static readonly Gen<(int Rows, int Width, int Classes, bool Biased, int AtATime, ulong Seed)> Case =
        Gen.Select(Gen.Int[1, 90], Gen.Int[1, 100], Gen.OneOf(Gen.Int[1, 40], Gen.Int[41, 900]), Gen.Bool,
            Gen.Int[1, 100], Gen.ULong[1, 1UL << 40]);

    [Fact]
    public void Loss_and_gradient_are_the_exact_ones_within_rounding() => Case.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        (int rows, int width, int classes, bool biased, int atATime, ulong seed) = drawn;
        Tensor states = Rounding.Draw(seed, rows, width).requires_grad_(), w = Rounding.Draw(seed + 1, classes, width);
        Tensor? bias = biased ? Rounding.Draw(seed + 2, classes) : null;
        Tensor labels = (rand(rows, generator: new Generator(seed + 3)) * Number(classes)).to(ScalarType.Int64).clamp(
            Number(0), Number(classes - 1));
        Tensor loss = HeadLoss.Sum(
            states, new DenseMatrix(w), bias, labels, "head", (long)atATime * classes);
        (loss / Number(7)).backward();

        Tensor precise = states.detach().to(ScalarType.Float64).requires_grad_(), matrix = w.to(ScalarType.Float64);
        Tensor logits = nn.functional.linear(precise, matrix, bias?.to(ScalarType.Float64));
        Tensor exact = nn.functional.cross_entropy(logits, labels, reduction: nn.Reduction.Sum);
        (exact / Number(7)).backward();
        // An error e in a logit changes a probability by a factor of e²ᵉ at most; the exponential, sums and products
        // round besides.
        Tensor size = matmul(precise.detach().abs(), matrix.abs().t())
            .Plus(bias?.to(ScalarType.Float64).abs() ?? zeros([], ScalarType.Float64));
        double inLogit = (width + 4) * Rounding.Unit * 1.01 * size.max().item<double>(),
            inShare = 2.2 * (inLogit + Rounding.Unit * 2 * logits.detach().abs().max().item<double>())
            + (classes / 8.0 + 30) * Rounding.Unit;
        Assert.InRange(
            Math.Abs(loss.item<float>() - exact.item<double>()), 0,
            rows * (2 * inLogit + inShare) + 2 * Rounding.Unit * Math.Abs(exact.item<double>()));
        Tensor shares = nn.functional.softmax(logits.detach(), 1),
            wrong = shares.Plus(nn.functional.one_hot(labels, classes).to(ScalarType.Float64));
        Rounding.AssertWithin(
            precise.grad!,
            matmul(wrong, matrix.abs()) / Number(7) * Number(inShare + (classes + 10) * Rounding.Unit), states.grad!);
    }, iter: 60, threads: 1);

    // What other devices compute with, here on the processor's memory.
    [Fact]
    public void Torchs_operations_give_what_the_kernel_gives()
    {
        using var scope = NewDisposeScope();
        Tensor logits = Rounding.Draw(5, 90, 700) * Number(4), labels = randint(700, 90, ScalarType.Int64);
        Tensor kernel = logits.clone();
        double[] expected = CrossEntropy.Compute(kernel, labels, needsGradient: true);
        (Tensor losses, Tensor gradient) = CrossEntropy.Plain(logits, labels);
        Assert.All(expected.Zip(losses.data<float>()), row =>
            Assert.InRange(row.Second, row.First * (1 - 1e-6) - 1e-6, row.First * (1 + 1e-6) + 1e-6));
        // a sum of exponentials near e¹⁰ has its logarithm to 5e-7
        Assert.InRange((kernel - gradient).abs().max().item<float>(), 0, 4e-6);
    }

    [Fact]
    public void Without_gradients_the_loss_is_the_same()
    {
        using var scope = NewDisposeScope();
        Tensor states = Rounding.Draw(1, 70, 32).requires_grad_(), labels = Indices(0, 70);
        var head = new DenseMatrix(Rounding.Draw(2, 100, 32));
        float with = HeadLoss.Sum(states, head, null, labels, "head").item<float>();
        using var noGradient = no_grad();
        Assert.Equal(with, HeadLoss.Sum(states, head, null, labels, "head").item<float>());
    }

    [Fact]
    public void A_logit_that_is_no_number_makes_the_loss_none()
    {
        using var scope = NewDisposeScope();
        foreach (float value in new[] { float.NaN, float.PositiveInfinity })
        {
            Tensor w = Rounding.Draw(2, 100, 4);
            w[57, 1] = value;
            Assert.True(
                float.IsNaN(
                    HeadLoss.Sum(
                        ones(3, 4), new DenseMatrix(w), null, zeros(3, ScalarType.Int64), "head").item<float>()));
        }
    }

    [Fact]
    public void A_label_outside_the_classes_is_refused()
    {
        using var scope = NewDisposeScope();
        var head = new DenseMatrix(Rounding.Draw(2, 10, 4));
        Assert.Contains(
            "lm_head scores 10 classes",
            Assert.Throws<InputException>(
                () => HeadLoss.Sum(
                    ones(1, 4), head, null, full([1], Number(10), ScalarType.Int64), "lm_head")).Message);
        Assert.Throws<InputException>(() => HeadLoss.Sum(
                    ones(1, 4), head, null, full([1], Number(-1), ScalarType.Int64), "lm_head"));
    }

    [Fact]
    public void The_losses_of_rows_add_up_to_their_sum_and_each_has_its_own_gradient()
    {
        using var scope = NewDisposeScope();
        Tensor matrix = Rounding.Draw(3, 50, 24), labels = randint(50, 9, ScalarType.Int64),
            factors = tensor((float[])[0, 1, -2, 0.5f, 3, 0, 1, 1, -1]);
        var weight = new DenseMatrix(matrix);
        Tensor once = Rounding.Draw(4, 9, 24).requires_grad_(), twice = once.detach().clone().requires_grad_();
        Tensor each = HeadLoss.Each(once, weight, null, labels, "head", mostNumbers: 100);
        Assert.Equal(9, each.numel());
        Assert.Equal(HeadLoss.Sum(once, weight, null, labels, "head").item<float>(), each.sum().item<float>(), 1e-4);
        (each * factors).sum().backward();
        Tensor expected = nn.functional.cross_entropy(
            matmul(twice, matrix.t()), labels, reduction: nn.Reduction.None);
        Assert.InRange((each - expected).abs().max().item<float>(), 0, 1e-5);
        (expected * factors).sum().backward();
        Assert.InRange((once.grad! - twice.grad!).abs().max().item<float>(), 0, 1e-5);
    }
}
