namespace LowRank.Tensors.Native;

/// <summary>What the C library can do with pages of memory. Does nothing outside Linux.</summary>
internal static class NativePages
{
    // From Linux's mman.h; the same on x86-64 and arm64.
    private const int DontNeed = 4; // MADV_DONTNEED
    private const int ReadAndWrite = 1 | 2; // PROT_READ | PROT_WRITE
    private const int Reserved = 0x02 | 0x20 | 0x4000; // MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    private const nint Failed = -1; // MAP_FAILED

    private static readonly Advise? AdviseCall = CLibrary.Find<Advise>("madvise");

    /// <summary>Takes whole pages out of the process; those of a private mapping of a file are read anew when they are touched.</summary>
    /// <remarks>The mapping begins on a page, and so must the address.</remarks>
    public static void Release(nint address, nuint bytes) => AdviseCall?.Invoke(address, bytes, DontNeed);

    /// <summary>As <see cref="Release"/>, of the pages that lie wholly within a range.</summary>
    public static void ReleaseWithin(nint address, long bytes)
    {
        nint page = Environment.SystemPageSize, first = (address + page - 1) / page * page, last = (address + (nint)bytes) / page * page;
        if (last > first) Release(first, (nuint)(last - first));
    }

    /// <summary>Takes addresses for as many bytes as the process may use. Pages become memory, all zero, as they are touched.</summary>
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
