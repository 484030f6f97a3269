using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The low-rank pair of one layer: y = Wx + b + s·B(A·dropout(x)) (LoRA, arXiv 2106.09685, section 4.1).</summary>
public sealed class LoraLayer : IProjectionAdapter, IDisposable
{
    private readonly double probability;

    /// <summary>Takes over the pair.</summary>
    /// <param name="a">A, [rank, in], float32.</param>
    /// <param name="b">B, [out, rank], float32.</param>
    /// <param name="scale">s: alpha / rank, or alpha / √rank with rsLoRA.</param>
    /// <param name="dropout">Dropout on the input of A while training, in [0, 1).</param>
    public LoraLayer(Tensor a, Tensor b, double scale, double dropout)
    {
        A = a;
        B = b;
        Scale = scale;
        probability = dropout;
    }

    /// <summary>A, [rank, in].</summary>
    public Tensor A { get; }

    /// <summary>B, [out, rank].</summary>
    public Tensor B { get; }

    /// <summary>The factor s.</summary>
    public double Scale { get; }

    /// <inheritdoc/>
    public Tensor Forward(Projection projection, Tensor input, Generator? dropout)
    {
        Tensor reduced = nn.functional.linear(Dropout.Apply(input, probability, dropout), A); // […, rank]
        return projection.Base(input).add(nn.functional.linear(reduced, B), Scale);
    }

    /// <summary>s·B·A, [out, in], in float32; the caller owns it.</summary>
    public Tensor Delta()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        return matmul(B, A).mul_(Scale).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
    }
}
