using System.Runtime.CompilerServices;

namespace LowRank.Tensors.Native;

/// <summary>Memory of a thread for what lasts no longer than one operation: it grows to the largest that was asked for, is used again, and goes with its thread.</summary>
internal static unsafe class ScratchMemory
{
    private const int Alignment = 64; // a cache line, and the widest vector

    [ThreadStatic]
    private static float[]? own; // pinned

    /// <summary>Room for numbers, aligned to 64 bytes; what it holds is left over from the last use. The same for each call of a thread.</summary>
    /// <param name="count">How many numbers.</param>
    public static float* Floats(int count)
    {
        const int More = Alignment / sizeof(float);
        if (own is null || own.Length < count + More) own = GC.AllocateUninitializedArray<float>(count + More, pinned: true);
        nint address = (nint)Unsafe.AsPointer(ref own[0]);
        return (float*)((address + Alignment - 1) & -Alignment);
    }
}
