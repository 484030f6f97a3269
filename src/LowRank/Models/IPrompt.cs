using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Positions before every text that a decoder sees, given by their keys and values in each layer.</summary>
public interface IPrompt
{
    /// <summary>Its tensors by their keys in the adapter's file.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <summary>How many positions.</summary>
    int Length { get; }

    /// <summary>Keys and values of the positions, [1, key-value heads, positions, head dimension] for each layer.</summary>
    /// <param name="model">The decoder.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>Tensors in the caller's dispose scope.</returns>
    IReadOnlyList<(Tensor Keys, Tensor Values)> States(Decoder model, Generator? dropout);
}
