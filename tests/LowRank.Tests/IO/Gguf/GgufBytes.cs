using System.Text;

namespace LowRank.Tests.IO.Gguf;

/// <summary>Makes GGUF files byte by byte, damaged ones too.</summary>
internal sealed class GgufBytes(uint version = 3, ulong? tensors = null, ulong? keys = null)
{
    private readonly List<byte[]> keyParts = [], tensorParts = [];

    public GgufBytes Key(string key, uint type, byte[] value)
    {
        keyParts.Add([.. Text(key), .. BitConverter.GetBytes(type), .. value]);
        return this;
    }

    /// <param name="name">The tensor's name.</param>
    /// <param name="size">Its sizes as the file has them, the innermost first.</param>
    /// <param name="type">The number of its type.</param>
    /// <param name="offset">Where its data begins.</param>
    public GgufBytes Tensor(string name, long[] size, uint type, ulong offset)
    {
        tensorParts.Add([.. Text(name), .. BitConverter.GetBytes(size.Length),
            .. size.SelectMany(BitConverter.GetBytes), .. BitConverter.GetBytes(type),
            .. BitConverter.GetBytes(offset)]);
        return this;
    }

    /// <summary>The file, with so many bytes of data.</summary>
    public byte[] Data(int bytes, int alignment = 32)
    {
        byte[] header = [.. "GGUF"u8, .. BitConverter.GetBytes(version),
            .. BitConverter.GetBytes(tensors ?? (ulong)tensorParts.Count),
            .. BitConverter.GetBytes(keys ?? (ulong)keyParts.Count),
            .. keyParts.SelectMany(part => part), .. tensorParts.SelectMany(part => part)];
        return [.. header, .. new byte[(alignment - header.Length % alignment) % alignment + bytes]];
    }

    private static byte[] Text(string text) =>
        [.. BitConverter.GetBytes((ulong)Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];
}
