using System.Diagnostics;
using LowRank.Kernels;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.SpeedTests;

/// <summary>Time as a ratio, both sides in turns in one process; the fastest of each counts, so that other work on the
/// machine does not.</summary>
/// <remarks>How fast a processor computes beside how fast it copies is its own affair: the ratios to a copy are held
/// where shares are recorded for its kind. Elsewhere the same work with torch's operations is the reference.</remarks>
[Collection(MeasuredCollection.Name)]
public sealed class OptimizerSpeedTests(MeasuredMachine machine)
{
    private const int Tensors = 200, Numbers = 32768; // 6.5 M weights

    [Fact]
    public void A_step_takes_at_most_twice_the_time_of_copying_what_it_touches()
    {
        using var scope = NewDisposeScope();
        Tensor[] weights = Weights();
        using var optimizer =
            new AdamW([.. weights.Select((weight, i) => KeyValuePair.Create($"w{i}", weight))], new TrainerOptions());
        // A step reads weights, gradients, means, squares and writes all but the gradients: seven halves of them are
        // read, seven written.
        Tensor from = ones(7L * Tensors * Numbers / 2), to = ones_like(from);
        TorchSharp.Modules.Parameter[] copies =
            [.. weights.Select(weight => new TorchSharp.Modules.Parameter(weight.detach().clone()))];
        foreach (TorchSharp.Modules.Parameter weight in copies) weight.grad = randn(weight.shape);
        using var torchs = optim.AdamW(copies, lr: 1e-4);
        AtMost(2, () => optimizer.Step(1e-4), () => to.copy_(from), () => torchs.step());
    }

    [Fact]
    public void The_norm_takes_at_most_twice_the_time_of_copying_the_gradients()
    {
        using var scope = NewDisposeScope();
        Tensor[] weights = Weights();
        var norm = new GradientNorm(weights);
        Tensor from = ones((long)Tensors * Numbers), to = ones_like(from);
        AtMost(2, () => norm.Measure(), () => to.copy_(from), () =>
        {
            using var each = NewDisposeScope();
            stack([.. weights.Select(weight => weight.grad!.norm())]).norm().item<float>();
        });
    }

    [Fact]
    public void A_step_makes_no_garbage_that_grows_with_the_weights()
    {
        using var scope = NewDisposeScope();
        Tensor[] weights = Weights();
        using var optimizer =
            new AdamW([.. weights.Select((weight, i) => KeyValuePair.Create($"w{i}", weight))], new TrainerOptions());
        var norm = new GradientNorm(weights);
        void Step()
        {
            norm.Measure();
            optimizer.Step(1e-4, name => name.Length, 0.5);
        }
        Step();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 5; i++) Step();
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / 5, 0, 2000);
    }

    private static Tensor[] Weights() => [.. Enumerable.Range(0, Tensors).Select(_ =>
    {
        Tensor weight = randn(Numbers).requires_grad_();
        weight.grad = randn(Numbers);
        return weight;
    })];

    private void AtMost(double ratioToCopy, Action work, Action copy, Action torchs)
    {
        machine.SkipWhenDisturbed();
        bool isKnown = RecordedShares.Here is not null;
        (double ratio, Action reference, string name) =
            isKnown ? (ratioToCopy, copy, "copying") : (1, torchs, "torch's operations");
        SeenAgain.Fail(() =>
        {
            var others = new OtherWork();
            (double fastest, double fastestReference) = Fastest(ratio, work, reference);
            if (fastest <= ratio * fastestReference) return null;
            string found =
                $"{fastest:0.00} ms against {fastestReference:0.00} ms of {name}, expected at most {ratio} times that";
            Assert.SkipUnless(
                OtherWork.IsKnown && others.Used < MeasuredRounds.Undisturbed,
                $"The machine may be busy elsewhere. {found}");
            return found;
        });
    }

    private static (double Work, double Reference) Fastest(double ratio, Action work, Action reference)
    {
        static double Least(double before, Action action)
        {
            long started = Stopwatch.GetTimestamp();
            action();
            return Math.Min(before, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
        double fastest = double.MaxValue, fastestReference = double.MaxValue;
        long begin = Stopwatch.GetTimestamp();
        // A machine that is busy elsewhere gets time to have both done undisturbed once.
        for (int round = 0; round < 10
            || (fastest > ratio * fastestReference && Stopwatch.GetElapsedTime(begin).TotalSeconds < 20); round++)
        {
            fastestReference = Least(fastestReference, reference);
            fastest = Least(fastest, work);
        }
        return (fastest, fastestReference);
    }
}
