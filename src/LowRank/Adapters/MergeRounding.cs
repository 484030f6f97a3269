using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>How far weights moved: the largest and the root mean square difference, over all that were compared.</summary>
public sealed class MergeRounding
{
    private double squares;

    /// <summary>The largest difference.</summary>
    public double Largest { get; private set; }

    /// <summary>The root of the mean square difference; 0 where nothing was compared.</summary>
    public double RootMeanSquare => Count == 0 ? 0 : Math.Sqrt(squares / Count);

    /// <summary>Weights compared.</summary>
    public long Count { get; private set; }

    /// <summary>Compares two tensors of the same shape.</summary>
    public void Add(Tensor exact, Tensor stored)
    {
        using var scope = NewDisposeScope();
        Tensor difference = stored.to(ScalarType.Float32) - exact.to(ScalarType.Float32);
        Largest = Math.Max(Largest, difference.abs().max().item<float>());
        squares += difference.square().sum(ScalarType.Float64).item<double>();
        Count += difference.numel();
    }
}
