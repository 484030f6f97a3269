using System.Buffers.Binary;
using Parquet.Meta;

namespace LowRank.Data.Rows;

/// <summary>Checks that a Parquet file is intact before the library reads it: the footer, the page headers, and the
/// sizes they declare.</summary>
internal static class ParquetCheck
{
    private const int LargestFooter = 1 << 28, LargestHeader = 1 << 20;
    private const long FreeValues = 1 << 20, ValuesPerByte = 4096, FreeBytes = 1 << 24, BytesPerByte = 4096,
        LargestPage = 1 << 30;
    private static ReadOnlySpan<byte> Mark => "PAR1"u8;

    /// <summary>Checks the footer; must run before the library opens the file.</summary>
    /// <exception cref="InvalidDataException">The file is truncated, or not Parquet.</exception>
    public static void Footer(Stream content)
    {
        if (content.Length < 12) throw new InvalidDataException("the file is too short");
        Span<byte> tail = stackalloc byte[8];
        content.Position = content.Length - tail.Length;
        content.ReadExactly(tail);
        int length = BinaryPrimitives.ReadInt32LittleEndian(tail);
        if (!tail[4..].SequenceEqual(Mark)) throw new InvalidDataException("it does not end as Parquet does");
        if (length <= 0 || length > LargestFooter || length > content.Length - 12)
            throw new InvalidDataException("its footer's length does not fit");
        byte[] footer = new byte[length];
        content.Position = content.Length - 8 - length;
        content.ReadExactly(footer);
        var scan = new ThriftScan(footer);
        scan.Structure("File", null);
        if (scan.At != length) throw new InvalidDataException("its footer ends too soon");
    }

    /// <summary>Checks the pages of a row group.</summary>
    /// <exception cref="InvalidDataException">A page is truncated, or declares more than its bytes can
    /// hold.</exception>
    public static void Pages(Stream content, RowGroup group)
    {
        foreach (ColumnChunk chunk in group.Columns)
        {
            ColumnMetaData column = chunk.MetaData ?? throw new InvalidDataException("a column has no description");
            if (chunk.FilePath is not null) throw new InvalidDataException("a column lies in another file");
            long from = column.DictionaryPageOffset is > 0 and var dictionary
                ? Math.Min(dictionary, column.DataPageOffset) : column.DataPageOffset;
            long size = column.TotalCompressedSize;
            if (from < 4 || size < 0 || from > content.Length || size > content.Length - from)
                throw new InvalidDataException("a column lies outside the file");
            if (column.NumValues < 0 || column.NumValues > FreeValues + (ValuesPerByte * size))
                throw new InvalidDataException($"a column of {size} bytes declares {column.NumValues} values");
            Pages(content, from, from + size, column.NumValues);
        }
    }

    private static void Pages(Stream content, long from, long end, long values)
    {
        byte[] header = new byte[256];
        while (values > 0 && from < end)
        {
            PageSizes page = Header(content, from, end, ref header);
            if (page.Compressed < 0 || page.Compressed > end - from - page.Header)
                throw new InvalidDataException("a page extends beyond its column");
            if (page.Plain < 0 || page.Plain > LargestPage || page.Plain > FreeBytes + (BytesPerByte * page.Compressed))
                throw new InvalidDataException($"a page of {page.Compressed} bytes declares {page.Plain}");
            if (page.Values < 0 || page.Values > FreeValues + (ValuesPerByte * page.Compressed))
                throw new InvalidDataException($"a page of {page.Compressed} bytes declares {page.Values} values");
            if (!page.IsDictionary && page.Values > values)
                throw new InvalidDataException("a page has more values than its column");
            if (!page.IsDictionary) values -= page.Values;
            from += page.Header + page.Compressed;
        }
        if (values > 0) throw new InvalidDataException("a column has fewer values than it declares");
    }

    // A header may contain the smallest and largest value, of any length.
    private static PageSizes Header(Stream content, long from, long end, ref byte[] buffer)
    {
        while (true)
        {
            content.Position = from;
            int read = content.ReadAtLeast(
                buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - from)), (int)Math.Min(buffer.Length, end - from),
                throwOnEndOfStream: false);
            var page = new PageSizes();
            try
            {
                var scan = new ThriftScan(buffer.AsSpan(0, read));
                scan.Structure("Page", page.Take);
                page.Header = scan.At;
                return page;
            }
            catch (InvalidDataException) when (read == buffer.Length && buffer.Length < LargestHeader)
            {
                buffer = new byte[buffer.Length * 4]; // the header may be longer than what was read
            }
        }
    }
}

