using System.Buffers.Binary;
using Parquet.Meta;

namespace LowRank.Data.Rows;

/// <summary>Sees that a Parquet file is whole before the library reads it: footer and page headers, and what they promise.</summary>
internal static class ParquetCheck
{
    private const int LargestFooter = 1 << 28, LargestHeader = 1 << 20;
    private const long FreeValues = 1 << 20, ValuesPerByte = 4096, FreeBytes = 1 << 24, BytesPerByte = 4096, LargestPage = 1 << 30;
    private static ReadOnlySpan<byte> Mark => "PAR1"u8;

    /// <summary>Checks the footer, which has to come before the library opens the file.</summary>
    /// <exception cref="InvalidDataException">It is torn, or no Parquet.</exception>
    public static void Footer(Stream content)
    {
        if (content.Length < 12) throw new InvalidDataException("the file is too short");
        Span<byte> tail = stackalloc byte[8];
        content.Position = content.Length - tail.Length;
        content.ReadExactly(tail);
        int length = BinaryPrimitives.ReadInt32LittleEndian(tail);
        if (!tail[4..].SequenceEqual(Mark)) throw new InvalidDataException("it does not end as Parquet does");
        if (length <= 0 || length > LargestFooter || length > content.Length - 12) throw new InvalidDataException("its footer's length does not fit");
        byte[] footer = new byte[length];
        content.Position = content.Length - 8 - length;
        content.ReadExactly(footer);
        var scan = new ThriftScan(footer);
        scan.Structure("File", null);
        if (scan.At != length) throw new InvalidDataException("its footer ends too soon");
    }

    /// <summary>Checks the pages of a row group.</summary>
    /// <exception cref="InvalidDataException">A page is torn, or promises more than its bytes can hold.</exception>
    public static void Pages(Stream content, RowGroup group)
    {
        foreach (ColumnChunk chunk in group.Columns)
        {
            ColumnMetaData column = chunk.MetaData ?? throw new InvalidDataException("a column has no description");
            if (chunk.FilePath is not null) throw new InvalidDataException("a column lies in another file");
            long from = column.DictionaryPageOffset is > 0 and var dictionary ? Math.Min(dictionary, column.DataPageOffset) : column.DataPageOffset;
            long size = column.TotalCompressedSize;
            if (from < 4 || size < 0 || from > content.Length || size > content.Length - from) throw new InvalidDataException("a column lies outside of the file");
            if (column.NumValues < 0 || column.NumValues > FreeValues + (ValuesPerByte * size)) throw new InvalidDataException($"a column of {size} bytes promises {column.NumValues} values");
            Pages(content, from, from + size, column.NumValues);
        }
    }

    private static void Pages(Stream content, long from, long end, long values)
    {
        byte[] header = new byte[256];
        while (values > 0 && from < end)
        {
            PageSizes page = Header(content, from, end, ref header);
            if (page.Compressed < 0 || page.Compressed > end - from - page.Header) throw new InvalidDataException("a page goes on beyond its column");
            if (page.Plain < 0 || page.Plain > LargestPage || page.Plain > FreeBytes + (BytesPerByte * page.Compressed))
                throw new InvalidDataException($"a page of {page.Compressed} bytes promises {page.Plain}");
            if (page.Values < 0 || page.Values > FreeValues + (ValuesPerByte * page.Compressed)) throw new InvalidDataException($"a page of {page.Compressed} bytes promises {page.Values} values");
            if (!page.IsDictionary && page.Values > values) throw new InvalidDataException("a page has more values than its column");
            if (!page.IsDictionary) values -= page.Values;
            from += page.Header + page.Compressed;
        }
        if (values > 0) throw new InvalidDataException("a column has fewer values than it promises");
    }

    // A header may hold the smallest and largest value, of any length.
    private static PageSizes Header(Stream content, long from, long end, ref byte[] buffer)
    {
        while (true)
        {
            content.Position = from;
            int read = content.ReadAtLeast(buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - from)), (int)Math.Min(buffer.Length, end - from), throwOnEndOfStream: false);
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
                buffer = new byte[buffer.Length * 4]; // it may go on beyond what was read
            }
        }
    }
}
