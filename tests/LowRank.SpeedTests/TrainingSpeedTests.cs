using System.Diagnostics;
using LowRank.Cli.Bench.Train;
using LowRank.Kernels;

namespace LowRank.SpeedTests;

/// <summary>A training step as a share of the rate of libtorch's matrix products, as in docs/performance.md, of one row
/// instead of four; beside the same step in torch's operations where no share is recorded.</summary>
/// <remarks>A machine that shares its caches with others has times in which all is slower, the step more than the
/// products. They begin and end within seconds: a step is compared with what was measured next to it, and the median
/// round counts.</remarks>
[Collection(MeasuredCollection.Name)]
public sealed class TrainingSpeedTests(MeasuredMachine machine)
{
    // A step of torch's operations does the same products, and more between them.
    private const double OfTorchs = 0.95;

    [Theory]
    [InlineData("llama-160m")]
    [InlineData("gpt2-small")]
    public void A_step_keeps_its_share_of_the_limit(string shape)
    {
        var check = new ShareCheck(machine, $"training {shape}", "FLOP/s");
        using StepSession session = StepSession.Open(
            new TrainBenchOptions { Shape = machine.Model(shape), Batch = 1, Length = 256, Rank = 8, Steps = 1,
            Threads = machine.Threads });
        session.Step(); // everything is allocated
        session.Step();
        double Seconds() => Math.Min(session.TimedStep().Seconds, session.TimedStep().Seconds);
        var beside = new RatioCheck($"a step of {shape} beside torch's operations", OfTorchs, () =>
        {
            using (KernelForm.UsePlain()) session.Step();
            long started = Stopwatch.GetTimestamp();
            using (KernelForm.UsePlain()) session.Step();
            return Stopwatch.GetElapsedTime(started).TotalSeconds / Seconds();
        });
        check.Hold(rounds: 9, () =>
        {
            double limit = session.Cost.Frozen / session.Products.Measure();
            return (session.Cost.Total / Seconds() / limit, limit);
        }, beside);
    }
}
