using LowRank.Models.Layers;
using LowRank.Tensors.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora;

/// <summary>The low-rank pair of one linear layer: y = Wx + b + s·B(A·dropout(x)) (LoRA, arXiv 2106.09685, section 4.1).</summary>
/// <remarks>Where the pair began as a part of W (PiSSA, OLoRA, …), that part is taken out again: y += −s·B₀(A₀x). W itself
/// stays as it is, so that every other adapter and the saved base remain right.</remarks>
public sealed class LoraLayer : IAdapterLayer, ILowRankChange
{
    private readonly double probability;

    /// <summary>Takes over the tensors, float32.</summary>
    /// <param name="a">A, [rank, in].</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="scale">s: alpha / rank, or alpha / √rank with rsLoRA.</param>
    /// <param name="dropout">Dropout on the input of A while training, in [0, 1).</param>
    /// <param name="outputBias">A bias on B (<c>lora_bias</c>), [out], scaled as B is; null for none.</param>
    /// <param name="taken">A₀ and B₀ where they are to be taken out of the base; null otherwise.</param>
    public LoraLayer(Tensor a, Tensor b, double scale, double dropout, Tensor? outputBias = null, (Tensor A, Tensor B)? taken = null)
    {
        (A, B, Scale, OutputBias, Taken) = (a, b, scale, outputBias, taken);
        probability = dropout;
    }

    /// <summary>A, [rank, in].</summary>
    public Tensor A { get; }

    /// <summary>B, [out, rank].</summary>
    public Tensor B { get; }

    /// <summary>The bias on B, [out]; null for none.</summary>
    public Tensor? OutputBias { get; }

    /// <summary>A₀ and B₀, the part of the base that the pair began as; null where it began beside the base.</summary>
    public (Tensor A, Tensor B)? Taken { get; }

    /// <summary>The factor s.</summary>
    public double Scale { get; }

    /// <inheritdoc/>
    public LowRankPair? Pair => OutputBias is null && Taken is null ? new LowRankPair(A, B, Scale * Share, probability) : null;

    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public bool ChangesBias => OutputBias is not null;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
    [
        KeyValuePair.Create(".lora_A.weight", A),
        KeyValuePair.Create(".lora_B.weight", B),
        .. OutputBias is { } bias ? [KeyValuePair.Create(".lora_B.bias", bias)] : Array.Empty<KeyValuePair<string, Tensor>>(),
    ];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        if (dropout is null && OutputBias is null && Taken is null && !is_grad_enabled())
        {
            Tensor adapted = inner(input);
            // In place: what a layer computes belongs to nobody else.
            return LowRankSum.TryAdd(adapted, input, A, B, Scale * Share)
                ? adapted
                : adapted.add(nn.functional.linear(nn.functional.linear(input, A), B), Scale * Share);
        }
        Tensor reduced = nn.functional.linear(Models.Layers.Dropout.Apply(input, probability, dropout), A); // […, rank]
        Tensor result = inner(input).add(nn.functional.linear(reduced, B, OutputBias), Scale * Share);
        return Taken is { } taken ? result.add(nn.functional.linear(nn.functional.linear(input, taken.A), taken.B), -Scale * Share) : result;
    }

    /// <summary>s·B·A of the change as a whole, [out, in], in float32; the caller owns it.</summary>
    public Tensor Delta()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor delta = matmul(B, A);
        if (Taken is { } taken) delta = delta.sub_(matmul(taken.B, taken.A));
        return delta.mul_(Scale * Share).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        if (OutputBias is null) return (weight + Delta(), bias);
        if (bias is null)
            throw new InputException("lora_bias: the adapter has a bias on B, but the layer has no bias that could take it. Use the adapter unmerged.");
        return (weight + Delta(), bias + OutputBias.detach() * (Scale * Share));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
        OutputBias?.Dispose();
        Taken?.A.Dispose();
        Taken?.B.Dispose();
    }
}
