using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels.Native;

/// <summary>Memory for the large tensors that a step makes and frees.</summary>
/// <remarks>glibc takes a block that is aligned, as all of torch's are, out of a larger one, and gives the rest to
/// small blocks: when it is freed, the next one of its size does not fit into its place (until glibc 2.38). Hundreds of
/// large tensors a step leave holes of as many megabytes as are in use. These have a heap of their own, without small
/// blocks.</remarks>
internal static unsafe class StepMemory
{
    private const long Smallest = 128 * 1024; // bytes; smaller tensors are torch's

    private static BlockHeap? heap;

    /// <summary>Whether the heap is in use.</summary>
    public static bool IsKept => heap is not null;

    /// <summary>Takes large tensors from the heap from now on; without a call, from torch. For programs: what is freed
    /// stays with the process.</summary>
    public static void Keep()
    {
        if (heap is not null || NativePages.Reserve() is not { } range) return;
        heap = new BlockHeap(range.Address, range.Bytes);
    }

    /// <summary>Gives memory that is free back to the system.</summary>
    public static void Trim() => heap?.EachFree(NativePages.ReleaseWithin);

    /// <summary>A float32 tensor on the processor; what it holds is left over.</summary>
    /// <param name="shape">Its sizes.</param>
    /// <returns>In the caller's dispose scope.</returns>
    public static Tensor Empty(params ReadOnlySpan<long> shape)
    {
        long bytes = sizeof(float);
        foreach (long size in shape) bytes *= size;
        nint address = bytes < Smallest || heap is null ? 0 : heap.Take(bytes);
        return address == 0 ? empty(shape) : NativeTensor.Wrap(address, &Return, [.. shape], ScalarType.Float32);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Return(nint address) => heap!.Return(address);
}

/// <summary>Memory of a thread for what lasts no longer than one operation: it grows to the largest that was asked for,
/// is used again, and goes with its thread.</summary>
internal static unsafe class ScratchMemory
{
    private const int Alignment = 64; // a cache line, and the widest vector

    [ThreadStatic]
    private static float[]? own; // pinned

    /// <summary>Room for numbers, aligned to 64 bytes; what it holds is left over from the last use. The same for each
    /// call of a thread.</summary>
    /// <param name="count">How many numbers.</param>
    public static float* Floats(int count)
    {
        const int More = Alignment / sizeof(float);
        if (own is null || own.Length < count + More)
            own = GC.AllocateUninitializedArray<float>(count + More, pinned: true);
        nint address = (nint)Unsafe.AsPointer(ref own[0]);
        return (float*)((address + Alignment - 1) & -Alignment);
    }
}
