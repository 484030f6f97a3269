using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>First values of A and B, as PEFT draws them.</summary>
/// <remarks><c>true</c>: A uniform in ±1/√in (Kaiming with a = √5, arXiv 1502.01852), B zero. <c>"gaussian"</c>: A normal with
/// standard deviation 1/rank, B zero. <c>false</c>: both uniform, so that the adapter changes the model from the start
/// (for tests).</remarks>
public static class LoraInitialization
{
    /// <summary>Draws A, [rank, in], and B, [out, rank]; the caller owns them.</summary>
    /// <param name="kind">"true", "false" or "gaussian".</param>
    /// <param name="rank">The rank.</param>
    /// <param name="inputs">Width of the layer's input.</param>
    /// <param name="outputs">Width of the layer's output.</param>
    /// <param name="generator">The source of randomness.</param>
    public static (Tensor A, Tensor B) Draw(string kind, int rank, int inputs, int outputs, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor a = kind == "gaussian"
            ? empty(rank, inputs).normal_(0, 1.0 / rank, generator)
            : Uniform(rank, inputs, generator);
        Tensor b = kind is "false" or "null" ? Uniform(outputs, rank, generator) : zeros(outputs, rank);
        return (a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope());
    }

    private static Tensor Uniform(int rows, int columns, Generator generator)
    {
        double bound = 1 / Math.Sqrt(columns);
        return empty(rows, columns).uniform_(-bound, bound, generator);
    }
}
