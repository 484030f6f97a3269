using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Sums over the inputs x of a layer, collected in its slot while the model runs: Σxxᵀ, Σx and the number of
/// inputs.</summary>
/// <param name="inputs">Width of the input.</param>
/// <param name="device">The model's device.</param>
/// <param name="normalizes">Whether the inputs of each example are divided by their maximum (CorDA).</param>
internal sealed class InputStatistics(int inputs, Device device, bool normalizes) : ISlotAdapter, IDisposable
{
    /// <summary>The positions of the next example to count; null for all.</summary>
    public IReadOnlyList<int>? Positions { get; set; }

    /// <summary>Σxxᵀ, [in, in].</summary>
    public Tensor Products { get; } = zeros(inputs, inputs, ScalarType.Float64, device).DetachFromDisposeScope();

    /// <summary>Σx, [in].</summary>
    public Tensor Sum { get; } = zeros(inputs, ScalarType.Float64, device).DetachFromDisposeScope();

    /// <summary>Number of inputs counted.</summary>
    public long Count { get; private set; }

    /// <summary>Number of calls of the layer.</summary>
    public long Calls { get; private set; }

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        using (var scope = NewDisposeScope())
        using (var noGradient = no_grad())
        {
            Tensor rows = input.detach().reshape(-1, inputs);
            // Layers that see another number of positions, such as an expert or a pooler, count all of them.
            if (Positions is { Count: > 0 } chosen && input.dim() == 3 && input.shape[0] == 1
                && chosen[^1] < input.shape[1])
                rows = rows.index_select(
                    0, tensor(chosen.Select(position => (long)position).ToArray(), device: rows.device));
            if (normalizes) rows = rows / rows.max().abs();
            Products.add_(matmul(rows.t(), rows).to(ScalarType.Float64), Number(1));
            Sum.add_(rows.sum([0]).to(ScalarType.Float64), Number(1)); // sum(0) would be read as a dtype
            Count += rows.shape[0];
            Calls++;
        }
        return inner.Forward(input);
    }

    /// <summary>Collects the statistics of every target of an adapter that is being built, and uses them.</summary>
    /// <param name="build">The adapter.</param>
    /// <param name="usesLabels">Whether only positions with labels count.</param>
    /// <param name="normalizes">As in the constructor.</param>
    /// <param name="use">Computes the result from the statistics by path, which are disposed of afterwards.</param>
    public static T Collect<T>(AdapterBuild build, bool usesLabels, bool normalizes,
        Func<IReadOnlyDictionary<string, InputStatistics>, T> use)
    {
        ICalibration calibration = build.RequireCalibration();
        return build.Observe(
            layer => new InputStatistics(layer.InputSize, build.Network.Device, normalizes),
            statistics => calibration.Forward(positions =>
            {
                foreach (InputStatistics inputs in statistics.Values)
                    inputs.Positions = usesLabels ? positions : null;
            }),
            statistics =>
            {
                string[] unseen = [.. statistics.Where(pair => pair.Value.Count == 0).Select(pair => pair.Key)];
                return unseen.Length == 0 ? use(statistics) : throw new InputException(
                    $"init_lora_weights \"{((LoraConfig)build.Config).InitLoraWeights.Text}\": no example reached " +
                    "these layers. Take more examples to look at:", unseen);
            });
    }

    public void Dispose()
    {
        Products.Dispose();
        Sum.Dispose();
    }
}
