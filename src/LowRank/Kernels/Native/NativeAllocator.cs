namespace LowRank.Kernels.Native;

/// <summary>Settings of the C library's allocator, for programs that train.</summary>
public static class NativeAllocator
{
    // mallopt's parameters, from glibc's malloc.h
    private const int TrimThreshold = -1;
    private const int MmapThreshold = -3;

    // In bytes. Larger temporaries of torch leave holes that nothing fills; mapping these few again each time costs
    // less than the holes.
    private const int LargestKept = 8 << 20;
    private const int OrdinaryMmapThreshold = 128 * 1024; // glibc's default

    private static volatile bool isAsked;

    /// <summary>Makes glibc keep freed memory for the next tensor instead of returning it to the system.</summary>
    /// <remarks>By default glibc maps each large block again, and the system clears all of its pages: a training step
    /// creates hundreds of such temporaries. Large temporaries of the library's own operations get a separate heap. The
    /// setting affects the whole process, so a program calls this, never the library. Freed memory stays with the
    /// process, except torch's blocks above 8 MB. Takes effect once libtorch is loaded. Does nothing outside Linux with
    /// glibc.</remarks>
    public static void KeepFreedMemory()
    {
        isAsked = true;
        if (NativeRuntime.IsLoaded) Apply();
    }

    /// <summary>Applies the settings that the program requested before libtorch was loaded.</summary>
    internal static void Apply()
    {
        if (!isAsked) return;
        StepMemory.Keep();
        if (CLibrary.Find<SetOption>("mallopt") is not { } mallopt) return;
        mallopt(MmapThreshold, StepMemory.IsKept ? LargestKept : int.MaxValue);
        mallopt(TrimThreshold, int.MaxValue);
    }

    /// <summary>Makes glibc map each large block separately and return it when freed, until
    /// <see cref="KeepFreedMemory"/>: a block that is created once and is much larger than later ones then leaves no
    /// hole for later blocks to fragment.</summary>
    public static void MapLargeBlocks()
    {
        NativeRuntime.Initialize(); // what a program asked for before takes effect there
        if (CLibrary.Find<SetOption>("mallopt") is { } mallopt) mallopt(MmapThreshold, OrdinaryMmapThreshold);
    }

    /// <summary>Returns freed memory to the system, so that the next measurement starts from the memory in use. Does
    /// nothing outside Linux with glibc.</summary>
    public static void ReturnFreedMemory()
    {
        StepMemory.Trim();
        CLibrary.Find<Trim>("malloc_trim")?.Invoke(0);
    }

    private delegate int Trim(nuint keptBytes);

    private delegate int SetOption(int parameter, int value);
}

/// <summary>Operations of the C library on memory pages. They do nothing outside Linux.</summary>
internal static class NativePages
{
    // From Linux's mman.h; the same on x86-64 and arm64.
    private const int DontNeed = 4; // MADV_DONTNEED
    private const int ReadAndWrite = 1 | 2; // PROT_READ | PROT_WRITE
    private const int Reserved = 0x02 | 0x20 | 0x4000; // MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    private const nint Failed = -1; // MAP_FAILED

    private static readonly Advise? AdviseCall = CLibrary.Find<Advise>("madvise");

    /// <summary>Releases whole pages from the process; those of a private file mapping are read again on
    /// access.</summary>
    /// <remarks>The mapping starts on a page boundary, and so must the address.</remarks>
    public static void Release(nint address, nuint bytes) => AdviseCall?.Invoke(address, bytes, DontNeed);

    /// <summary>Like <see cref="Release"/>, for the pages that lie entirely within a range.</summary>
    public static void ReleaseWithin(nint address, long bytes)
    {
        nint page = Environment.SystemPageSize, first = (address + page - 1) / page * page,
            last = (address + (nint)bytes) / page * page;
        if (last > first) Release(first, (nuint)(last - first));
    }

    /// <summary>Reserves addresses for the given number of bytes. Pages get memory, all zeros, on first
    /// access.</summary>
    /// <returns>Null if the system provides none.</returns>
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

/// <summary>Allocates blocks in one address range: takes the lowest free extent that is large enough, and merges freed
/// neighbours.</summary>
/// <remarks>Blocks stay at the low end of the range as long as there is space, so that touched memory stays close to
/// the memory in use (address-ordered first fit; Wilson et al., "Dynamic Storage Allocation", 1995, section 3.4). For
/// several hundred large blocks; thread-safe.</remarks>
/// <param name="start">The range's start address, aligned to 64 bytes.</param>
/// <param name="length">Its length in bytes.</param>
internal sealed class BlockHeap(nint start, long length)
{
    private const int Line = 64;  // a cache line, and the widest vector
    // between blocks: equal positions in two blocks must not map to the same cache sets
    private const int Shift = 5 * Line;

    private readonly Lock access = new();
    private readonly Dictionary<nint, long> taken = [];
    private readonly List<(nint Start, long Length)> free = [(start, length)]; // by address; none next to another

    /// <summary>Bytes in use.</summary>
    public long Used { get; private set; }

    /// <summary>Allocates a block.</summary>
    /// <param name="bytes">Its size in bytes.</param>
    /// <returns>Its address, aligned to 64 bytes; 0 if there is no space.</returns>
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

    /// <summary>Frees a block.</summary>
    /// <param name="address">The address returned by <see cref="Take"/>.</param>
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

    /// <summary>Calls an action for each free extent while no block can be allocated or freed.</summary>
    public void EachFree(Action<nint, long> act)
    {
        lock (access)
            foreach ((nint address, long size) in free) act(address, size);
    }
}
