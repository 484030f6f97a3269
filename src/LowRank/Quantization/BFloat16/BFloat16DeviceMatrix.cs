using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A matrix of bfloat16 values on a device.</summary>
/// <param name="values">bfloat16 [rows, columns]; taken over.</param>
internal sealed class BFloat16DeviceMatrix(Tensor values) : IDeviceMatrix
{
    public string Format => BFloat16Format.FormatName;

    public long Rows => values.shape[0];

    public long Columns => values.shape[1];

    public long Bytes => values.numel() * values.element_size();

    public long RowAlignment => 1;

    public Tensor Expand(long first, long rows) => values.narrow(0, first, rows).to(ScalarType.Float32);

    public void Dispose() => values.Dispose();
}
