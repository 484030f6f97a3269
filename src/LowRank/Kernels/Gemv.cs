using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>y = x·Wᵀ + b for few rows, as in each step of generation: reads the weight once, at memory speed.</summary>
internal static unsafe class Gemv
{
    /// <summary>The largest number of rows computed here; above it torch's matrix products are faster.</summary>
    public const int MostRows = 16;

    /// <summary>The largest number of outputs in one thread's part of a weight stored by columns; each thread reads a
    /// piece of every row.</summary>
    public const int PartWidth = 1536;

    private const int SmallWork = 32768;       // multiplications below which one thread is faster than two
    // for a weight stored by rows: long enough to read at full speed, short enough to balance the threads
    private const int PartBytes = 256 * 1024;
    private const int Tile = 48;               // outputs that a kernel computes at once
    private const int FewRowsTile = 128;       // and where it has less than four rows

    /// <summary>The product; null with gradients, many rows, other devices or other types, which torch
    /// computes.</summary>
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
        if (rows is < 1 or > MostRows || inputs < 1 || outputs is < 1 or > int.MaxValue) return null;
        // torch reports the error
        if (shape[^1] != inputs || (bias is not null && bias.numel() != outputs)) return null;
        shape[^1] = outputs;
        using Tensor contiguous = input.is_contiguous() ? input.alias() : input.contiguous();
        Tensor output = empty(shape);
        var parts = new GemvTask
        {
            Input = (float*)NativeTensor.Address(contiguous),
            Weight = (float*)NativeTensor.Address(weight),
            Bias = bias is null ? null : (float*)NativeTensor.Address(bias),
            Output = (float*)NativeTensor.Address(output),
            Rows = (int)rows,
            Inputs = (int)inputs,
            Outputs = (int)outputs,
        };
        Compute(parts, transposed);
        return output;
    }

    /// <summary>Computes a product on given memory and chooses <see cref="GemvTask.PartOutputs"/>.</summary>
    public static void Compute(GemvTask parts, bool transposed)
    {
        long work = (long)parts.Inputs * parts.Outputs * parts.Rows;
        int threads = work < SmallWork ? 1 : Workers.Count;
        int tile = parts.Rows < 4 ? FewRowsTile : Tile;
        int width = threads == 1 ? parts.Outputs
            : transposed ? Ceiling(parts.Outputs, threads * Ceiling(parts.Outputs, threads * PartWidth))
            : PartBytes / (parts.Inputs * sizeof(float));
        parts.PartOutputs = Math.Max(1, Ceiling(width, tile)) * tile;
        int count = (parts.Outputs + parts.PartOutputs - 1) / parts.PartOutputs;
        if (Vector512.IsHardwareAccelerated)
            Workers.Run(count, transposed ? &GemvByColumns<Wide512, Vector512<float>>.Part
                : &GemvByRows<Wide512, Vector512<float>>.Part, &parts);
        else
            Workers.Run(count, transposed ? &GemvByColumns<Wide256, Vector256<float>>.Part
                : &GemvByRows<Wide256, Vector256<float>>.Part, &parts);
    }

    private static int Ceiling(int whole, int parts) => (whole + parts - 1) / parts;
}

/// <summary>A product of few rows and a matrix, y = x·Wᵀ + b, as seen by the parts of a kernel.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct GemvTask
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
}
