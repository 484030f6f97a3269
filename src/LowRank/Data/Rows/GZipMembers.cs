using System.Buffers.Binary;
using ICSharpCode.SharpZipLib.Checksum;
using ICSharpCode.SharpZipLib.Zip.Compression;

namespace LowRank.Data.Rows;

/// <summary>Concatenated gzip members (RFC 1952), each verified by its checksum and length.</summary>
/// <remarks>As in Python's gzip, zeros may follow a member; anything else that is not a member is an error. .NET's own
/// stream treats the end of a truncated file as the end of its content, and the library's treats a damaged member as
/// the end of the file.</remarks>
/// <param name="file">The file; this stream takes ownership.</param>
internal sealed class GZipMembers(Stream file) : ForwardStream
{
    private const int Extra = 4, Name = 8, Comment = 16, HeaderSum = 2; // the header's flags
    private readonly byte[] input = new byte[1 << 16], output = new byte[1 << 16];
    private readonly Inflater inflater = new(noHeader: true);
    private readonly Crc32 sum = new();
    private int at, end;
    private bool isInside, isAfterFirst;
    private uint length;

    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return 0;
        while (isInside || Begin())
        {
            int read = inflater.Inflate(output, 0, Math.Min(output.Length, buffer.Length));
            if (read > 0)
            {
                sum.Update(new ArraySegment<byte>(output, 0, read));
                length = unchecked(length + (uint)read);
                output.AsSpan(0, read).CopyTo(buffer);
                return read;
            }
            if (inflater.IsFinished) End();
            else if (inflater.IsNeedingInput) Feed();
            else throw new InvalidDataException("a gzip member needs a dictionary");
        }
        return 0;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) file.Dispose();
        base.Dispose(disposing);
    }

    // False at the end of the file.
    private bool Begin()
    {
        if (isAfterFirst) while (Fill() && input[at] == 0) at++;
        if (!Fill()) return false;
        if (Next() != 0x1F || Next() != 0x8B)
            throw new InvalidDataException("the data after a gzip member is not another member");
        if (Next() != 8) throw new InvalidDataException("a gzip member uses an unknown compression method");
        int flags = Next();
        Skip(6); // time, extra flags, system
        if ((flags & Extra) != 0) Skip(Next() | (Next() << 8));
        if ((flags & Name) != 0) while (Next() != 0) continue;
        if ((flags & Comment) != 0) while (Next() != 0) continue;
        if ((flags & HeaderSum) != 0) Skip(2);
        inflater.Reset();
        sum.Reset();
        (isInside, isAfterFirst, length) = (true, true, 0);
        return true;
    }

    private void End()
    {
        at -= inflater.RemainingInput;
        Span<byte> trailer = stackalloc byte[8];
        foreach (ref byte value in trailer) value = Next();
        if (BinaryPrimitives.ReadUInt32LittleEndian(trailer) != (uint)sum.Value)
            throw new InvalidDataException("a gzip member's checksum does not match");
        if (BinaryPrimitives.ReadUInt32LittleEndian(trailer[4..]) != length)
            throw new InvalidDataException("a gzip member's length does not match");
        isInside = false;
    }

    private void Feed()
    {
        if (!Fill()) throw new EndOfStreamException("it ends within a gzip member");
        inflater.SetInput(input, at, end - at);
        at = end;
    }

    private byte Next() => Fill() ? input[at++] : throw new EndOfStreamException("it ends within a gzip member");

    private void Skip(int bytes)
    {
        for (int i = 0; i < bytes; i++) Next();
    }

    private bool Fill()
    {
        if (at < end) return true;
        (at, end) = (0, file.Read(input));
        return end > 0;
    }
}
