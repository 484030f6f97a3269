using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A matrix in NF4 on a device. Its scales are plain there: 0.5625 bytes a weight.</summary>
internal sealed class Nf4DeviceMatrix : IDeviceMatrix
{
    private readonly Tensor codes;  // uint8 [⌈n / 2⌉]
    private readonly Tensor scales; // float32 [⌈n / block⌉]
    private readonly Tensor pairs;  // float32 [256, 2]: the two levels of each byte, that of its high half first
    private readonly int block;

    /// <summary>Takes over codes and scales.</summary>
    /// <param name="codes">Two values a byte, row after row, uint8 [⌈n / 2⌉].</param>
    /// <param name="scales">float32, one for each block of values.</param>
    /// <param name="block">Values that share a scale, a power of two.</param>
    /// <param name="rows">Outputs of the layer.</param>
    /// <param name="columns">Inputs of the layer.</param>
    public Nf4DeviceMatrix(Tensor codes, Tensor scales, int block, long rows, long columns)
    {
        (this.codes, this.scales, this.block, Rows, Columns) = (codes, scales, block, rows, columns);
        using var scope = NewDisposeScope();
        float[] levels = [.. Enumerable.Range(0, 256).SelectMany(code => new[] { Nf4.Table[code >> 4], Nf4.Table[code & 15] })];
        pairs = tensor(levels, device: codes.device).view(256, 2).DetachFromDisposeScope();
    }

    public string Format => Nf4Format.FormatName;

    public long Rows { get; }

    public long Columns { get; }

    public long Bytes => codes.numel() + scales.numel() * sizeof(float);

    public long RowAlignment => block; // rows so many begin with a block, whatever their width

    public Tensor Expand(long first, long rows)
    {
        using var scope = NewDisposeScope();
        long start = first * Columns, count = rows * Columns, whole = count / block;
        Tensor levels = pairs.index_select(0, codes.narrow(0, start / 2, (count + 1) / 2).to(ScalarType.Int32)).view(-1).narrow(0, 0, count);
        levels.narrow(0, 0, whole * block).view(whole, block).mul_(scales.narrow(0, start / block, whole).unsqueeze(1));
        if (whole * block < count) levels.narrow(0, whole * block, count - whole * block).mul_(scales[start / block + whole]); // the incomplete last block
        return levels.view(rows, Columns).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        codes.Dispose();
        scales.Dispose();
        pairs.Dispose();
    }
}
