using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A matrix of a format that a program registered, known by how it expands
/// (<see cref="PackedWeight.Create"/>).</summary>
internal sealed unsafe class RegisteredMatrix(
    string format, long rows, long columns, long bytes, Action<long, Span<float>> expand, IDisposable? owned)
    : IPackedMatrix
{
    public string Format => format;

    public long Rows => rows;

    public long Columns => columns;

    public long Bytes => bytes;

    public bool CanMultiply => false; // without expansion: only the library's own formats have such kernels

    public void Expand(long first, long count, float* target) => expand(first, new Span<float>(target, (int)count));

    public void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows) =>
        throw new InvalidOperationException($"{format} is multiplied after expansion.");

    public IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original) =>
        throw new InvalidOperationException($"{format} has no form in files ({nameof(IWeightFormat.IsWritable)}).");

    public IDeviceMatrix CopyTo(Device device)
    {
        using Tensor values = empty(rows, columns);
        var target = (float*)Kernels.Native.NativeTensor.Address(values);
        for (long row = 0; row < rows; row++) Expand(row * columns, columns, target + row * columns);
        return new ExpandedDeviceMatrix(format, values.to(device, copy: true).DetachFromDisposeScope());
    }

    public void Dispose() => owned?.Dispose();

    // Only the processor can run a program's own expansion.
    private sealed class ExpandedDeviceMatrix(string format, Tensor values) : IDeviceMatrix
    {
        public string Format => format;

        public long Rows => values.shape[0];

        public long Columns => values.shape[1];

        public long Bytes => values.numel() * values.element_size();

        public long RowAlignment => 1;

        public Tensor Expand(long first, long rows) => values.narrow(0, first, rows).alias();

        public void Dispose() => values.Dispose();
    }
}
