using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A model that turns one text into states: a decoder or an encoder.</summary>
public interface ISequenceNetwork : INetwork
{
    /// <summary>What is computed from the states; null for none.</summary>
    Head? Head { get; }

    /// <summary>Which state the family's classifiers take for a whole text.</summary>
    Pooling Pooling { get; }

    /// <summary>The normalised states below the head.</summary>
    /// <param name="input">The batch.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[batch, sequence, hidden]; the caller owns it.</returns>
    Tensor States(ModelInput input, Generator? dropout = null);
}
