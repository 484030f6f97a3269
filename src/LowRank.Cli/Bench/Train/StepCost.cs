using LowRank.Adapters;
using LowRank.Adapters.Methods.Lora;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Training;
using LowRank.Data;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench.Train;

/// <summary>The floating-point operations that a step needs, counted by shape: every matrix product forward, and backward
/// those that lead to a trained weight. No gradient of a frozen weight, nothing below the lowest adapter, no product that is
/// done again to save memory, and of causal attention the half that is not masked.</summary>
internal sealed class StepCost
{
    private readonly Dictionary<MatrixProduct, int> products = [];
    private readonly INetwork network;
    private readonly int batch;

    private StepCost(INetwork network, int batch) => (this.network, this.batch) = (network, batch);

    /// <summary>Products with frozen weights and how often a step does each.</summary>
    public IReadOnlyDictionary<MatrixProduct, int> Products => products;

    /// <summary>Operations of products with frozen weights.</summary>
    public double Frozen => products.Sum(product => product.Key.Flops * product.Value);

    /// <summary>Operations of the pairs.</summary>
    public double Pairs { get; private set; }

    /// <summary>Operations of attention between positions.</summary>
    public double Attention { get; private set; }

    /// <summary>All of them.</summary>
    public double Total => Frozen + Pairs + Attention;

    /// <summary>Counts a step by one forward pass.</summary>
    /// <param name="adapter">Attached, its weights requiring gradients.</param>
    /// <param name="network">The model.</param>
    /// <param name="objective">The task on it.</param>
    /// <param name="rows">The step's rows, of one length.</param>
    public static StepCost Of(Adapter adapter, INetwork network, IObjective objective, IReadOnlyList<IExample> rows)
    {
        var cost = new StepCost(network, rows.Count);
        Projection[] layers = [.. network.Projections, .. network.OutputHead is { } head ? [head] : Array.Empty<Projection>()];
        List<(Projection Layer, ProductCounter Counter)> attached = [];
        foreach (Projection layer in layers)
        {
            int rank = adapter.Layers.TryGetValue(network.ModulePath(layer.Path), out IAdapterLayer? adapted) ? (int)((LoraLayer)adapted).A.shape[0] : 0;
            attached.Add((layer, new ProductCounter(layer, cost, rank)));
        }
        foreach ((Projection layer, ProductCounter counter) in attached) layer.Slot.Attach(counter);
        try
        {
            objective.Sum(rows, null).Dispose();
        }
        finally
        {
            foreach ((Projection layer, ProductCounter counter) in attached) layer.Slot.Detach(counter);
        }
        return cost;
    }

    /// <summary>Notes a product with a frozen weight.</summary>
    public void Count(MatrixProduct product) => products[product] = products.GetValueOrDefault(product) + 1;

    /// <summary>Notes a pair's products: X·Aᵀ and ·Bᵀ; backward dY·B, the gradients of A and B, and the way to the input.</summary>
    public void CountPair(long rows, long inputs, long outputs, long rank, bool needsInput)
    {
        double narrow = 2.0 * rows * rank * inputs, wide = 2.0 * rows * rank * outputs;
        Pairs += narrow + wide + 2 * wide + narrow + (needsInput ? narrow : 0);
    }

    /// <summary>Notes a layer's attention: scores and mixed values; backward twice as much.</summary>
    public void CountAttention(long tokens, bool needsGradient) => Attention += AttentionForward(tokens / batch) * (needsGradient ? 3 : 1);

    private double AttentionForward(long length) => network switch
    {
        Decoder decoder => 2 * 2.0 * batch * (length * (length + 1) / 2) * decoder.Shape.Heads * decoder.Shape.HeadDimension,
        Encoder encoder => 2 * 2.0 * batch * length * length * encoder.Shape.Heads * encoder.Shape.HeadDimension,
        _ => throw new InputException("bench train measures decoders and encoders."),
    };
}
