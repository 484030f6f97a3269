namespace LowRank.Tensors.Native;

/// <summary>Settings of the C library's allocator, for programs that train.</summary>
public static class NativeAllocator
{
    // mallopt's parameters, from glibc's malloc.h
    private const int TrimThreshold = -1;
    private const int MmapThreshold = -3;

    // Bytes. Torch's own temporaries beyond leave holes that nothing fills; mapping these few anew each time costs less than the holes.
    private const int LargestKept = 8 << 20;
    private const int OrdinaryMmapThreshold = 128 * 1024; // glibc's default

    /// <summary>Has glibc keep freed memory for the next tensor instead of giving it back to the system.</summary>
    /// <remarks>glibc maps each large block anew by default, and the system clears every page of it: a training step makes
    /// hundreds of such temporaries. Large ones of the library's own operations get a heap of their own. Changes the whole process, so
    /// a program calls it, never the library. What is freed stays with the process, but for blocks of torch's beyond 8 MB. Does nothing outside Linux with glibc.</remarks>
    public static void KeepFreedMemory()
    {
        StepMemory.Keep();
        if (CLibrary.Find<SetOption>("mallopt") is not { } mallopt) return;
        mallopt(MmapThreshold, StepMemory.IsKept ? LargestKept : int.MaxValue);
        mallopt(TrimThreshold, int.MaxValue);
    }

    /// <summary>Has glibc map each large block anew and give it back as it is freed, until <see cref="KeepFreedMemory"/>: what is made
    /// once and is much larger than what follows leaves no holes behind, over which later blocks would spread.</summary>
    public static void MapLargeBlocks()
    {
        if (CLibrary.Find<SetOption>("mallopt") is { } mallopt) mallopt(MmapThreshold, OrdinaryMmapThreshold);
    }

    /// <summary>Gives the memory that is freed and kept back to the system, so that what is measured next starts from what is
    /// in use. Does nothing outside Linux with glibc.</summary>
    public static void ReturnFreedMemory()
    {
        StepMemory.Trim();
        CLibrary.Find<Trim>("malloc_trim")?.Invoke(0);
    }

    private delegate int Trim(nuint keptBytes);

    private delegate int SetOption(int parameter, int value);
}
