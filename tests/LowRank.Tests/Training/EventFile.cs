using System.Buffers.Binary;
using System.Text;
using LowRank.Training;

namespace LowRank.Tests.Training;

/// <summary>Reads event files without the writer's code, but for the checksum, which a test of its own holds to known
/// bytes.</summary>
internal static class EventFile
{
    /// <summary>The events, each as its fields by their paths of numbers: "5.1.1" is the tag of a summary's
    /// value.</summary>
    public static IReadOnlyList<ILookup<string, object>> Read(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        var events = new List<ILookup<string, object>>();
        for (int at = 0; at < bytes.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            Assert.Equal(EventRecord.MaskedChecksum(bytes.AsSpan(at, 8)),
                BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            Assert.Equal(EventRecord.MaskedChecksum(bytes.AsSpan(at + 12, length)),
                BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            events.Add(Fields(bytes.AsSpan(at + 12, length), "").ToLookup(field => field.Path, field => field.Value));
            at += 16 + length;
        }
        return events;
    }

    // Which fields hold messages; all others of their kind hold texts.
    private static readonly string[] Messages = ["5", "5.1", "5.1.8", "5.1.8.2", "5.1.8.2.2", "5.1.9", "5.1.9.1", "7"];

    private static List<(string Path, object Value)> Fields(ReadOnlySpan<byte> message, string prefix)
    {
        var fields = new List<(string, object)>();
        for (int at = 0; at < message.Length;)
        {
            ulong key = Varint(message, ref at);
            string path = $"{prefix}{key >> 3}";
            switch (key & 7)
            {
                case 0: fields.Add((path, (long)Varint(message, ref at))); break;
                case 1: fields.Add((path, BinaryPrimitives.ReadDoubleLittleEndian(message[at..]))); at += 8; break;
                case 5: fields.Add((path, BinaryPrimitives.ReadSingleLittleEndian(message[at..]))); at += 4; break;
                case 2:
                    int length = (int)Varint(message, ref at);
                    ReadOnlySpan<byte> content = message.Slice(at, length);
                    if (Messages.Contains(path)) fields.AddRange(Fields(content, path + "."));
                    else fields.Add((path, Encoding.UTF8.GetString(content)));
                    at += length;
                    break;
                default: throw new InvalidDataException($"field {path} is of kind {key & 7}");
            }
        }
        return fields;
    }

    private static ulong Varint(ReadOnlySpan<byte> bytes, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = bytes[at++];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80) return value;
        }
    }
}
