using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels.Native;

/// <summary>Memory for the large tensors that a step creates and frees.</summary>
/// <remarks>glibc takes an aligned block, as all of torch's are, out of a larger one, and gives the rest to small
/// blocks: after it is freed, the next block of its size does not fit there (until glibc 2.38). Hundreds of large
/// tensors per step then leave holes as large as the memory in use. These tensors therefore have a separate heap
/// without small blocks.</remarks>
internal static unsafe class StepMemory
{
    private const long Smallest = 128 * 1024; // bytes; smaller tensors are torch's

    private static BlockHeap? heap;

    /// <summary>Whether the heap is in use.</summary>
    public static bool IsKept => heap is not null;

    /// <summary>Allocates large tensors from the heap from now on; without this call, torch allocates them. For
    /// programs: freed memory stays with the process.</summary>
    public static void Keep()
    {
        if (heap is not null || NativePages.Reserve() is not { } range) return;
        heap = new BlockHeap(range.Address, range.Bytes);
    }

    /// <summary>Returns free memory to the system.</summary>
    public static void Trim() => heap?.EachFree(NativePages.ReleaseWithin);

    /// <summary>An uninitialised float32 tensor on the processor.</summary>
    /// <param name="shape">Its sizes.</param>
    /// <returns>In the caller's dispose scope.</returns>
    public static Tensor Empty(params ReadOnlySpan<long> shape)
    {
        long bytes = sizeof(float);
        foreach (long size in shape) bytes *= size;
        nint address = bytes < Smallest || heap is null ? 0 : heap.Take(bytes);
        return address == 0 ? empty(shape) : NativeTensor.Wrap(address, &Return, [.. shape], ScalarType.Float32);
    }

    /// <summary>Like <see cref="Empty"/>, with another tensor's type and on its device.</summary>
    /// <param name="beside">The other tensor.</param>
    /// <param name="shape">The new tensor's sizes.</param>
    /// <returns>In the caller's dispose scope.</returns>
    public static Tensor EmptyBeside(Tensor beside, params ReadOnlySpan<long> shape) =>
        beside.dtype == ScalarType.Float32 && beside.device_type == DeviceType.CPU ? Empty(shape)
        : empty([.. shape], beside.dtype, beside.device);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Return(nint address) => heap!.Return(address);
}

/// <summary>Per-thread scratch memory for single operations: it grows to the largest requested size, is reused, and is
/// freed with its thread.</summary>
internal static unsafe class ScratchMemory
{
    private const int Alignment = 64; // a cache line, and the widest vector

    [ThreadStatic]
    private static float[]? own; // pinned

    /// <summary>An uninitialised buffer, aligned to 64 bytes. Each call on a thread returns the same memory.</summary>
    /// <param name="count">Number of elements.</param>
    public static float* Floats(int count)
    {
        const int More = Alignment / sizeof(float);
        if (own is null || own.Length < count + More)
            own = GC.AllocateUninitializedArray<float>(count + More, pinned: true);
        nint address = (nint)Unsafe.AsPointer(ref own[0]);
        return (float*)((address + Alignment - 1) & -Alignment);
    }
}
