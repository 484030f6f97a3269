using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>What a decoder needs of the source texts: each block's keys and values of them, and their padding.</summary>
public sealed class SourceStates : IDisposable
{
    internal SourceStates(IReadOnlyList<(Tensor Keys, Tensor Values)> blocks, Tensor? bias)
    {
        Blocks = blocks;
        Bias = bias;
    }

    /// <summary>A block's keys and values, each [batch, heads, source, dimension].</summary>
    internal IReadOnlyList<(Tensor Keys, Tensor Values)> Blocks { get; }

    /// <summary>Minus infinity on padding, [batch, 1, 1, source]; null when nothing is padded.</summary>
    internal Tensor? Bias { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Tensor keys, Tensor values) in Blocks)
        {
            keys.Dispose();
            values.Dispose();
        }
        Bias?.Dispose();
    }
}