/// <summary>Scans a structure in thrift's compact protocol and checks that it is complete and has the expected
/// types.</summary>
/// <remarks>The Parquet library trusts these bytes: a wrong one can make it loop forever or allocate any amount of
/// memory.</remarks>
internal ref struct ThriftScan(ReadOnlySpan<byte> bytes)
{
    private const int Deepest = 16;
    private readonly ReadOnlySpan<byte> bytes = bytes;

    /// <summary>Number of bytes scanned.</summary>
    public int At { get; private set; }

    /// <summary>Scans a structure.</summary>
    /// <param name="name">Its name in <see cref="ParquetStructures"/>.</param>
    /// <param name="number">Receives whole numbers: the structure, the field and the value.</param>
    /// <exception cref="InvalidDataException">The bytes are not such a structure.</exception>
    public void Structure(string name, Action<string, int, long>? number) => Structure(name, number, 0);

    private void Structure(string? name, Action<string, int, long>? number, int depth)
    {
        if (depth > Deepest) throw new InvalidDataException("structures are nested too deep");
        int id = 0;
        while (true)
        {
            byte header = Byte();
            if (header == 0) return;
            int delta = header >> 4, type = header & 0x0F;
            id = delta > 0 ? id + delta : (int)Zigzag();
            string? expected = name is null ? null : ParquetStructures.Field(name, id);
            if (expected is not null && !Fits(expected, type))
                throw new InvalidDataException($"field {id} of {name} has the type {type}");
            Value(type, expected, name is null || expected is null ? null : value => number?.Invoke(name, id, value),
                number, depth);
        }
    }

    private void Value(int type, string? expected, Action<long>? own, Action<string, int, long>? number, int depth)
    {
        switch (type)
        {
            case 1 or 2: break; // the type is the value
            case 3: Byte(); break;
            case 4 or 5 or 6:
                long value = Zigzag();
                if (type == 5 && value is < int.MinValue or > int.MaxValue)
                    throw new InvalidDataException("a number is too large");
                own?.Invoke(value);
                break;
            case 7: Skip(sizeof(double)); break;
            case 8: Skip(Length()); break;
            case 9 or 10: List(expected, number, depth); break;
            case 11: Map(depth); break;
            case 12: Structure(expected?.TrimStart('*').Trim('(', ')'), number, depth + 1); break;
            default: throw new InvalidDataException($"there is no type {type}");
        }
    }

    private void List(string? expected, Action<string, int, long>? number, int depth)
    {
        byte header = Byte();
        int type = header & 0x0F, count = header >> 4 == 15 ? Length() : header >> 4;
        if (count > bytes.Length - At) throw new InvalidDataException("a list is longer than its bytes");
        if (expected is not null && !Fits(expected[1..], type))
            throw new InvalidDataException($"a list has elements of the type {type}");
        for (int i = 0; i < count; i++)
        {
            if (type is 1 or 2) Byte();
            else Value(type, expected?[1..], null, number, depth + 1);
        }
    }

    private void Map(int depth)
    {
        if (depth > Deepest) throw new InvalidDataException("maps are nested too deep");
        int count = Length();
        if (count == 0) return;
        byte types = Byte();
        if (count > bytes.Length - At) throw new InvalidDataException("a map is longer than its bytes");
        for (int i = 0; i < count; i++)
        {
            foreach (int type in (int[])[types >> 4, types & 0x0F])
                if (type is 1 or 2) Byte();
                else Value(type, null, null, null, depth + 1);
        }
    }

    private static bool Fits(string expected, int type) => expected[0] switch
    {
        'b' => type is 1 or 2,
        'y' => type == 3,
        'h' => type == 4,
        'i' => type == 5,
        'l' => type == 6,
        's' => type == 8,
        '*' => type == 9,
        _ => type == 12,
    };

    private byte Byte()
    {
        if (At >= bytes.Length) throw new InvalidDataException("a structure extends beyond its bytes");
        return bytes[At++];
    }

    private void Skip(int count)
    {
        if (count > bytes.Length - At) throw new InvalidDataException("a value extends beyond its bytes");
        At += count;
    }

    private int Length() => Number() is var length && length <= int.MaxValue ? (int)length
        : throw new InvalidDataException("a length is too large");

    private long Zigzag() => Number() is var number ? (long)(number >> 1) ^ -(long)(number & 1) : 0;

    private ulong Number()
    {
        ulong value = 0;
        for (int shift = 0; shift < 70; shift += 7)
        {
            byte next = Byte();
            value |= (ulong)(next & 0x7F) << shift;
            if (next <= 0x7F) return value;
        }
        throw new InvalidDataException("a number does not end");
    }
}
