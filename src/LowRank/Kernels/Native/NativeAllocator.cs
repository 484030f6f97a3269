namespace LowRank.Kernels.Native;

/// <summary>Settings of the C library's allocator, for programs that train.</summary>
public static class NativeAllocator
{
    // mallopt's parameters, from glibc's malloc.h
    private const int TrimThreshold = -1;
    private const int MmapThreshold = -3;

    // Bytes. Torch's own temporaries beyond leave holes that nothing fills; mapping these few anew each time costs less
    // than the holes.
    private const int LargestKept = 8 << 20;
    private const int OrdinaryMmapThreshold = 128 * 1024; // glibc's default

    private static volatile bool isAsked;

    /// <summary>Has glibc keep freed memory for the next tensor instead of giving it back to the system.</summary>
    /// <remarks>glibc maps each large block anew by default, and the system clears every page of it: a training step
    /// makes hundreds of such temporaries. Large ones of the library's own operations get a heap of their own. Changes
    /// the whole process, so a program calls it, never the library. What is freed stays with the process, but for
    /// blocks of torch's beyond 8 MB. Takes effect once libtorch is loaded. Does nothing outside Linux with
    /// glibc.</remarks>
    public static void KeepFreedMemory()
    {
        isAsked = true;
        if (NativeRuntime.IsLoaded) Apply();
    }

    /// <summary>Does what the program asked for before libtorch was loaded.</summary>
    internal static void Apply()
    {
        if (!isAsked) return;
        StepMemory.Keep();
        if (CLibrary.Find<SetOption>("mallopt") is not { } mallopt) return;
        mallopt(MmapThreshold, StepMemory.IsKept ? LargestKept : int.MaxValue);
        mallopt(TrimThreshold, int.MaxValue);
    }

    /// <summary>Has glibc map each large block anew and give it back as it is freed, until
    /// <see cref="KeepFreedMemory"/>: what is made once and is much larger than what follows leaves no holes behind,
    /// over which later blocks would spread.</summary>
    public static void MapLargeBlocks()
    {
        NativeRuntime.Initialize(); // what a program asked for before takes effect there
        if (CLibrary.Find<SetOption>("mallopt") is { } mallopt) mallopt(MmapThreshold, OrdinaryMmapThreshold);
    }

    /// <summary>Gives the memory that is freed and kept back to the system, so that what is measured next starts from
    /// what is in use. Does nothing outside Linux with glibc.</summary>
    public static void ReturnFreedMemory()
    {
        StepMemory.Trim();
        CLibrary.Find<Trim>("malloc_trim")?.Invoke(0);
    }

    private delegate int Trim(nuint keptBytes);

    private delegate int SetOption(int parameter, int value);
}

/// <summary>What the C library can do with pages of memory. Does nothing outside Linux.</summary>
internal static class NativePages
{
    // From Linux's mman.h; the same on x86-64 and arm64.
    private const int DontNeed = 4; // MADV_DONTNEED
    private const int ReadAndWrite = 1 | 2; // PROT_READ | PROT_WRITE
    private const int Reserved = 0x02 | 0x20 | 0x4000; // MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    private const nint Failed = -1; // MAP_FAILED

    private static readonly Advise? AdviseCall = CLibrary.Find<Advise>("madvise");

    /// <summary>Takes whole pages out of the process; those of a private mapping of a file are read anew when they are
    /// touched.</summary>
    /// <remarks>The mapping begins on a page, and so must the address.</remarks>
    public static void Release(nint address, nuint bytes) => AdviseCall?.Invoke(address, bytes, DontNeed);

    /// <summary>As <see cref="Release"/>, of the pages that lie wholly within a range.</summary>
    public static void ReleaseWithin(nint address, long bytes)
    {
        nint page = Environment.SystemPageSize, first = (address + page - 1) / page * page,
            last = (address + (nint)bytes) / page * page;
        if (last > first) Release(first, (nuint)(last - first));
    }

    /// <summary>Takes addresses for as many bytes as the process may use. Pages become memory, all zero, as they are
    /// touched.</summary>
    /// <returns>Null where the system gives none.</returns>
    public static (nint Address, long Bytes)? Reserve()
    {
        if (CLibrary.Find<Map>("mmap") is not { } map) return null;
        long bytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        nint address = map(0, (nuint)bytes, ReadAndWrite, Reserved, -1, 0);
        return address == Failed ? null : (address, bytes);
    }

    private delegate int Advise(nint address, nuint bytes, int advice);

    private delegate nint Map(nint address, nuint bytes, int protection, int flags, int file, nint offset);
}

/// <summary>Blocks of one range of addresses: the lowest place that is large enough is taken, and freed neighbours
/// become one.</summary>
/// <remarks>Blocks lie at the low end of the range as long as there is room there, so that what is touched stays near
/// what is in use (address-ordered first fit; Wilson et al., "Dynamic Storage Allocation", 1995, section 3.4). For some
/// hundreds of large blocks; all threads may use it.</remarks>
/// <param name="start">The range's first address, aligned to 64 bytes.</param>
/// <param name="length">Its bytes.</param>
internal sealed class BlockHeap(nint start, long length)
{
    private const int Line = 64;  // a cache line, and the widest vector
    // between blocks: equal places of two blocks shall not fall upon the same sets of the caches
    private const int Shift = 5 * Line;

    private readonly Lock access = new();
    private readonly Dictionary<nint, long> taken = [];
    private readonly List<(nint Start, long Length)> free = [(start, length)]; // by address; none next to another

    /// <summary>Bytes in use.</summary>
    public long Used { get; private set; }

    /// <summary>Takes a block.</summary>
    /// <param name="bytes">Its size.</param>
    /// <returns>Its address, aligned to 64 bytes; 0 where there is no room.</returns>
    public nint Take(long bytes)
    {
        long size = ((bytes + Line - 1) & -Line) + Shift;
        lock (access)
        {
            int place = free.FindIndex(extent => extent.Length >= size);
            if (place < 0) return 0;
            (nint address, long room) = free[place];
            if (room == size) free.RemoveAt(place);
            else free[place] = (address + (nint)size, room - size);
            taken.Add(address, size);
            Used += size;
            return address;
        }
    }

    /// <summary>Gives a block back.</summary>
    /// <param name="address">As <see cref="Take"/> gave it.</param>
    public void Return(nint address)
    {
        lock (access)
        {
            if (!taken.Remove(address, out long size))
                throw new ArgumentException($"No block in use begins at {address:x}.", nameof(address));
            Used -= size;
            int next = ~free.BinarySearch((address, 0));
            bool joinsNext = next < free.Count && address + (nint)size == free[next].Start;
            bool joinsBefore = next > 0 && free[next - 1].Start + (nint)free[next - 1].Length == address;
            if (joinsNext) size += free[next].Length;
            if (joinsBefore) free[next - 1] = (free[next - 1].Start, free[next - 1].Length + size);
            if (joinsBefore && joinsNext) free.RemoveAt(next);
            else if (joinsNext) free[next] = (address, size);
            else if (!joinsBefore) free.Insert(next, (address, size));
        }
    }

    /// <summary>Does something to each free extent, while no block is taken or given back.</summary>
    public void EachFree(Action<nint, long> act)
    {
        lock (access)
            foreach ((nint address, long size) in free) act(address, size);
    }
}
