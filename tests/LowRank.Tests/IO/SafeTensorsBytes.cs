using System.Buffers.Binary;
using System.Text;

namespace LowRank.Tests.IO;

/// <summary>Makes safetensors files, right and wrong, by hand.</summary>
internal static class SafeTensorsBytes
{
    public static byte[] Make(string header, int dataBytes) => Make(header, new byte[dataBytes]);

    public static byte[] Make(string header, byte[] data)
    {
        byte[] text = Encoding.UTF8.GetBytes(header);
        byte[] file = new byte[8 + text.Length + data.Length];
        BinaryPrimitives.WriteInt64LittleEndian(file, text.Length);
        text.CopyTo(file, 8);
        data.CopyTo(file, 8 + text.Length);
        return file;
    }

    /// <summary>A file of zeros that takes no room on the disk: the header, then data up to its length.</summary>
    public static void WriteSparse(string path, string header, long dataBytes, byte[] tail)
    {
        // The header's length stays a multiple of 8, as the format's writers keep it.
        byte[] start = Make(header.PadRight((header.Length + 7) / 8 * 8), 0);
        using FileStream stream = File.Create(path);
        stream.Write(start);
        stream.SetLength(start.Length + dataBytes);
        stream.Position = stream.Length - tail.Length;
        stream.Write(tail);
    }
}
