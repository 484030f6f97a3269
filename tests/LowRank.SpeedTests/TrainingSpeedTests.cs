using LowRank.Cli.Bench.Train;

namespace LowRank.SpeedTests;

/// <summary>A training step as a share of the rate of libtorch's matrix products, as in docs/performance.md, of one row
/// instead of four.</summary>
/// <remarks>A machine that shares its caches with others has times in which all is slower, the step more than the
/// products. They begin and end within seconds: a step is compared with the products next to it, and the round in the
/// middle counts.</remarks>
[Collection(MeasuredCollection.Name)]
public sealed class TrainingSpeedTests(MeasuredMachine machine)
{
    [Fact]
    public void A_step_keeps_its_share_of_the_limit()
    {
        var check = new ShareCheck(machine, "training", "FLOP/s");
        using StepSession session = StepSession.Open(
            new TrainBenchOptions { Shape = machine.Model, Batch = 1, Length = 256, Rank = 8, Steps = 1,
            Threads = machine.Threads });
        session.Step(); // everything is allocated
        session.Step();
        check.Hold(rounds: 9, () =>
        {
            double limit = session.Cost.Frozen / session.Products.Measure();
            double seconds = Math.Min(session.TimedStep().Seconds, session.TimedStep().Seconds);
            return (session.Cost.Total / seconds / limit, limit);
        });
    }
}
