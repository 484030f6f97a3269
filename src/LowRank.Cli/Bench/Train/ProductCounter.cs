using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Train;

/// <summary>Sits in a layer's slot above the adapters during one pass, and notes the products that a step needs there.</summary>
internal sealed class ProductCounter(Projection projection, StepCost cost, int rank) : ISlotAdapter
{
    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        long rows = input.numel() / projection.InputSize;
        cost.Count(new MatrixProduct(rows, projection.InputSize, projection.OutputSize, Transposed: !projection.StoresTransposed));
        // The gradient of the input goes on to the layers below; where nothing is trained there, it is not needed.
        if (input.requires_grad)
            cost.Count(new MatrixProduct(rows, projection.OutputSize, projection.InputSize, Transposed: projection.StoresTransposed));
        if (rank > 0) cost.CountPair(rows, projection.InputSize, projection.OutputSize, rank, input.requires_grad);
        if (IsAttentionOutput(projection.Path)) cost.CountAttention(rows, input.requires_grad);
        return inner(input);
    }

    private static bool IsAttentionOutput(string path) =>
        new[] { "attn.c_proj", "self_attn.o_proj", "attention.output.dense", "self_attn.out_proj" }.Any(ending => path.EndsWith(ending, StringComparison.Ordinal));
}
