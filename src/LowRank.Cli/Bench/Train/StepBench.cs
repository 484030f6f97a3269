using LowRank.Tensors;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Train;

/// <summary>Measures training steps on random rows: the steps that <c>lowrank train</c> does.</summary>
internal static class StepBench
{
    public static TrainMeasurement Run(TrainBenchOptions options)
    {
        using StepSession session = StepSession.Open(options);
        ProcessMemory.ResetPeak();
        session.Step(); // everything is allocated, nothing is timed
        session.Step();
        long peak = ProcessMemory.PeakBytes(); // before products are measured, which take memory of their own

        var parts = new StepParts(session.Objective, session.Rows);
        List<double> seconds = [], updates = [];
        long managed = 0;
        // In turns, so that a machine that slows down slows both.
        for (int i = 0; i < options.Steps; i++)
        {
            session.Products.Measure();
            parts.Measure();
            long before = GC.GetTotalAllocatedBytes(precise: true);
            (StepOutcome outcome, double time) = session.TimedStep();
            managed = GC.GetTotalAllocatedBytes(precise: true) - before;
            seconds.Add(time);
            updates.Add(outcome.Update.TotalSeconds);
        }
        return new TrainMeasurement
        {
            Tokens = session.Tokens,
            TrainedParameters = session.TrainedParameters,
            StepSeconds = session.FastestSeconds,
            MedianSeconds = seconds.Order().ElementAt(seconds.Count / 2),
            ProductSeconds = session.Products.Seconds,
            Cost = session.Cost,
            GemmFlopsPerSecond = session.Products.FlopsPerSecond,
            SquareFlopsPerSecond = Square(session.Device),
            PeakBytes = peak - session.WeightBytes,
            WeightBytes = session.WeightBytes,
            ManagedBytes = managed,
            Parts = [.. parts.Fastest, ("optimizer", updates.Min())],
        };
    }

    private static double Square(Device device)
    {
        var square = new MatrixProduct(2048, 2048, 2048, Transposed: false);
        var rate = new ProductRate(new Dictionary<MatrixProduct, int> { [square] = 1 }, device);
        for (int i = 0; i < 3; i++) rate.Measure();
        return rate.FlopsPerSecond;
    }
}
