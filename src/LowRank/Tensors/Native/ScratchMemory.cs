using System.Runtime.InteropServices;

namespace LowRank.Tensors.Native;

/// <summary>Memory of a thread for what lasts no longer than one operation: it grows to the largest that was asked for, and is
/// used again.</summary>
internal static unsafe class ScratchMemory
{
    private const int Alignment = 64; // a cache line, and the widest vector

    [ThreadStatic]
    private static float*[]? blocks;

    [ThreadStatic]
    private static long[]? sizes;

    /// <summary>Room for numbers, aligned to 64 bytes; what it holds is left over from the last use.</summary>
    /// <param name="use">Which of the blocks that one operation holds at the same time.</param>
    /// <param name="count">How many numbers.</param>
    public static float* Floats(ScratchUse use, long count)
    {
        blocks ??= new float*[Enum.GetValues<ScratchUse>().Length];
        sizes ??= new long[blocks.Length];
        int index = (int)use;
        if (sizes[index] >= count) return blocks[index];
        NativeMemory.AlignedFree(blocks[index]);
        blocks[index] = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), Alignment);
        sizes[index] = count;
        return blocks[index];
    }
}
