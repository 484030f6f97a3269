using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace LowRank.Data.Stored;

/// <summary>One example as bytes: numbers with seven bits per byte, runs of labels that are learned or not, and a
/// checksum.</summary>
internal static class ExampleRecord
{
    [Flags]
    private enum Parts
    {
        None = 0,
        WideIds = 1,        // four bytes an id, else two
        OwnLabels = 2,      // labels other than the token's own
        Mask = 4,
        PlaceIsRow = 8,
        HasPlace = 16,
    }

    private const int SumBytes = sizeof(uint);

    /// <summary>Appends an example.</summary>
    /// <param name="example">The example.</param>
    /// <param name="file">The number of the file of its place.</param>
    /// <param name="into">Receives the bytes.</param>
    public static void Write(TokenizedExample example, int file, ArrayBufferWriter<byte> into)
    {
        int start = into.WrittenCount;
        bool wide = Array.Exists(example.InputIds, id => id > ushort.MaxValue);
        bool ownLabels = Enumerable.Range(0, example.Length)
            .Any(i => example.Labels[i] != TokenizedExample.Ignored && example.Labels[i] != example.InputIds[i]);
        Parts parts = (wide ? Parts.WideIds : Parts.None) | (ownLabels ? Parts.OwnLabels : Parts.None) | (
            example.AttentionMask is null ? Parts.None : Parts.Mask)
            | (example.Place is { } place ? Parts.HasPlace | (place.IsRow ? Parts.PlaceIsRow : Parts.None)
            : Parts.None);
        Number((ulong)parts, into);
        Number((ulong)example.Length, into);
        if (example.Place is { } at)
        {
            Number((ulong)file, into);
            Number((ulong)at.Line, into);
        }
        if (wide) into.Write(MemoryMarshal.AsBytes<int>(example.InputIds));
        else into.Write(MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(example.InputIds, id => (ushort)id)));
        if (ownLabels) into.Write(MemoryMarshal.AsBytes<int>(example.Labels));
        else Runs(Array.ConvertAll(example.Labels, label => label != TokenizedExample.Ignored), into);
        if (example.AttentionMask is { } mask) Runs(Array.ConvertAll(mask, value => value != 0), into);
        BinaryPrimitives.WriteUInt32LittleEndian(into.GetSpan(SumBytes), Sum(into.WrittenSpan[start..]));
        into.Advance(SumBytes);
    }

    /// <summary>Reads an example.</summary>
    /// <param name="record">All bytes of the record.</param>
    /// <param name="files">The names of the files of places.</param>
    /// <exception cref="InvalidDataException">The bytes differ from those that were written.</exception>
    public static TokenizedExample Read(ReadOnlySpan<byte> record, IReadOnlyList<string> files)
    {
        if (record.Length < SumBytes
            || Sum(record[..^SumBytes]) != BinaryPrimitives.ReadUInt32LittleEndian(record[^SumBytes..]))
            throw new InvalidDataException("a row's check sum does not fit");
        ReadOnlySpan<byte> rest = record[..^SumBytes];
        var parts = (Parts)Number(ref rest);
        int length = (int)Number(ref rest);
        DataPlace? place = null;
        if (parts.HasFlag(Parts.HasPlace))
        {
            string file = files[(int)Number(ref rest)];
            place = new DataPlace(file, (long)Number(ref rest)) { IsRow = parts.HasFlag(Parts.PlaceIsRow) };
        }
        int[] ids = parts.HasFlag(Parts.WideIds)
            ? MemoryMarshal.Cast<byte, int>(Take(ref rest, length * sizeof(int))).ToArray()
            : Array.ConvertAll(
                MemoryMarshal.Cast<byte, ushort>(Take(ref rest, length * sizeof(ushort))).ToArray(), id => (int)id);
        int[] labels = parts.HasFlag(Parts.OwnLabels)
            ? MemoryMarshal.Cast<byte, int>(Take(ref rest, length * sizeof(int))).ToArray()
            : Labels(ids, Runs(ref rest, length));
        int[]? mask = parts.HasFlag(Parts.Mask)
            ? Array.ConvertAll(Runs(ref rest, length), value => value ? 1 : 0) : null;
        return new TokenizedExample(ids, labels, mask, place);
    }

    private static int[] Labels(int[] ids, bool[] learned)
    {
        var labels = new int[ids.Length];
        for (int i = 0; i < labels.Length; i++) labels[i] = learned[i] ? ids[i] : TokenizedExample.Ignored;
        return labels;
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> rest, int count)
    {
        ReadOnlySpan<byte> taken = rest[..count];
        rest = rest[count..];
        return taken;
    }

    // The lengths of runs, the first one of false.
    private static void Runs(bool[] values, ArrayBufferWriter<byte> into)
    {
        bool current = false;
        for (int i = 0; i < values.Length;)
        {
            int start = i;
            while (i < values.Length && values[i] == current) i++;
            Number((ulong)(i - start), into);
            current = !current;
        }
    }

    private static bool[] Runs(ref ReadOnlySpan<byte> rest, int length)
    {
        var values = new bool[length];
        bool current = false;
        for (int i = 0; i < length;)
        {
            int run = (int)Number(ref rest);
            values.AsSpan(i, run).Fill(current);
            i += run;
            current = !current;
        }
        return values;
    }

    private static void Number(ulong value, ArrayBufferWriter<byte> into)
    {
        do
        {
            into.GetSpan(1)[0] = (byte)((value & 0x7F) | (value > 0x7F ? 0x80u : 0));
            into.Advance(1);
            value >>= 7;
        }
        while (value > 0);
    }

    private static ulong Number(ref ReadOnlySpan<byte> rest)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = rest[0];
            rest = rest[1..];
            value |= (ulong)(next & 0x7F) << shift;
            if (next <= 0x7F) return value;
        }
    }

    // FNV-1a.
    private static uint Sum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 2166136261;
        foreach (byte value in bytes) sum = unchecked((sum ^ value) * 16777619);
        return sum;
    }
}
