using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A part of an adapter: what it does to one layer, a weight it replaces, a prompt before the text.</summary>
public interface IAdapterPart : IDisposable
{
    /// <summary>Its tensors by their keys in the adapter's file.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <summary>Tensors that the file has besides, each a form of one that is trained.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Copies => [];

    /// <summary>Takes part in what the model computes.</summary>
    void Attach();

    /// <summary>No longer takes part: the model computes as before <see cref="Attach"/>.</summary>
    void Detach();
}
