using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LowRank.Data.Stored;

/// <summary>Where the examples of a file lie.</summary>
/// <param name="At">Where the offsets begin: one for each example, and one for the end.</param>
/// <param name="Count">How many examples there are.</param>
/// <param name="Content">What the file says of itself.</param>
internal sealed record StoredIndex(long At, long Count, StoredContent Content)
{
    /// <summary>Some of the offsets.</summary>
    public long[] Offsets(SafeFileHandle handle, int first, int count)
    {
        var offsets = new long[count];
        ExampleFile.ReadExactly(handle, MemoryMarshal.AsBytes(offsets.AsSpan()), At + (long)first * sizeof(long));
        return offsets;
    }
}
