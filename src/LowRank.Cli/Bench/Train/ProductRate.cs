using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Train;

/// <summary>How fast this machine multiplies matrices: the limit that a step is measured against.</summary>
/// <remarks>Each product of a step with a frozen weight is done alone, in its own shape and memory layout, into memory that is
/// there already, several times; the fastest time of each counts. The rate is that of all of them together, weighed as often
/// as a step does each.</remarks>
internal sealed class ProductRate
{
    private readonly IReadOnlyDictionary<MatrixProduct, int> counts;
    private readonly Device device;
    private readonly Dictionary<MatrixProduct, double> fastest = [];

    /// <summary>Prepares.</summary>
    /// <param name="counts">The products and how often a step does each.</param>
    /// <param name="device">Where they are computed; null for the processor.</param>
    public ProductRate(IReadOnlyDictionary<MatrixProduct, int> counts, Device? device = null) => (this.counts, this.device) = (counts, device ?? CPU);

    /// <summary>Floating-point operations a second.</summary>
    public double FlopsPerSecond => counts.Sum(product => product.Key.Flops * product.Value) / Seconds;

    /// <summary>What the products of one step take alone.</summary>
    public double Seconds => counts.Sum(product => fastest[product.Key] * product.Value);

    /// <summary>Does each product once more.</summary>
    /// <returns>What the products of one step take, in seconds, each at its fastest of this time.</returns>
    public double Measure()
    {
        double sum = 0;
        using var noGradient = no_grad();
        foreach (MatrixProduct product in counts.Keys)
        {
            using var scope = NewDisposeScope();
            Tensor input = rand(product.Rows, product.Inputs, device: device), result = zeros(product.Rows, product.Outputs, device: device);
            Tensor weight = product.Transposed ? rand(product.Outputs, product.Inputs, device: device).t() : rand(product.Inputs, product.Outputs, device: device);
            double least = double.PositiveInfinity;
            for (int i = 0; i < 2; i++)
            {
                DeviceWork.Finish(device);
                long started = Stopwatch.GetTimestamp();
                result.addmm_(input, weight, beta: 0, alpha: 1);
                DeviceWork.Finish(device);
                least = Math.Min(least, Stopwatch.GetElapsedTime(started).TotalSeconds);
            }
            fastest[product] = Math.Min(least, fastest.GetValueOrDefault(product, double.PositiveInfinity));
            sum += least * counts[product];
        }
        return sum;
    }
}
