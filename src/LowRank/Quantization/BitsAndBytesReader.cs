using LowRank.IO;
using LowRank.IO.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>Finds and validates the weights that a checkpoint stores as bitsandbytes tensors, or as blocks of
/// GGUF.</summary>
internal sealed class BitsAndBytesReader
{
    private const string Fp4Key = ".quant_state.bitsandbytes__fp4";
    private const string Int8Key = ".SCB";

    private readonly Checkpoint checkpoint;
    private readonly List<string> problems = [];

    private BitsAndBytesReader(Checkpoint checkpoint) => this.checkpoint = checkpoint;

    /// <summary>The quantised weights by name; empty if there are none.</summary>
    /// <exception cref="InputException">Tensors are missing, have the wrong shape or type, or have values that
    /// bitsandbytes does not write; the message lists all problems.</exception>
    public static IReadOnlyDictionary<string, StoredMatrix> Read(Checkpoint checkpoint)
    {
        var reader = new BitsAndBytesReader(checkpoint);
        using var scope = NewDisposeScope();
        var found = new Dictionary<string, StoredMatrix>();
        foreach (string key in checkpoint.Entries.Keys)
        {
            if (key.EndsWith(Fp4Key, StringComparison.Ordinal))
                reader.problems.Add(
                    $"{key[..^Fp4Key.Length]} is quantised as fp4; supported are nf4 and int8. Quantise the model " +
                    "anew with bnb_4bit_quant_type \"nf4\"");
            else if (key.EndsWith(Nf4State.Key, StringComparison.Ordinal)
                && reader.Nf4Weight(key[..^Nf4State.Key.Length]) is { } nf4)
                found.Add(key[..^Nf4State.Key.Length], nf4);
            else if (key.EndsWith(GgufBlocks.Key, StringComparison.Ordinal)
                && reader.GgufWeight(key[..^GgufBlocks.Key.Length]) is { } blocks)
                found.Add(key[..^GgufBlocks.Key.Length], blocks);
            else if (key.EndsWith(Int8Key, StringComparison.Ordinal)
                && reader.Int8Weight(key[..^Int8Key.Length]) is { } int8)
                found.Add(key[..^Int8Key.Length] + ".weight", int8);
        }
        HashSet<string> known = [.. found.Values.SelectMany(matrix => matrix.Names)];
        foreach ((string name, SafeTensorsEntry entry) in checkpoint.Entries.Where(
            entry => entry.Key.EndsWith(".weight", StringComparison.Ordinal) && entry.Value.DataType is "U8" or "I8"))
        {
            if (known.Contains(name)
                || reader.problems.Exists(problem => problem.StartsWith(name, StringComparison.Ordinal)))
                continue;
            reader.problems.Add(entry.DataType == "U8" && entry.Shape is [_, 1]
                ? $"{name} is packed in 4 bits (U8 {Text(entry.Shape)}), but {name}{Nf4State.Key}, which says how, " +
                    "is missing"
                : $"{name} is {entry.DataType} {Text(entry.Shape)} without the scales that belong to it");
        }
        if (reader.problems.Count > 0)
            throw new InputException(
                $"{checkpoint.Path}: quantised weights cannot be used. Download the files again, or quantise the " +
                $"original model anew{KnownSettings.Quantize.Aside}:", reader.problems);
        return found;
    }

    private StoredMatrix? Nf4Weight(string name)
    {
        string stateName = name + Nf4State.Key;
        if (!Is(stateName, "U8", null)) return null;
        Nf4State? state = Nf4State.Read(checkpoint.Map(stateName), out string? problem);
        if (state is null)
        {
            problems.Add($"{stateName}: {problem}");
            return null;
        }
        long count = state.Shape[0] * state.Shape[1], blocks = Parts(count, state.BlockSize);
        bool fits = Is(name, "U8", [Parts(count, 2), 1]) & Is(name + ".quant_map", "F32", [Nf4.Table.Length]);
        if (fits && !Values(name + ".quant_map").SequenceEqual(Nf4.Table))
            fits = Refuse($"{name}.quant_map is not NF4's table of 16 levels: the weight would come out wrong");
        List<string> names = [name, stateName, name + ".quant_map", name + ".absmax"];
        if (state.NestedBlockSize is not { } nested)
        {
            fits &= Is(name + ".absmax", "F32", [blocks]) && IsFinite(name + ".absmax");
            return fits ? new StoredMatrix(Nf4Format.FormatName, state.Shape[0], state.Shape[1], names,
                () => new Nf4Matrix(
                    Keep(name), new BlockScales(Keep(name + ".absmax"), state.BlockSize), state.Shape[0],
                    state.Shape[1])) : null;
        }
        string scales = name + ".nested_absmax", map = name + ".nested_quant_map";
        names.AddRange([scales, map]);
        fits &= Is(name + ".absmax", "U8", [blocks]) & (Is(scales, "F32", [Parts(blocks, nested)]) && IsFinite(scales))
            & (Is(map, "F32", [256]) && IsFinite(map));
        return fits ? new StoredMatrix(Nf4Format.FormatName, state.Shape[0], state.Shape[1], names,
            () => new Nf4Matrix(
                Keep(name), new BlockScales(
                    Keep(name + ".absmax"), Keep(scales), Values(map), (float)state.NestedOffset!.Value,
                    state.BlockSize, nested),
                state.Shape[0], state.Shape[1])) : null;
    }

