using LowRank.Quantization;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Where a model's weights come from: a checkpoint, or a random draw.</summary>
public interface IWeightSource
{
    /// <summary>A word for messages: the checkpoint's path, or what is drawn.</summary>
    string Description { get; }

    /// <summary>The names this source holds; null when it can make any.</summary>
    IReadOnlyCollection<string>? Names { get; }

    /// <summary>The shape stored under a name; null when the source has no such tensor.</summary>
    /// <param name="name">The full tensor name.</param>
    /// <param name="expected">The shape the model needs, which a source that draws weights adopts.</param>
    long[]? ShapeOf(string name, long[] expected);

    /// <summary>The tensor, in the source's dtype; the caller owns it.</summary>
    Tensor Read(string name, long[] shape);

    /// <summary>How the weights of linear layers are to be kept; null as they are, in float32.</summary>
    IWeightFormat? Format => null;

    /// <summary>Whether weights that the source holds packed are to be expanded.</summary>
    bool Expands => false;

    /// <summary>The weight of a name, where the source holds it packed; else null.</summary>
    StoredMatrix? Quantized(string name) => null;

    /// <summary>Says that a weight has been read and is not needed again, so that its pages may leave the process.</summary>
    void Release(string name)
    {
        // Only a mapped file has something to release.
    }
}
