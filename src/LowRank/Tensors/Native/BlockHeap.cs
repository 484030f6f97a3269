namespace LowRank.Tensors.Native;

/// <summary>Blocks of one range of addresses: the lowest place that is large enough is taken, and freed neighbours become one.</summary>
/// <remarks>Blocks lie at the low end of the range as long as there is room there, so that what is touched stays near what is in use
/// (address-ordered first fit; Wilson et al., "Dynamic Storage Allocation", 1995, section 3.4). For some hundreds of large blocks; all
/// threads may use it.</remarks>
/// <param name="start">The range's first address, aligned to 64 bytes.</param>
/// <param name="length">Its bytes.</param>
internal sealed class BlockHeap(nint start, long length)
{
    private const int Line = 64;  // a cache line, and the widest vector
    private const int Shift = 5 * Line; // between blocks: equal places of two blocks shall not fall upon the same sets of the caches

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
            if (!taken.Remove(address, out long size)) throw new ArgumentException($"No block in use begins at {address:x}.", nameof(address));
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
