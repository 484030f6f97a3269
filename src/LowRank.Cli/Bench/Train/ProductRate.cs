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
    private readonly Dictionary<MatrixProduct, double> fastest = [];

    public ProductRate(IReadOnlyDictionary<MatrixProduct, int> counts) => this.counts = counts;

    /// <summary>Floating-point operations a second.</summary>
    public double FlopsPerSecond => counts.Sum(product => product.Key.Flops * product.Value) / Seconds;

    /// <summary>What the products of one step take alone.</summary>
    public double Seconds => counts.Sum(product => fastest[product.Key] * product.Value);

    /// <summary>Does each product once more.</summary>
    public void Measure()
    {
        using var noGradient = no_grad();
        foreach (MatrixProduct product in counts.Keys)
        {
            using var scope = NewDisposeScope();
            Tensor input = rand(product.Rows, product.Inputs), result = zeros(product.Rows, product.Outputs);
            Tensor weight = product.Transposed ? rand(product.Outputs, product.Inputs).t() : rand(product.Inputs, product.Outputs);
            for (int i = 0; i < 2; i++)
            {
                long started = Stopwatch.GetTimestamp();
                result.addmm_(input, weight, beta: 0, alpha: 1);
                double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
                fastest[product] = Math.Min(seconds, fastest.GetValueOrDefault(product, double.PositiveInfinity));
            }
        }
    }
}
