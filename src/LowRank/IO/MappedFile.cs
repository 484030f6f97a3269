using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LowRank.Kernels.Native;
using TorchSharp;

namespace LowRank.IO;

/// <summary>A memory-mapped file, copy on write (MAP_PRIVATE): a tensor created from it reads the file's own pages.
/// Writing to the tensor in place gives the process its own copy of the page and never changes the file.</summary>
/// <remarks>Lives as long as its owner or any tensor created from it, whichever is last.</remarks>
internal sealed unsafe class MappedFile : IDisposable
{
    private static readonly Lock Gate = new();
    // torch's deleter receives only the address. An address in a live mapping belongs to no other mapping.
    private static readonly Dictionary<nint, MappedFile> Lent = [];

    private readonly MemoryMappedFile? file;
    private readonly MemoryMappedViewAccessor? view;
    private readonly HashSet<nint> addresses = [];
    private readonly byte* start;
    private long references = 1;
    private bool disposed;

    /// <summary>Maps a whole file.</summary>
    public MappedFile(string path)
    {
        if (new FileInfo(path).Length == 0) return; // a pipe or a device too: opening it could wait for ever
        // Other processes may replace or delete the file in the meantime (the mapping keeps the old one).
        using var stream =
            new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
        Length = stream.Length;
        if (Length == 0) return;
        file = MemoryMappedFile.CreateFromFile(
            stream, null, 0, MemoryMappedFileAccess.CopyOnWrite, HandleInheritability.None, leaveOpen: true);
        view = file.CreateViewAccessor(0, Length, MemoryMappedFileAccess.CopyOnWrite);
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
    }

    /// <summary>The file's length in bytes.</summary>
    public long Length { get; }

    /// <summary>A part of the file; valid until the mapping is released.</summary>
    public ReadOnlySpan<byte> Span(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return new(start + offset, length);
    }

    /// <summary>A part of the file as memory; valid as long as <see cref="Span"/>.</summary>
    public ReadOnlyMemory<byte> Memory(long offset, int length) => new Part(this, offset, length).Memory;

    /// <summary>Creates a tensor from the bytes at an offset: a view of the mapping, or a copy if the offset is not a
    /// multiple of the element size (torch's kernels may assume aligned data).</summary>
    public torch.Tensor Tensor(long offset, long bytes, long[] shape, torch.ScalarType type, int elementBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - bytes);
        if (bytes == 0) return torch.empty(shape, type);
        nint address = (nint)(start + offset);
        if (offset % elementBytes != 0)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            torch.Tensor copy = torch.empty(shape, type);
            Buffer.MemoryCopy((void*)address, (void*)NativeTensor.Address(copy), bytes, bytes);
            return copy;
        }
        Lend(address);
        return NativeTensor.Wrap(address, &Return, shape, type);
    }

    /// <summary>Releases the pages of a part; the file is unchanged, and the part is read again on the next use. Does
    /// nothing if the system has no such call.</summary>
    public void Release(long offset, long bytes)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        // Only whole pages: the pages at the ends may contain a neighbour's data.
        long page = Environment.SystemPageSize, first = (offset + page - 1) / page * page,
            end = (offset + bytes) / page * page;
        if (end > first) NativePages.Release((nint)(start + first), (nuint)(end - first));
    }

    /// <summary>Drops the owner's reference; the mapping is released when no tensor created from it is left.</summary>
    public void Dispose()
    {
        lock (Gate)
        {
            if (disposed) return;
            disposed = true;
            Release();
        }
    }

    private void Lend(nint address)
    {
        lock (Gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            references++;
            if (addresses.Add(address)) Lent.Add(address, this);
        }
    }

    // Static and unmanaged: unlike a delegate, it cannot be collected while torch still holds it.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Return(nint address)
    {
        lock (Gate) Lent[address].Release();
    }

    private sealed class Part(MappedFile file, long offset, int length) : System.Buffers.MemoryManager<byte>
    {
        public override Span<byte> GetSpan()
        {
            _ = file.Span(offset, length); // checks
            return new(file.start + offset, length);
        }

        public override System.Buffers.MemoryHandle Pin(int elementIndex = 0) =>
            new(file.start + offset + elementIndex);

        public override void Unpin()
        {
            // Mapped pages do not move.
        }

        protected override void Dispose(bool disposing)
        {
            // The file's owner disposes of it.
        }
    }

    private void Release()
    {
        if (--references > 0) return;
        foreach (nint address in addresses) Lent.Remove(address);
        view?.SafeMemoryMappedViewHandle.ReleasePointer();
        view?.Dispose();
        file?.Dispose();
    }
}
