using System.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.IO.Onnx;

/// <summary>Writes ONNX Runtime's adapters, a tensor at a time: named tensors in a FlatBuffers file
/// (onnxruntime/lora/adapter_format/adapter_schema.fbs, version 1).</summary>
/// <remarks>FlatBuffers links tables, vectors and texts by their distance from the link, wherever they lie. Here they
/// lie in this order: the fields' places in the two kinds of table, the root's table, the list of tensors, their
/// tables, their names and shapes, their data.</remarks>
internal static class OnnxAdapterFile
{
    private const int Format = 1;
    private const int RootLayout = 8, TensorLayout = 20, Root = 32, List = 52, TableBytes = 20;

    /// <summary>Writes a file atomically (<see cref="AtomicFile"/>).</summary>
    /// <param name="path">The file to write.</param>
    /// <param name="tensors">Its tensors, with different names.</param>
    /// <exception cref="InputException">The file would be larger than the 2 GiB that the format allows.</exception>
    public static void Write(string path, IReadOnlyList<OnnxWeight> tensors)
    {
        List<Place> places = Places(tensors);
        long end = places[^1].Data + sizeof(int) + tensors[^1].Bytes;
        if (end > int.MaxValue)
            throw new InputException(
                $"{path} cannot be written: it would have {end / (double)(1 << 30):f1} GiB, and ONNX Runtime's " +
                "adapters have 2 at most. Write it as f16, or resize the adapter to a lower rank.");
        byte[] head = Head(places);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(head);
            long at = head.Length;
            foreach (Place place in places)
            {
                using DisposeScope scope = NewDisposeScope();
                byte[] before = new byte[place.Data + sizeof(int) - at]; // zeros, and the number of bytes
                BitConverter.TryWriteBytes(before.AsSpan(before.Length - sizeof(int)), (int)place.Tensor.Bytes);
                stream.Write(before);
                SafeTensorsWriter.WriteData(stream, place.Tensor.Read());
                at += before.Length + place.Tensor.Bytes;
            }
        });
    }

    private static List<Place> Places(IReadOnlyList<OnnxWeight> tensors)
    {
        long at = List + sizeof(int) * (tensors.Count + 1) + TableBytes * tensors.Count;
        var places = new List<Place>();
        foreach (OnnxWeight tensor in tensors)
        {
            byte[] name = Encoding.UTF8.GetBytes(tensor.Name);
            long shape = BeforeAligned(at + sizeof(int) + name.Length + 1);
            places.Add(new Place(tensor, name, at, shape));
            at = shape + sizeof(int) + sizeof(long) * tensor.Shape.Length;
        }
        for (int i = 0; i < places.Count; i++)
        {
            places[i] = places[i] with { Data = BeforeAligned(at) };
            at = places[i].Data + sizeof(int) + tensors[i].Bytes;
        }
        return places;
    }

    // Everything but the data.
    private static byte[] Head(List<Place> places)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        void Link(long to) => writer.Write((int)(to - bytes.Position));
        void Length(long at, int count)
        {
            writer.Write(new byte[at - bytes.Position]);
            writer.Write(count);
        }
        Link(Root);
        writer.Write("TORT"u8);
        // Of both kinds of table: the sizes of this layout and of the table, and the place of each field.
        for (int kind = 0; kind < 2; kind++)
            foreach (ushort each in (ReadOnlySpan<ushort>)[12, TableBytes, 4, 8, 12, 16]) writer.Write(each);
        foreach (int each in (ReadOnlySpan<int>)[Root - RootLayout, Format, 0, 0]) writer.Write(each);
        Link(List);
        writer.Write(places.Count);
        long tables = List + sizeof(int) * (places.Count + 1);
        for (int i = 0; i < places.Count; i++) Link(tables + TableBytes * i);
        foreach (Place place in places)
        {
            writer.Write((int)bytes.Position - TensorLayout);
            Link(place.Name);
            Link(place.Shape);
            writer.Write(OnnxType.Of(place.Tensor.Type));
            Link(place.Data);
        }
        foreach (Place place in places)
        {
            Length(place.Name, place.Text.Length);
            writer.Write(place.Text); // with a zero behind it
            Length(place.Shape, place.Tensor.Shape.Length);
            foreach (long size in place.Tensor.Shape) writer.Write(size);
        }
        return bytes.ToArray();
    }

    // The place of a number of elements whose first element is at a multiple of 8.
    private static long BeforeAligned(long at) => (at + sizeof(int) + 7) / 8 * 8 - sizeof(int);

    /// <summary>Where the parts of a tensor are: each time the number of elements before them.</summary>
    private sealed record Place(OnnxWeight Tensor, byte[] Text, long Name, long Shape)
    {
        public long Data { get; init; }
    }
}
