using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Ia3;

/// <summary>IA3 on a linear layer: a trained vector scales its output, or its input in feed-forward layers (arXiv 2205.05638,
/// section 3.3).</summary>
/// <param name="vector">l, [1, in] where it scales the input, else [out, 1]; float32, owned.</param>
/// <param name="scalesInput">Whether it scales the input.</param>
public sealed class Ia3Layer(Tensor vector, bool scalesInput) : IAdapterLayer
{
    /// <summary>The share of the step from 1 to l that is taken.</summary>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => false;

    /// <inheritdoc/>
    public bool ChangesBias => !scalesInput;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(".ia3_l", vector)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout) =>
        scalesInput ? inner(input * Factors(vector.view(-1))) : inner(input) * Factors(vector.view(-1));

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight * Factors(vector), scalesInput || bias is null ? bias : bias * Factors(vector.view(-1)));
    }

    /// <inheritdoc/>
    public void Dispose() => vector.Dispose();

    private Tensor Factors(Tensor factors) => Share == 1 ? factors : (factors - 1) * Share + 1;
}
