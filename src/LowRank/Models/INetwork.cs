using LowRank.Models.Layers;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A model of any kind, as adapters and files see it: named weights and adaptable layers.</summary>
public interface INetwork : IDisposable
{
    /// <summary>The family the model belongs to.</summary>
    Families.IModelFamily Family { get; }

    /// <summary>What it computes from its states.</summary>
    HeadKind HeadKind { get; }

    /// <summary>Where the model computes.</summary>
    Device Device { get; }

    /// <summary>Rows of the token embedding.</summary>
    int VocabularySize { get; }

    /// <summary>Longest sequence it takes.</summary>
    int MaxPositions { get; }

    /// <summary>Every weight by its checkpoint name, in the order of the model; a tied head does not appear twice.</summary>
    IReadOnlyDictionary<string, Tensor> Parameters { get; }

    /// <summary>The frozen weights of linear layers that are kept packed, by checkpoint name; they are no <see cref="Parameters"/>.</summary>
    IReadOnlyDictionary<string, PackedWeight> PackedWeights { get; }

    /// <summary>The number of weights.</summary>
    long ParameterCount => Parameters.Values.Sum(weight => weight.numel()) + PackedWeights.Values.Sum(weight => weight.ElementCount);

    /// <summary>The token embedding.</summary>
    Embedding TokenEmbedding { get; }

    /// <summary>Every linear layer but the output head, in the order of the model; those of a task's head at the end.</summary>
    IEnumerable<Projection> Projections { get; }

    /// <summary>The layer that scores the vocabulary; null where there is none.</summary>
    Projection? OutputHead { get; }

    /// <summary>Whether the output head computes with the embedding's weight.</summary>
    bool TiesHead => OutputHead is { SharesWeight: true };

    /// <summary>Stored names of weights that the checkpoint holds besides the one that they share and equal.</summary>
    IReadOnlyCollection<string> DuplicateWeights { get; }

    /// <summary>Whether a training pass keeps the inputs of its blocks alone and computes the blocks again as it goes backward: less
    /// memory, more time, the same gradients. False by default.</summary>
    /// <exception cref="InputException">The model cannot.</exception>
    bool GradientCheckpointing { get; set; }

    /// <summary>Names of weights that the checkpoint lacks and that were drawn anew, as a new task's head is.</summary>
    IReadOnlyCollection<string> CreatedWeights { get; }

    /// <summary>Names of the weights whose values an adapter that is in use holds whole.</summary>
    ISet<string> ReplacedWeights { get; }

    /// <summary>The name under which the checkpoint stores a weight.</summary>
    string StoredName(string parameter);

    /// <summary>A module's path as transformers' class of this head has it: without the base's prefix where there is no head.</summary>
    string ModulePath(string path) => HeadKind == HeadKind.None && path.StartsWith(Family.BasePrefix, StringComparison.Ordinal)
        ? path[Family.BasePrefix.Length..] : path;
}
