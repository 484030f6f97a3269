using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Vera;

/// <summary>VeRA on a linear layer: y = Wx + b + Λb·B(Λd·A·dropout(x)) with a frozen random pair A, B and two trained vectors
/// (arXiv 2310.11454, equation 2).</summary>
/// <param name="shared">The pair; not owned.</param>
/// <param name="lambdaB">Λb, [out], float32.</param>
/// <param name="lambdaD">Λd, [rank], float32.</param>
/// <param name="inputs">Width of the input.</param>
/// <param name="outputs">Width of the output.</param>
/// <param name="probability">Dropout on the input while training, in [0, 1).</param>
public sealed class VeraLayer(VeraProjections shared, Tensor lambdaB, Tensor lambdaD, int inputs, int outputs, double probability) : IAdapterLayer
{
    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(".vera_lambda_b", lambdaB), KeyValuePair.Create(".vera_lambda_d", lambdaD)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        Tensor reduced = lambdaD * nn.functional.linear(Models.Layers.Dropout.Apply(input, probability, dropout), shared.A.narrow(1, 0, inputs));
        return inner(input).add(lambdaB * nn.functional.linear(reduced, shared.B.narrow(0, 0, outputs)), Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor delta = matmul(lambdaB.unsqueeze(1) * shared.B.narrow(0, 0, outputs), lambdaD.unsqueeze(1) * shared.A.narrow(1, 0, inputs));
        return (weight.add(delta, Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lambdaB.Dispose();
        lambdaD.Dispose();
    }
}
