using System.Diagnostics;
using LowRank.Data;
using LowRank.Tensors;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Train;

/// <summary>The parts of a step, timed one after the other outside it.</summary>
internal sealed class StepParts(IObjective objective, IReadOnlyList<IExample> rows)
{
    private readonly Device device = objective.Network.Device;
    private double forward = double.PositiveInfinity;
    private double evaluation = double.PositiveInfinity;
    private double backward = double.PositiveInfinity;

    /// <summary>The fastest time of each.</summary>
    public IReadOnlyList<(string Part, double Seconds)> Fastest =>
        [("forward and loss", forward), ("backward", backward), ("forward and loss without gradients", evaluation)];

    /// <summary>Does each once more; gradients are added to those that are there.</summary>
    public void Measure()
    {
        using var scope = NewDisposeScope();
        long started = Stopwatch.GetTimestamp();
        using (no_grad()) objective.Sum(rows, null).Dispose();
        DeviceWork.Finish(device);
        evaluation = Math.Min(evaluation, Stopwatch.GetElapsedTime(started).TotalSeconds);
        started = Stopwatch.GetTimestamp();
        Tensor loss = objective.Sum(rows, null);
        DeviceWork.Finish(device);
        forward = Math.Min(forward, Stopwatch.GetElapsedTime(started).TotalSeconds);
        started = Stopwatch.GetTimestamp();
        BackwardErrors.Run(() => loss.backward());
        DeviceWork.Finish(device);
        backward = Math.Min(backward, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }
}
