using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A weight that a checkpoint holds as bitsandbytes' tensors.</summary>
public sealed class StoredMatrix
{
    private readonly Func<IPackedMatrix> open;

    internal StoredMatrix(string format, long rows, long columns, IReadOnlyList<string> names, Func<IPackedMatrix> open) =>
        (Format, Rows, Columns, Names, this.open) = (format, rows, columns, names, open);

    /// <summary>The name of its format.</summary>
    public string Format { get; }

    /// <summary>Outputs of the layer.</summary>
    public long Rows { get; }

    /// <summary>Inputs of the layer. The matrix is [out, in] also where the model's own file would have [in, out] (GPT-2), as
    /// transformers writes it.</summary>
    public long Columns { get; }

    /// <summary>The names of its tensors, its own among them.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The matrix, over the file's own memory; the caller owns it.</summary>
    public PackedWeight Open(ExpansionBuffer buffer)
    {
        using var scope = NewDisposeScope(); // what the matrix keeps is detached from it
        return new PackedWeight(open(), buffer);
    }
}
