using LowRank.Cli.Bench.Train;
using LowRank.Models;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Generate;

/// <summary>The cost of generation, counted by shape: bytes that a step reads, and operations for a prompt.</summary>
/// <param name="model">The model.</param>
/// <param name="prompt">Tokens per prompt.</param>
internal sealed class GenerationCost(Decoder model, int prompt)
{
    private readonly Linear[] layers = [.. model.LinearLayers.Except([model.OutputHead!])];

    /// <summary>Bytes of weights that a step reads, as they are stored: matrices, packed or not, head, biases and
    /// norms. It reads only one row of an embedding table, which is not counted.</summary>
    public long WeightBytes => layers.Append(model.OutputHead!).Sum(Bytes)
        + model.Parameters.Values.Where(weight => weight.dim() == 1).Sum(Bytes);

    /// <summary>The products of a prompt with the blocks' weights, and how often each occurs.</summary>
    /// <param name="batch">Sequences.</param>
    public IReadOnlyDictionary<MatrixProduct, int> PromptProducts(int batch) => layers
        .GroupBy(layer =>
        new MatrixProduct((long)batch * prompt, layer.InputSize, layer.OutputSize, Transposed: !layer.StoresTransposed))
        .ToDictionary(group => group.Key, group => group.Count());

    /// <summary>Operations for a prompt: products with the weights (with the head at the last position only), and the
    /// unmasked half of attention.</summary>
    /// <param name="batch">Sequences.</param>
    public double PromptFlops(int batch) => PromptProducts(batch).Sum(product => product.Key.Flops * product.Value)
        + 2.0 * batch * model.OutputHead!.InputSize * model.OutputHead.OutputSize
        + Enumerable.Range(1, prompt)
        .Sum(length => 4.0 * batch * model.Shape.Heads * model.Shape.HeadDimension * Seen(length));

    /// <summary>Bytes of weights and cache that a step reads, halfway through the steps.</summary>
    /// <param name="batch">Sequences.</param>
    /// <param name="steps">Steps after the prompt.</param>
    public double StepBytes(int batch, int steps) => WeightBytes
        + 2.0 * sizeof(float) * batch * model.Shape.KeyValueHeads * model.Shape.HeadDimension * Enumerable.Range(
            prompt + 1, steps).Average(Seen);

    // The positions that all layers attend to, given this many positions.
    private double Seen(int length) => model.Shape.Windows.Sum(window => (double)Math.Min(length, window ?? length));

    private static long Bytes(Linear layer) => layer.Packed?.Bytes ?? Bytes(layer.Weight);

    private static long Bytes(Tensor weight) => weight.numel() * weight.element_size();
}
