using System.Buffers;
using System.Collections;
using Microsoft.Win32.SafeHandles;

namespace LowRank.Data.Stored;

/// <summary>Examples in a file, read one by one on demand: memory does not grow with their number.</summary>
/// <remarks>Reads by position instead of mapping the file: mapped pages count as memory of the process, and a mapped
/// file that is truncated or whose disk disappears would end the process.</remarks>
internal sealed class StoredExamples : IReadOnlyList<TokenizedExample>, IFingerprinted, IDisposable
{
    private const int Together = 4096; // offsets read together, for sequential access
    private readonly SafeFileHandle handle;
    private readonly string path;
    private readonly StoredIndex index;
    private long[] offsets = [];
    private int firstOffset = -1;

    /// <summary>Takes ownership of a file whose tail has been checked.</summary>
    public StoredExamples(SafeFileHandle handle, string path, StoredIndex index) =>
        (this.handle, this.path, this.index) = (handle, path, index);

    /// <inheritdoc/>
    public int Count => (int)index.Count;

    /// <inheritdoc/>
    public string Fingerprint => index.Content.Fingerprint;

    /// <summary>The summary of the rows.</summary>
    public StoredContent Content => index.Content;

    /// <inheritdoc/>
    public TokenizedExample this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            byte[]? rented = null;
            try
            {
                (long from, long to) = (Offset(index), Offset(index + 1));
                if (to < from || to - from > int.MaxValue) throw new InvalidDataException("a row's place does not fit");
                rented = ArrayPool<byte>.Shared.Rent((int)(to - from));
                Span<byte> record = rented.AsSpan(0, (int)(to - from));
                ExampleFile.ReadExactly(handle, record, from);
                return ExampleRecord.Read(record, Content.Files);
            }
            catch (Exception failure)
                when (failure is IOException or InvalidDataException or ArgumentException or IndexOutOfRangeException)
            {
                throw new InputException(
                    $"{path}, which stores tokenised data, can no longer be read ({failure.Message.TrimEnd('.')}). " +
                    "Delete the file; it will be created again.", failure);
            }
            finally
            {
                if (rented is not null) ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    /// <inheritdoc/>
    public IEnumerator<TokenizedExample> GetEnumerator() =>
        Enumerable.Range(0, Count).Select(i => this[i]).GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public void Dispose() => handle.Dispose();

    private long Offset(int number)
    {
        int first = number / Together * Together;
        if (first != firstOffset)
        {
            offsets = index.Offsets(handle, first, (int)Math.Min(Together, index.Count + 1 - first));
            firstOffset = first;
        }
        return offsets[number - first];
    }
}