    private StoredMatrix? Int8Weight(string module)
    {
        string name = module + ".weight", scales = module + Int8Key, format = module + ".weight_format";
        if (!Is(name, "I8", null)) return null;
        long[] shape = checkpoint.Entries[name].Shape;
        if (shape is not [> 0, > 0])
        {
            problems.Add($"{name} is I8 {Text(shape)}, expected [out, in]");
            return null;
        }
        bool fits = Is(scales, "F32", [shape[0]]) && IsFinite(scales);
        List<string> names = [name, scales];
        if (checkpoint.Entries.ContainsKey(format))
        {
            names.Add(format);
            if (Is(format, "U8", []) && checkpoint.Map(format).item<byte>() is not 0 and var other)
                fits = Refuse(
                    $"{format} is {other}: a layout for one kind of GPU; only 0, row by row, can be read. Save the " +
                    "model anew with a present bitsandbytes");
        }
        return fits ? new StoredMatrix(
            Int8Format.FormatName, shape[0], shape[1], names, () => new Int8Matrix(Keep(name), Keep(scales))) : null;
    }

    private StoredMatrix? GgufWeight(string name)
    {
        string key = name + GgufBlocks.Key;
        if (!Is(key, "U8", null) || !Is(name, "U8", null)) return null;
        string typeName = System.Text.Encoding.ASCII.GetString(checkpoint.Map(key).data<byte>().ToArray());
        long[] shape = checkpoint.Entries[name].Shape;
        GgufType? type = GgufType.All.FirstOrDefault(known => known.Name == typeName);
        if (type?.Decode is null || type.IsPlain || shape is not [> 0, > 0] || shape[1] % type.BlockBytes != 0)
        {
            Refuse($"{name} is U8 {Text(shape)} of GGUF's type {typeName}, expected rows of whole blocks of a type " +
                "that can be read");
            return null;
        }
        long columns = shape[1] / type.BlockBytes * type.BlockValues;
        return new StoredMatrix(type.Name, shape[0], columns, [name, key],
            () => GgufBlocks.Matrix(type, Keep(name), shape[0], columns));
    }

    private bool Is(string name, string type, long[]? shape)
    {
        if (!checkpoint.Entries.TryGetValue(name, out SafeTensorsEntry? entry))
            return Refuse($"{name} is missing; expected {type}{(shape is null ? "" : " " + Text(shape))}");
        if (entry.DataType == type && (shape is null || entry.Shape.SequenceEqual(shape))) return true;
        return Refuse(
            $"{name} is {entry.DataType} {Text(entry.Shape)}, expected " +
            $"{type}{(shape is null ? "" : " " + Text(shape))}");
    }

    private bool IsFinite(string name) => checkpoint.Map(name).isfinite().all().item<bool>()
        || Refuse($"{name} has a value that is not finite");

    private bool Refuse(string problem)
    {
        problems.Add(problem);
        return false;
    }

    private Tensor Keep(string name) => checkpoint.Map(name).DetachFromDisposeScope();

    private float[] Values(string name) => checkpoint.Map(name).data<float>().ToArray();

    private static long Parts(long count, long size) => (count + size - 1) / size;

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}

/// <summary>A weight that a checkpoint stores as bitsandbytes tensors.</summary>
internal sealed class StoredMatrix
{
    private readonly Func<IPackedMatrix> open;

    internal StoredMatrix(
        string format, long rows, long columns, IReadOnlyList<string> names, Func<IPackedMatrix> open) =>
        (Format, Rows, Columns, Names, this.open) = (format, rows, columns, names, open);

    /// <summary>The name of its format.</summary>
    public string Format { get; }

    /// <summary>Number of the layer's outputs.</summary>
    public long Rows { get; }

    /// <summary>Number of the layer's inputs. The matrix is [out, in] even if the model's own file uses [in, out]
    /// (GPT-2), as in transformers.</summary>
    public long Columns { get; }

    /// <summary>The names of its tensors, including its own.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The matrix over the file's own memory; the caller owns it.</summary>
    public PackedWeight Open(ExpansionBuffer buffer)
    {
        using var scope = NewDisposeScope(); // what the matrix keeps is detached from it
        return new PackedWeight(open(), buffer);
    }
}
