using LowRank.Cli.Bench.Train;
using LowRank.Models;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Generate;

/// <summary>What generating needs of the machine, counted by shape: bytes that a step reads, operations of a prompt.</summary>
/// <param name="model">The model.</param>
/// <param name="prompt">Tokens of each prompt.</param>
internal sealed class GenerationCost(Decoder model, int prompt)
{
    private readonly Projection[] layers = [.. model.Projections.Except([model.OutputHead!])];

    /// <summary>Bytes of weights that a step reads: matrices, head, biases and norms. Of a table of embeddings it reads a row, which
    /// is not counted.</summary>
    public long WeightBytes => layers.Append(model.OutputHead!).Sum(layer => Bytes(layer.Weight)) + model.Parameters.Values.Where(weight => weight.dim() == 1).Sum(Bytes);

    /// <summary>Products of a prompt with the weights of the blocks, and how often it does each.</summary>
    /// <param name="batch">Sequences.</param>
    public IReadOnlyDictionary<MatrixProduct, int> PromptProducts(int batch) => layers
        .GroupBy(layer => new MatrixProduct((long)batch * prompt, layer.InputSize, layer.OutputSize, Transposed: !layer.StoresTransposed))
        .ToDictionary(group => group.Key, group => group.Count());

    /// <summary>Operations of a prompt: products with the weights, of the head at its last position alone, and of attention the half
    /// that is not masked.</summary>
    /// <param name="batch">Sequences.</param>
    public double PromptFlops(int batch) => PromptProducts(batch).Sum(product => product.Key.Flops * product.Value)
        + 2.0 * batch * model.OutputHead!.Weight.numel()
        + Enumerable.Range(1, prompt).Sum(length => 4.0 * batch * model.Shape.Heads * model.Shape.HeadDimension * Seen(length));

    /// <summary>Bytes that a step reads of weights and cache, in the middle of some steps.</summary>
    /// <param name="batch">Sequences.</param>
    /// <param name="steps">Steps after the prompt.</param>
    public double StepBytes(int batch, int steps) => WeightBytes
        + 2.0 * sizeof(float) * batch * model.Shape.KeyValueHeads * model.Shape.HeadDimension * Enumerable.Range(prompt + 1, steps).Average(Seen);

    // Positions that all layers attend to, when there are so many.
    private double Seen(int length) => model.Shape.Windows.Sum(window => (double)Math.Min(length, window ?? length));

    private static long Bytes(Tensor weight) => weight.numel() * weight.element_size();
}
