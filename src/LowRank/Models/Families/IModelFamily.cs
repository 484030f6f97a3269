using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Families;

/// <summary>A family of models: a class of this interface is found by its type.</summary>
public interface IModelFamily
{
    /// <summary>The value of <c>model_type</c> that names this family.</summary>
    string ModelType { get; }

    /// <summary>Prefix of the bare model's tensors inside a model with a head.</summary>
    string BasePrefix { get; }

    /// <summary>The head of a model that does not name one.</summary>
    HeadKind DefaultHead { get; }

    /// <summary>The heads that can be built.</summary>
    IReadOnlyList<HeadKind> Heads { get; }

    /// <summary>The name of transformers' class for a head, as configs have it under <c>architectures</c>.</summary>
    string ClassName(HeadKind head);

    /// <summary>Builds a model.</summary>
    /// <param name="config">The model's <c>config.json</c>.</param>
    /// <param name="source">Its weights.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="trainable">True gives every weight its own memory, so that training may change it in place.</param>
    /// <param name="head">What it computes from its states; one of <see cref="Heads"/>.</param>
    /// <exception cref="InputException">The config asks for something unsupported, or weights are missing, unexpected or
    /// mis-shaped: all problems at once.</exception>
    INetwork Build(ConfigReader config, IWeightSource source, Device device, bool trainable, HeadRequest head);
}
