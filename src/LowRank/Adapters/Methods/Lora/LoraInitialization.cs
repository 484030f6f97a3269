using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora;

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

    /// <summary>Draws A, [rank, rows], and B, [width, rank], of an embedding: A zero and B standard normal, as PEFT draws them;
    /// with <c>false</c> both normal.</summary>
    /// <param name="kind">"true", "false" or "gaussian".</param>
    /// <param name="rank">The rank.</param>
    /// <param name="rows">Rows of the table.</param>
    /// <param name="width">Width of the vectors.</param>
    /// <param name="generator">The source of randomness.</param>
    public static (Tensor A, Tensor B) DrawEmbedding(string kind, int rank, int rows, int width, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor a = kind is "false" or "null" ? empty(rank, rows).normal_(0, 1, generator) : zeros(rank, rows);
        Tensor b = empty(width, rank).normal_(0, 1, generator);
        return (a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope());
    }

    private static Tensor Uniform(int rows, int columns, Generator generator)
    {
        double bound = 1 / Math.Sqrt(columns);
        return empty(rows, columns).uniform_(-bound, bound, generator);
    }
}
