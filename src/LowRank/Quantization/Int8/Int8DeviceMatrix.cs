using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A matrix of 8-bit whole numbers with a scale for each row, on a device.</summary>
/// <param name="values">int8 [rows, columns]; taken over.</param>
/// <param name="scales">What a row's numbers are multiplied with, float32 [rows, 1]; taken over.</param>
internal sealed class Int8DeviceMatrix(Tensor values, Tensor scales) : IDeviceMatrix
{
    public string Format => Int8Format.FormatName;

    public long Rows => values.shape[0];

    public long Columns => values.shape[1];

    public long Bytes => values.numel() + scales.numel() * sizeof(float);

    public long RowAlignment => 1;

    public Tensor Expand(long first, long rows) => values.narrow(0, first, rows).to(ScalarType.Float32).mul_(scales.narrow(0, first, rows));

    public void Dispose()
    {
        values.Dispose();
        scales.Dispose();
    }
}
