using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using LowRank.IO;
using Microsoft.Win32.SafeHandles;

namespace LowRank.Data.Stored;

/// <summary>Files of examples: records, their offsets, a description, and a tail that detects a truncated
/// file.</summary>
internal static class ExampleFile
{
    private const int TailBytes = 64;
    private const int LongestText = 1 << 24;
    private static ReadOnlySpan<byte> Mark => "LowRank tokens 1"u8; // 16 bytes

    /// <summary>Writes examples one by one; the file gets its name when it is complete.</summary>
    /// <param name="path">The file.</param>
    /// <param name="examples">The examples.</param>
    /// <param name="content">Creates the description at the end, given the names of the places' files and the
    /// fingerprint of the examples.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(
        string path, IEnumerable<TokenizedExample> examples, Func<IReadOnlyList<string>, string, StoredContent> content)
    {
        string offsetsPath = Path.Combine(Path.GetDirectoryName(path)!, $".{Guid.NewGuid():N}.offsets.tmp");
        AtomicFile.Write(path, raw =>
        {
            using var offsets =
                new FileStream(
                    offsetsPath, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16,
                    FileOptions.DeleteOnClose);
            var stream = new BufferedStream(raw, 1 << 20); // the opener closes the file
            var files = new Dictionary<string, int>();
            using var fingerprint = new ExampleFingerprint();
            var record = new ArrayBufferWriter<byte>();
            long at = 0, count = 0;
            foreach (TokenizedExample example in examples)
            {
                int file = example.Place is { } place ? files.TryGetValue(place.File, out int known) ? known
                    : files[place.File] = files.Count : 0;
                record.ResetWrittenCount();
                ExampleRecord.Write(example, file, record);
                stream.Write(record.WrittenSpan);
                fingerprint.Add(example);
                Append(offsets, at);
                at += record.WrittenCount;
                count++;
            }
            Append(offsets, at);
            offsets.Position = 0;
            byte[] text = JsonSerializer.SerializeToUtf8Bytes(
                content([.. files.OrderBy(file => file.Value).Select(file => file.Key)], fingerprint.Finish()));
            byte[] sum = CopyAndSum(offsets, stream, text);
            stream.Write(Tail(at, count, text.Length, sum));
            stream.Flush();
        });
    }

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="key">The expected key of its examples.</param>
    /// <returns>Null if the file is missing, truncated, or has another key.</returns>
    public static StoredExamples? Open(string path, string key)
    {
        if (!File.Exists(path)) return null;
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (ReadIndex(handle) is { } index && index.Content.Key == key && index.Count <= int.MaxValue - 1)
                return new StoredExamples(handle, path, index);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            handle?.Dispose(); // treated as missing: the file is created again
            return null;
        }
        handle.Dispose();
        return null;
    }

    /// <summary>Reads all requested bytes.</summary>
    /// <exception cref="IOException">The file ends too early.</exception>
    public static void ReadExactly(SafeFileHandle handle, Span<byte> into, long at)
    {
        while (into.Length > 0)
        {
            int read = RandomAccess.Read(handle, into, at);
            if (read == 0) throw new EndOfStreamException("the file ends too soon");
            at += read;
            into = into[read..];
        }
    }

    private static StoredIndex? ReadIndex(SafeFileHandle handle)
    {
        long length = RandomAccess.GetLength(handle);
        if (length < TailBytes) return null;
        Span<byte> tail = stackalloc byte[TailBytes];
        ReadExactly(handle, tail, length - TailBytes);
        if (!tail.StartsWith(Mark)) return null;
        long at = BinaryPrimitives.ReadInt64LittleEndian(tail[16..]),
            count = BinaryPrimitives.ReadInt64LittleEndian(tail[24..]),
            text = BinaryPrimitives.ReadInt64LittleEndian(tail[32..]);
        if (at < 0 || count < 0 || text is < 0 or > LongestText || count > length
            || at + ((count + 1) * sizeof(long)) + text + TailBytes != length)
            return null;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] chunk = new byte[1 << 16], json = new byte[text];
        long end = at + ((count + 1) * sizeof(long));
        for (long position = at; position < end;)
        {
            Span<byte> part = chunk.AsSpan(0, (int)Math.Min(chunk.Length, end - position));
            ReadExactly(handle, part, position);
            hash.AppendData(part);
            position += part.Length;
        }
        ReadExactly(handle, json, end);
        hash.AppendData(json);
        if (!hash.GetHashAndReset().AsSpan(0, 16).SequenceEqual(tail[40..56])) return null;
        return JsonSerializer.Deserialize<StoredContent>(json) is { } content
            ? new StoredIndex(at, count, content) : null;
    }

    private static byte[] CopyAndSum(Stream offsets, Stream into, byte[] text)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] chunk = new byte[1 << 16];
        for (int read = offsets.Read(chunk); read > 0; read = offsets.Read(chunk))
        {
            into.Write(chunk, 0, read);
            hash.AppendData(chunk, 0, read);
        }
        into.Write(text);
        hash.AppendData(text);
        return hash.GetHashAndReset();
    }

    private static byte[] Tail(long at, long count, long text, byte[] sum)
    {
        byte[] tail = new byte[TailBytes];
        Mark.CopyTo(tail);
        BinaryPrimitives.WriteInt64LittleEndian(tail.AsSpan(16), at);
        BinaryPrimitives.WriteInt64LittleEndian(tail.AsSpan(24), count);
        BinaryPrimitives.WriteInt64LittleEndian(tail.AsSpan(32), text);
        sum.AsSpan(0, 16).CopyTo(tail.AsSpan(40));
        return tail;
    }

    private static void Append(Stream offsets, long value) => offsets.Write(MemoryMarshal.AsBytes<long>([value]));
}

/// <summary>The description in a file of examples.</summary>
internal sealed record StoredContent
{
    /// <summary>The key of the examples: files, tokenizer, options, program.</summary>
    public required string Key { get; init; }

    /// <summary>The fingerprint of the examples (<see cref="ExampleFingerprint"/>).</summary>
    public required string Fingerprint { get; init; }

    /// <summary>The summary of the rows.</summary>
    public required TokenizationSummary Summary { get; init; }

    /// <summary>How the assistant's turns were recognised; null if no row is a conversation.</summary>
    public string? TurnsToldBy { get; init; }

    /// <summary>Whether a row is a conversation.</summary>
    public bool HasConversations { get; init; }

    /// <summary>Notes from reading, one sentence each.</summary>
    public required IReadOnlyList<Words> Notes { get; init; }

    /// <summary>The names of the files of places.</summary>
    public required IReadOnlyList<string> Files { get; init; }
}

/// <summary>The layout of the examples in a file.</summary>
/// <param name="At">The start of the offsets: one per example, and one for the end.</param>
/// <param name="Count">The number of examples.</param>
/// <param name="Content">The file's description.</param>
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
