using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>The memory in which the packed matrices of a model are expanded, one at a time.</summary>
/// <remarks>Belongs to the thread that owns the model: two uses at once are refused, since the second would overwrite the first.</remarks>
public sealed unsafe class ExpansionBuffer : IDisposable
{
    private Tensor? memory; // float32
    private int isBusy;

    /// <summary>One for the packed weights of a model, each of which frees its memory when it is disposed of.</summary>
    internal static ExpansionBuffer ForModel() => new();

    /// <summary>Values it holds at present.</summary>
    public long Capacity => memory?.numel() ?? 0;

    /// <summary>Lends the memory until <see cref="Return"/>.</summary>
    /// <param name="values">How many float32 values are needed.</param>
    /// <param name="address">Where they begin.</param>
    /// <returns>A flat tensor over them, which the buffer owns.</returns>
    internal Tensor Lend(long values, out float* address)
    {
        if (Interlocked.Exchange(ref isBusy, 1) == 1)
            throw new InvalidOperationException("Two threads compute with one quantised model at the same time; give each a model of its own.");
        if (memory is null || memory.numel() < values)
        {
            memory?.Dispose();
            memory = empty(values).DetachFromDisposeScope();
        }
        address = (float*)NativeTensor.Address(memory);
        return memory;
    }

    internal void Return() => Volatile.Write(ref isBusy, 0);

    /// <summary>Frees the memory; a later use makes it anew.</summary>
    public void Dispose()
    {
        memory?.Dispose();
        memory = null;
    }
}
