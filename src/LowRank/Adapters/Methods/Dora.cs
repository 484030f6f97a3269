using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA on the direction of each weight, with a trained magnitude per output.</summary>
internal sealed record DoraMethod : IAdapterMethod
{
    public string Name => "dora";

    public string Title => "DoRA";

    public string Paper => "arXiv 2402.09353";

    public string Summary => "LoRA on the direction of each weight, with a trained magnitude for each output.";

    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys, "init_lora_weights"];

    public AdapterConfig Configure(LoraConfig shared) => shared with { UseDora = true };

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoraConfig { UseDora: true } ? this : null;
}

/// <summary>DoRA (arXiv 2402.09353): W' = m ∘ (W + s·B·A) / ‖W + s·B·A‖ by row, with a magnitude m per
/// output.</summary>
/// <remarks>No gradient flows through the norm (section 4.3). It is computed without an [out, in] temporary: with V = W
/// + s·B·A, ‖V‖² = ‖W‖² + 2s·Σ(W·Aᵀ)∘B + s²·Σ(B·(A·Aᵀ))∘B by row.</remarks>
internal sealed class DoraLayer : IAdapterLayer
{
    private readonly AdaptableLayer layer;
    private readonly double probability;
    private readonly Tensor squares; // ‖W‖² by row, [out]
    private Tensor? frozenNorm;      // the norm while A and B do not change

    /// <summary>Takes ownership of the float32 tensors.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="a">A, [rank, in].</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="magnitude">m, [out]; null initialises it to ‖W + s·B·A‖, which changes nothing while B is
    /// zero.</param>
    /// <param name="scale">s.</param>
    /// <param name="dropout">Dropout on the input of the change while training, in [0, 1).</param>
    public DoraLayer(AdaptableLayer layer, Tensor a, Tensor b, Tensor? magnitude, double scale, double dropout)
    {
        (this.layer, A, B, Scale, probability) = (layer, a, b, scale, dropout);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        squares = Squares(layer.Matrix).DetachFromDisposeScope();
        Magnitude = magnitude ?? Norm().DetachFromDisposeScope();
    }

    /// <summary>A, [rank, in].</summary>
    public Tensor A { get; }

    /// <summary>B, [out, rank].</summary>
    public Tensor B { get; }

    /// <summary>m, [out].</summary>
    public Tensor Magnitude { get; }

    /// <summary>The scale s.</summary>
    public double Scale { get; }

    public double Weight { get; set; } = 1;

    public bool IsAdditive => false;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".lora_A.weight", A), KeyValuePair.Create(".lora_B.weight", B),
            KeyValuePair.Create(".lora_magnitude_vector", Magnitude)];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor ratio = Magnitude / CurrentNorm(); // [out]
        Tensor result = inner.Forward(input);
        Tensor dropped = Dropout.Apply(input, probability, dropout);
        // Without dropout Wx + b is already available; the change applies to Wx without the bias.
        bool isWhole = ReferenceEquals(dropped, input) && inner.IsBase;
        Tensor plain = !isWhole ? layer.Multiply(dropped) : layer.Bias is { } bias ? result - bias : result;
        Tensor pair = LinearProduct.Apply(LinearProduct.Apply(dropped, A), B);
        return result.add(((ratio - Number(1)) * plain).Plus(ratio * pair * Number(Scale)), Number(Weight));
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor sum = weight.add(matmul(B, A), Number(Scale)); // of the given weight, which may carry other adapters
        Tensor changed = sum * (Magnitude / sum.norm(1, keepdim: false, p: 2)).unsqueeze(1);
        return (Weight == 1 ? changed : weight.Plus((changed - weight) * Number(Weight)), bias);
    }

    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
        Magnitude.Dispose();
        squares.Dispose();
        frozenNorm?.Dispose();
    }

    // Outside training the norm is cached: computing it would cost rank times as much as the layer itself.
    private Tensor CurrentNorm()
    {
        if (A.requires_grad)
        {
            frozenNorm?.Dispose();
            frozenNorm = null;
            return Norm();
        }
        return frozenNorm ??= Norm().DetachFromDisposeScope();
    }

    private Tensor Norm()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor cross = (layer.Multiply(A).t() * B).sum(1); // W·Aᵀ
        Tensor own = (matmul(B, matmul(A, A.t())) * B).sum(1);
        return squares.add(cross, Number(2 * Scale)).add_(own, Number(Scale * Scale)).clamp_min_(Number(0)).sqrt_()
            .MoveToOuterDisposeScope();
    }

    // A part of the rows at a time, because the squares of a whole weight would be as large as the weight.
    private static Tensor Squares(Tensor matrix)
    {
        const int Rows = 256;
        Tensor sums = zeros(matrix.shape[0], device: matrix.device);
        for (long row = 0; row < matrix.shape[0]; row += Rows)
        {
            using var scope = NewDisposeScope();
            long count = Math.Min(Rows, matrix.shape[0] - row);
            sums.narrow(0, row, count).copy_(matrix.narrow(0, row, count).pow(Number(2)).sum(1));
        }
        return sums;
    }
}
