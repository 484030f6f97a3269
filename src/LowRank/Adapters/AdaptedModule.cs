using LowRank.Adapters.Files;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A layer of the model with what an adapter does to it.</summary>
/// <param name="site">The layer.</param>
/// <param name="layer">What the adapter does.</param>
public sealed class AdaptedModule(AdapterSite site, IAdapterLayer layer) : IAdapterPart
{
    /// <summary>The layer.</summary>
    public AdapterSite Site => site;

    /// <summary>What the adapter does to it.</summary>
    public IAdapterLayer Layer => layer;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => Named(layer.Weights);

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Copies => Named(layer.Copies);

    /// <inheritdoc/>
    public void Attach() => site.Slot.Attach(layer);

    /// <inheritdoc/>
    public void Detach() => site.Slot.Detach(layer);

    /// <inheritdoc/>
    public void Dispose() => layer.Dispose();

    private IReadOnlyList<KeyValuePair<string, Tensor>> Named(IReadOnlyList<KeyValuePair<string, Tensor>> tensors) =>
        [.. tensors.Select(tensor => KeyValuePair.Create(PeftTensorKeys.Prefix + site.Path + tensor.Key, tensor.Value))];
}
