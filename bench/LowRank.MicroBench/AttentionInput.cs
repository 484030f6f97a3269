using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.MicroBench;

/// <summary>The output of a fused projection with 12 heads of 64, as input of causal attention.</summary>
internal sealed class AttentionInput : IDisposable
{
    private const int Heads = 12, Dimension = 64;
    private static readonly AttentionSettings Settings = new(0);
    private static readonly Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> Split =
        FusedLayout.Stacked(Heads, Dimension);

    private readonly Tensor fused, ids;

    /// <summary>Draws random values.</summary>
    /// <param name="shape">Rows and tokens, such as 4x256.</param>
    public AttentionInput(string shape)
    {
        MicroBenchmark.PrepareThreads();
        long[] sizes = [.. shape.Split('x').Select(long.Parse)];
        fused = MicroBenchmark.Draw(1, sizes[0], sizes[1], 3 * Heads * Dimension).requires_grad_();
        ids = zeros(sizes[0], sizes[1], ScalarType.Int64);
    }

    /// <summary>Computes attention with the library's kernel, or with torch's if that does not run here.</summary>
    public Tensor Own()
    {
        using var scope = NewDisposeScope();
        ForwardContext context = ForwardContext.Create(ids, null, null, null, null, null);
        return context.Attend(fused, Split, Settings).MoveToOuterDisposeScope();
    }

    /// <summary>Computes attention with torch's operation.</summary>
    public Tensor Torch()
    {
        using var scope = NewDisposeScope();
        (Tensor query, Tensor key, Tensor value) = Split(fused);
        return nn.functional.scaled_dot_product_attention(query, key, value, is_casual: true).transpose(1, 2).reshape(
            fused.shape[0], fused.shape[1], -1).MoveToOuterDisposeScope();
    }

    /// <summary>Refuses to time two forms whose outputs or gradients differ.</summary>
    public void AssertAlike()
    {
        using var scope = NewDisposeScope();
        Tensor own = Own(), torchs = Torch(), along = MicroBenchmark.Draw(2, own.shape);
        MicroBenchmark.AssertAlike(own.detach(), torchs.detach(), 1e-5);
        MicroBenchmark.AssertAlike(Gradient(own, along), Gradient(torchs, along), 1e-4);
    }

    /// <summary>Frees the gradient.</summary>
    public void Forget()
    {
        fused.grad?.Dispose();
        fused.grad = null;
    }

    public void Dispose()
    {
        Forget();
        fused.Dispose();
        ids.Dispose();
    }

    private Tensor Gradient(Tensor output, Tensor along)
    {
        output.backward([along]);
        Tensor gradient = fused.grad!.clone();
        Forget();
        return gradient;
    }
}
