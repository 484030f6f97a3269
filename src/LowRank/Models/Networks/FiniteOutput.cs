using System.Globalization;
using LowRank.Kernels;
using LowRank.Models.Layers;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Rejects model outputs that are not finite and finds out where they originate.</summary>
/// <remarks>Only the final output is checked during computation; the weights and layers are searched only after a
/// failure.</remarks>
internal static class FiniteOutput
{
    /// <summary>Whether every value of a tensor is finite.</summary>
    public static bool Holds(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        return tensor.isfinite().all().item<bool>();
    }

    /// <summary>Returns an output if all its values are finite.</summary>
    /// <param name="output">The output.</param>
    /// <param name="network">The model that computed it.</param>
    /// <param name="name">What it is, such as "scores".</param>
    /// <param name="again">Recomputes it for the diagnosis.</param>
    /// <exception cref="NonFiniteException">A value is not finite.</exception>
    public static Tensor Require(Tensor output, INetwork network, string name, Action again) =>
        Holds(output) ? output : throw Failure(network, $"The model gives no finite {name}", again);

    /// <summary>The error for an output that is not finite.</summary>
    /// <param name="network">The model that computed it.</param>
    /// <param name="what">What is wrong, without a final period.</param>
    /// <param name="again">Recomputes it.</param>
    public static NonFiniteException Failure(INetwork network, string what, Action again) =>
        new($"{what}: {Origin(network, again)}.");

    /// <summary>Where values that are not finite originate: a weight of the base, a tensor of an adapter, or otherwise
    /// the first layer that produces them.</summary>
    /// <param name="network">The model.</param>
    /// <param name="again">Recomputes the output.</param>
    /// <returns>One or two sentences without the final period.</returns>
    public static string Origin(INetwork network, Action again)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        return OfAdapters(network) ?? OfBase(network) ?? OfLayers(network, again);
    }

    private static string? OfAdapters(INetwork network)
    {
        IEnumerable<KeyValuePair<string, Tensor>> tensors = Slots(network)
            .SelectMany(slot => slot.Slot.Adapters.SelectMany(adapter => adapter.Weights)
            .Select(weight => KeyValuePair.Create(network.ModulePath(slot.Path) + weight.Key, weight.Value)))
            .Concat(network is Decoder { Prompt: { } prompt } ? prompt.Weights : [])
            .Concat(network.Parameters.Where(weight => network.ReplacedWeights.Contains(weight.Key)));
        return tensors.Select(Problem).FirstOrDefault(problem => problem is not null) is { } found
            ? $"the adapter's tensor {found}. Its training diverged, or its file is damaged: use an earlier " +
            "checkpoint of it" : null;
    }

    private static string? OfBase(INetwork network)
    {
        string? found = network.Parameters.Where(weight => !network.ReplacedWeights.Contains(weight.Key))
            .Select(Problem).FirstOrDefault(problem => problem is not null);
        foreach ((string name, PackedWeight weight) in found is null ? network.PackedWeights
            : new Dictionary<string, PackedWeight>())
        {
            using var scope = NewDisposeScope();
            if ((found = Problem(KeyValuePair.Create(name, weight.Expand()))) is not null) break;
        }
        return found is null ? null : $"the base's weight {found}. Fetch or convert the model's files again";
    }

    private static string OfLayers(INetwork network, Action again)
    {
        var watches = new List<(AdapterSlot Slot, Watch Watch)>();
        var seen = new List<Watch>();
        foreach ((string path, AdapterSlot slot) in Slots(network))
        {
            var watch = new Watch(path, seen);
            slot.Attach(watch);
            watches.Add((slot, watch));
        }
        try
        {
            again();
        }
        finally
        {
            foreach ((AdapterSlot slot, Watch watch) in watches) slot.Detach(watch);
        }
        const string TooLarge =
            "its numbers leave the range of float32. See that the files belong together, and that the adapter's " +
            "alpha and its training were not too large";
        return seen.FirstOrDefault(watch => watch.Finding is not null) is { } first
            ? $"every weight is finite, and {first.Finding}: {TooLarge}"
            : "every weight is finite, and so is the output of every linear layer; what is computed from the last " +
            $"of them is not: {TooLarge}";
    }

    private static string? Problem(KeyValuePair<string, Tensor> weight)
    {
        if (Holds(weight.Value)) return null;
        using var scope = NewDisposeScope();
        long nan = weight.Value.isnan().sum().item<long>(),
            broken = weight.Value.isfinite().logical_not().sum().item<long>();
        return string.Create(CultureInfo.InvariantCulture,
            $"{weight.Key} has {broken:n0} of {weight.Value.numel():n0} numbers that are " +
            $"{(nan == broken ? "NaN" : nan == 0 ? "infinite" : "NaN or infinite")}");
    }

    private static IEnumerable<(string Path, AdapterSlot Slot)> Slots(INetwork network)
    {
        IEnumerable<Linear> layers = network.OutputHead is { } head ? network.LinearLayers.Append(head)
            : network.LinearLayers;
        return [(network.TokenEmbedding.Path, network.TokenEmbedding.Slot),
            .. layers.Select(layer => (layer.Path, layer.Slot))];
    }

    // Sits above a layer's adapters and checks inputs and outputs until something is not finite.
    private sealed class Watch(string path, List<Watch> seen) : ISlotAdapter
    {
        public string? Finding { get; private set; }

        public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
        {
            Tensor output = inner.Forward(input);
            if (seen.Exists(watch => watch.Finding is not null)) return output;
            if (input.is_floating_point() && !Holds(input))
                Finding =
                    $"what reaches {path} is the first that is not{(seen.Count > 0 ? $", after {seen[^1].Path}" : "")}";
            else if (!Holds(output)) Finding = $"the output of {path} is the first that is not{Reach(input)}";
            seen.Add(this);
            return output;
        }

        private string Path => path;

        private static string Reach(Tensor input) => input.is_floating_point()
            ? string.Create(
                CultureInfo.InvariantCulture, $" (what goes in reaches {input.abs().max().item<float>():g3})") : "";
    }
}
