using System.Runtime.Intrinsics;
using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A matrix of 8-bit whole numbers with a scale for each row.</summary>
internal sealed unsafe class Int8Matrix : IPackedMatrix
{
    private const int Unit = 64;
    private const float Step = 1 / 127f;

    private readonly Tensor values;  // int8 [rows, columns]
    private readonly Tensor largest; // float32 [rows]
    private readonly sbyte* packed;
    private readonly float* scales;

    /// <summary>Takes over values and the largest absolute value of each row.</summary>
    public Int8Matrix(Tensor values, Tensor largest)
    {
        (this.values, this.largest) = (values, largest);
        packed = (sbyte*)NativeTensor.Address(values);
        scales = (float*)NativeTensor.Address(largest);
    }

    public string Format => Int8Format.FormatName;

    public long Rows => values.shape[0];

    public long Columns => values.shape[1];

    public long Bytes => values.numel() + largest.numel() * sizeof(float);

    public bool CanMultiply => Columns % Unit == 0;

    public void Expand(long first, long count, float* target)
    {
        long columns = Columns;
        for (long at = first; at < first + count;)
        {
            long row = at / columns, length = Math.Min((row + 1) * columns, first + count) - at;
            Widen(packed + at, length, scales[row] * Step, target + (at - first));
            at += length;
        }
    }

    public void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows)
    {
        float* wide = stackalloc float[Unit];
        double* sums = stackalloc double[PackedWeight.MostVectors];
        long columns = Columns, all = Rows;
        for (long row = firstRow; row < firstRow + rows; row++)
        {
            for (int i = 0; i < count; i++) sums[i] = 0;
            for (long column = 0; column < columns; column += Unit)
            {
                Widen(packed + row * columns + column, Unit, 1, wide);
                for (int i = 0; i < count; i++) sums[i] += VectorProduct.Of64(wide, inputs + i * columns + column);
            }
            for (int i = 0; i < count; i++) outputs[i * all + row] = (float)(sums[i] * (scales[row] * Step));
        }
    }

    /// <remarks>bitsandbytes names the scales after the module, not after the weight.</remarks>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original)
    {
        string module = name[..name.LastIndexOf('.')];
        return
        [
            KeyValuePair.Create(name, values),
            KeyValuePair.Create(module + ".SCB", largest),
            KeyValuePair.Create(module + ".weight_format", zeros([], ScalarType.Byte)), // 0: row by row
        ];
    }

    public void Dispose()
    {
        values.Dispose();
        largest.Dispose();
    }

    private static void Widen(sbyte* from, long count, float scale, float* to)
    {
        long at = 0;
        for (; at + 16 <= count; at += 16)
        {
            (Vector128<short> low, Vector128<short> high) = Vector128.Widen(Vector128.Load(from + at));
            (Vector128<int> a, Vector128<int> b) = Vector128.Widen(low);
            (Vector128<int> c, Vector128<int> d) = Vector128.Widen(high);
            (Vector256.ConvertToSingle(Vector256.Create(a, b)) * scale).Store(to + at);
            (Vector256.ConvertToSingle(Vector256.Create(c, d)) * scale).Store(to + at + 8);
        }
        for (; at < count; at++) to[at] = from[at] * scale;
    }
}
