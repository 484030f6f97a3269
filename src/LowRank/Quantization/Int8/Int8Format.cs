using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>8-bit whole numbers with a scale for each output channel, as bitsandbytes' 8-bit layers keep them (arXiv 2208.07339): the
/// nearest of −127 … 127 times the row's largest absolute value over 127.</summary>
/// <remarks>bitsandbytes rounds weights to float16 before; here they are quantised from what the checkpoint holds.</remarks>
public sealed unsafe class Int8Format : IWeightFormat
{
    internal const string FormatName = "int8";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <inheritdoc/>
    public double BytesPerWeight => 1;

    /// <inheritdoc/>
    public bool IsWritable => true;

    /// <inheritdoc/>
    public PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor wide = matrix.detach().cpu().to(ScalarType.Float32).contiguous();
        long rows = wide.shape[0], columns = wide.shape[1];
        Tensor values = empty([rows, columns], ScalarType.Int8), largest = empty(rows);
        nint from = NativeTensor.Address(wide), to = NativeTensor.Address(values), scales = NativeTensor.Address(largest);
        ProcessorWork.Split(rows, 1, rows * columns, (first, count) =>
        {
            for (long row = first; row < first + count; row++) PackRow((float*)from + row * columns, columns, (sbyte*)to + row * columns, (float*)scales + row);
        });
        Nf4.RequireFinite((float*)scales, rows);
        return new PackedWeight(new Int8Matrix(values.DetachFromDisposeScope(), largest.DetachFromDisposeScope()), buffer);
    }

    private static void PackRow(float* values, long count, sbyte* target, float* largest)
    {
        float most = 0;
        for (long at = 0; at < count; at += int.MaxValue / 2)
            most = Math.Max(most, Nf4.Largest(new ReadOnlySpan<float>(values + at, (int)Math.Min(int.MaxValue / 2, count - at))));
        *largest = most;
        float factor = most > 0 ? 127 * (1 / most) : 0; // in two roundings, as torch divides a number by a tensor
        for (long i = 0; i < count; i++) target[i] = (sbyte)Math.Clamp(MathF.Round(values[i] * factor), -127, 127);
    }
}
