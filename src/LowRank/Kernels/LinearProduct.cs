using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>y = x·Wᵀ + b outside training. The sums of a row run in one order, however many rows there are: a text
/// comes out the same to the last bit, whatever texts lie beside it and whether it is one new token or a whole
/// prompt.</summary>
/// <remarks>The order depends on how W is stored (<see cref="ProductByRows{TWide, TVector}"/>,
/// <see cref="ProductByColumns{TWide, TVector}"/>) and on the width of the processor's vectors. Up to three rows
/// read the weight at memory speed without any prefetch hint, because on AMD's and Intel's processors alike the fastest
/// way to read is in a few long streams that the processor itself foresees. With more rows, computing takes longer than
/// it looks ahead, and the next lines are asked for (into all levels of the cache: a non-temporal hint cost Intel's
/// processors two thirds of their rate).</remarks>
internal static unsafe class LinearProduct
{
    /// <summary>The largest number of rows for which memory is the limit: the weight is read once, for all of
    /// them.</summary>
    public const int StreamedRows = 16;

    /// <summary>The largest number of outputs in one thread's part of a weight stored by columns; each thread reads a
    /// piece of every row.</summary>
    public const int PartWidth = 1536;

    /// <summary>Of a weight stored by columns: the number of inputs whose products are summed before they are added to
    /// the output.</summary>
    public const int Block = 64;

    private const int SmallWork = 32768;       // multiplications below which one thread is faster than two
    // for a weight stored by rows: long enough to read at full speed, short enough to balance the threads and to stay
    // in the second-level cache
    private const int PartBytes = 256 * 1024;
    private const int PartRows = 48;           // of a part where rows are many
    private const int Tile = 48;               // outputs that a kernel computes at once
    private const int FewRowsTile = 128;       // and where it has less than four rows

    /// <summary>x·Wᵀ + b for any tensors: with gradients, on other devices and for other types by torch's
    /// operation.</summary>
    /// <param name="input">x, […, in].</param>
    /// <param name="weight">W, [out, in].</param>
    /// <param name="bias">b, [out], or null.</param>
    /// <returns>[…, out]</returns>
    public static Tensor Apply(Tensor input, Tensor weight, Tensor? bias = null)
    {
        if (KernelForm.IsPlain || is_grad_enabled()) return nn.functional.linear(input, weight, bias);
        using Tensor matrix = weight.is_contiguous() ? weight.alias() : weight.contiguous();
        return TryLinear(input, matrix, transposed: false, bias) ?? nn.functional.linear(input, weight, bias);
    }

    /// <summary>The product; null with gradients, other devices or other types, which torch computes.</summary>
    /// <param name="input">x, […, in].</param>
    /// <param name="weight">W, [out, in]; [in, out] if <paramref name="transposed"/>.</param>
    /// <param name="transposed">Whether the weight is stored transposed.</param>
    /// <param name="bias">b, [out], or null.</param>
    /// <returns>[…, out], in the caller's dispose scope.</returns>
    public static Tensor? TryLinear(Tensor input, Tensor weight, bool transposed, Tensor? bias)
    {
        if (!KernelTensors.Fit(weight) || !KernelTensors.Fit(input, strided: true)
            || (bias is not null && !KernelTensors.Fit(bias)))
            return null;
        long[] shape = input.shape, matrix = weight.shape;
        (long outputs, long inputs) = transposed ? (matrix[1], matrix[0]) : (matrix[0], matrix[1]);
        long rows = KernelTensors.Rows(shape);
        if (rows is < 1 or > int.MaxValue || inputs is < 1 or > int.MaxValue || outputs is < 1 or > int.MaxValue)
            return null;
        // torch reports the error
        if (shape[^1] != inputs || (bias is not null && bias.numel() != outputs)) return null;
        shape[^1] = outputs;
        using Tensor contiguous = input.is_contiguous() ? input.alias() : input.contiguous();
        Tensor output = empty(shape);
        Compute(new LinearTask
        {
            Input = (float*)NativeTensor.Address(contiguous),
            Weight = (float*)NativeTensor.Address(weight),
            Bias = bias is null ? null : (float*)NativeTensor.Address(bias),
            Output = (float*)NativeTensor.Address(output),
            Rows = (int)rows,
            Inputs = (int)inputs,
            Outputs = (int)outputs,
        }, transposed);
        return output;
    }

    /// <summary>Computes a product on given memory and chooses its parts.</summary>
    public static void Compute(LinearTask task, bool transposed)
    {
        if (transposed && task.Rows > StreamedRows)
        {
            BlockedProduct.Multiply(task.Input, task.Inputs, task.Weight, task.Outputs, 1, task.Output, task.Outputs,
                task.Rows, task.Inputs, task.Outputs, adds: false, task.Bias, inBlocks: true);
            return;
        }
        bool isSmall = (long)task.Inputs * task.Outputs * task.Rows < SmallWork;
        int tile = task.Rows < 4 ? FewRowsTile : Tile, threads = Workers.Count;
        int width = isSmall ? task.Outputs
            : transposed ? Ceiling(task.Outputs, threads * Ceiling(task.Outputs, threads * PartWidth))
            : PartBytes / (task.Inputs * sizeof(float));
        task.PartOutputs = Math.Max(1, Ceiling(width, tile)) * tile;
        task.PartRows = transposed || task.Rows <= StreamedRows ? task.Rows : PartRows;
        int parts = Ceiling(task.Outputs, task.PartOutputs) * Ceiling(task.Rows, task.PartRows);
        if (Vector512.IsHardwareAccelerated)
            Workers.Run(parts, transposed ? &ProductByColumns<Wide512, Vector512<float>>.Part
                : &ProductByRows<Wide512, Vector512<float>>.Part, &task);
        else
            Workers.Run(parts, transposed ? &ProductByColumns<Wide256, Vector256<float>>.Part
                : &ProductByRows<Wide256, Vector256<float>>.Part, &task);
    }

    /// <summary>A quotient of positive numbers, rounded up.</summary>
    public static int Ceiling(int whole, int parts) => (int)(((long)whole + parts - 1) / parts);
}

/// <summary>A product y = x·Wᵀ + b, as seen by the parts of a kernel.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct LinearTask
{
    /// <summary>x, [rows, inputs].</summary>
    public float* Input;

    /// <summary>W, [outputs, inputs], or [inputs, outputs] if it is stored transposed.</summary>
    public float* Weight;

    /// <summary>b, [outputs]; null for none.</summary>
    public float* Bias;

    /// <summary>y, [rows, outputs].</summary>
    public float* Output;

    /// <summary>Number of rows in x.</summary>
    public int Rows;

    /// <summary>Width of x.</summary>
    public int Inputs;

    /// <summary>Width of y.</summary>
    public int Outputs;

    /// <summary>Number of outputs per part.</summary>
    public int PartOutputs;

    /// <summary>Number of rows per part, of a weight stored by rows.</summary>
    public int PartRows;
}
