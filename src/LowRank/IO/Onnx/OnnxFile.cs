using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.IO.Onnx;

/// <summary>Writes ONNX models, a tensor at a time.</summary>
internal static class OnnxFile
{
    /// <summary>The model's file in its folder.</summary>
    public const string Name = "model.onnx";

    /// <summary>The file beside it with the weights of a model that no message can hold.</summary>
    public const string DataName = "model.onnx_data";

    private const int Format = 9, Operators = 20; // opset 20 (ONNX 1.15): ONNX Runtime from 1.17
    private const long MostBytes = 2_000_000_000; // protocol buffers end at 2 GiB
    private const int Alignment = 4096; // for readers that map the data

    /// <summary>Writes a model into a folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="graph">The model.</param>
    /// <param name="mostBytes">The most bytes of weights in <see cref="Name"/>; with more, they are in
    /// <see cref="DataName"/>.</param>
    public static void Write(string folder, OnnxGraph graph, long mostBytes = MostBytes)
    {
        bool isBeside = graph.Weights.Sum(weight => weight.Bytes) > mostBytes;
        long offset = 0;
        var heads = new List<(ProtoMessage Head, OnnxWeight Weight)>();
        foreach (OnnxWeight weight in graph.Weights)
        {
            heads.Add((Head(weight, isBeside ? offset : null), weight));
            offset = Aligned(offset + weight.Bytes);
        }
        long inside = heads.Sum(part => part.Head.Length + (isBeside ? 0 : part.Weight.Bytes));
        ProtoMessage fields = new ProtoMessage().Add(2, "LowRank").Append(graph.Fields);
        using (FileStream file = File.Create(Path.Combine(folder, Name)))
        {
            new ProtoMessage().Add(1, Format).Add(2, "LowRank").Add(8, new ProtoMessage().Add(1, "").Add(2, Operators))
                .Begin(7, fields.Length + inside).WriteTo(file);
            fields.WriteTo(file);
            foreach ((ProtoMessage head, OnnxWeight weight) in heads)
            {
                head.WriteTo(file);
                if (!isBeside) WriteData(file, weight);
            }
        }
        if (!isBeside) return;
        using FileStream data = File.Create(Path.Combine(folder, DataName));
        foreach (OnnxWeight weight in graph.Weights)
        {
            WriteData(data, weight);
            data.SetLength(data.Position = Aligned(data.Position));
        }
    }

    // A TensorProto as a field of the graph, up to its data.
    private static ProtoMessage Head(OnnxWeight weight, long? offset)
    {
        var fields = new ProtoMessage();
        foreach (long size in weight.Shape) fields.Add(1, size);
        fields.Add(2, OnnxType.Of(weight.Type)).Add(8, weight.Name);
        if (offset is { } place)
        {
            foreach ((string key, object value) in new (string, object)[]
            {
                ("location", DataName), ("offset", place), ("length", weight.Bytes),
            })
                fields.Add(13, new ProtoMessage().Add(1, key).Add(2, FormattableString.Invariant($"{value}")));
            return new ProtoMessage().Add(5, fields.Add(14, 1));
        }
        fields.Begin(9, weight.Bytes);
        ProtoMessage head = new ProtoMessage().Begin(5, fields.Length + weight.Bytes);
        return head.Append(fields);
    }

    private static void WriteData(Stream stream, OnnxWeight weight)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        Tensor values = weight.Read();
        if (!values.shape.SequenceEqual(weight.Shape) || values.dtype != weight.Type)
            throw new InvalidOperationException(
                $"{weight.Name} is {values.dtype} [{string.Join(", ", values.shape)}], announced as {weight.Type} " +
                $"[{string.Join(", ", weight.Shape)}].");
        SafeTensorsWriter.WriteData(stream, values);
    }

    private static long Aligned(long offset) => (offset + Alignment - 1) / Alignment * Alignment;
}
