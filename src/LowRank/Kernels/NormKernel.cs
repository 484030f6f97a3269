using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Normalisation of each row, forward and backward: y = (x − μ)·σ·(w + offset) + b with σ = 1
/// / √(mean((x − μ)²) + ε), where μ is the row's mean (layer normalisation, arXiv 1607.06450) or 0 (root mean square
/// normalisation, arXiv 1910.07467).</summary>
/// <remarks>The backward pass recomputes μ and σ from x, which costs less than storing them.</remarks>
/// <param name="weight">w, [width]; null for 1.</param>
/// <param name="bias">b, [width]; null for 0.</param>
/// <param name="epsilon">ε.</param>
/// <param name="offset">Added to the weight.</param>
/// <param name="isCentred">Whether μ is the mean.</param>
internal sealed unsafe class NormKernel(Tensor? weight, Tensor? bias, double epsilon, double offset, bool isCentred)
{
    private const int PartNumbers = 16384;

    /// <summary>Whether the kernel supports a tensor's norm and its gradient: contiguous float32 on the processor, with
    /// a frozen weight and bias.</summary>
    public bool Fits(Tensor input) =>
        NativeTensor.IsPlain(input) && input.Dimensions > 0 && input.numel() > 0 && FitsParameter(weight, input)
            && FitsParameter(bias, input);

    /// <summary>The normalised rows.</summary>
    /// <param name="input">x, […, width], which <see cref="Fits"/>.</param>
    /// <returns>Same shape as the input, in the caller's dispose scope.</returns>
    public Tensor Value(Tensor input)
    {
        Tensor output = StepMemory.Empty(input.shape);
        Run(input, null, output);
        return output;
    }

    /// <summary>The gradient of the input.</summary>
    /// <param name="input">x, as in <see cref="Value"/>.</param>
    /// <param name="gradient">dy, contiguous, same shape as the input.</param>
    /// <returns>dx, same shape as the input, in the caller's dispose scope.</returns>
    public Tensor Back(Tensor input, Tensor gradient)
    {
        Tensor output = StepMemory.Empty(input.shape);
        Run(input, gradient, output);
        return output;
    }

    private static bool FitsParameter(Tensor? parameter, Tensor input) =>
        parameter is null
            || (NativeTensor.IsPlain(parameter) && parameter.numel() == input.shape[^1]
            && !(is_grad_enabled() && parameter.requires_grad));

    private void Run(Tensor input, Tensor? gradient, Tensor output)
    {
        int width = (int)input.shape[^1];
        var work = new Work
        {
            Input = Address(input), Gradient = Address(gradient), Output = Address(output), Weight = Address(weight),
                Bias = Address(bias),
            Rows = input.numel() / width, PartRows = Math.Max(1, PartNumbers / width), Width = width, Epsilon = epsilon,
                Offset = (float)offset, IsCentred = isCentred,
        };
        int parts = (int)((work.Rows + work.PartRows - 1) / work.PartRows);
        if (Vector512.IsHardwareAccelerated) Workers.Run(parts, &Part<Wide512, Vector512<float>>, &work);
        else Workers.Run(parts, &Part<Wide256, Vector256<float>>, &work);
    }

    private static float* Address(Tensor? tensor) => tensor is null ? null : (float*)NativeTensor.Address(tensor);

    private static void Part<TWide, TVector>(void* shared, int part)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        ref readonly Work work = ref *(Work*)shared;
        long end = Math.Min((part + 1) * work.PartRows, work.Rows);
        for (long row = part * work.PartRows; row < end; row++)
        {
            if (work.Gradient == null) Forward<TWide, TVector>(work, row * work.Width);
            else Backward<TWide, TVector>(work, row * work.Width);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Forward<TWide, TVector>(in Work work, long start)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        float* x = work.Input + start, y = work.Output + start;
        (float mean, float scale) = Moments<TWide, TVector>(work, x);
        TVector middle = TWide.Broadcast(mean), by = TWide.Broadcast(scale);
        int i = 0;
        for (; i + TWide.Count <= work.Width; i += TWide.Count)
        {
            TVector normal =
                TWide.Multiply(
                    Factor<TWide, TVector>(work, i), TWide.Multiply(TWide.Subtract(TWide.Load(x + i), middle), by));
            TWide.Store(y + i, work.Bias == null ? normal : TWide.Add(normal, TWide.Load(work.Bias + i)));
        }
        for (; i < work.Width; i++)
            y[i] = work.FactorAt(i) * ((x[i] - mean) * scale) + (work.Bias == null ? 0 : work.Bias[i]);
    }

    // With n = (x − μ)·σ and g = dy·(w + offset): dx = σ·(g − mean(g) − n·mean(g·n)); if not centred, without mean(g).
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Backward<TWide, TVector>(in Work work, long start)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        float* x = work.Input + start, gradient = work.Gradient + start, output = work.Output + start;
        (float mean, float scale) = Moments<TWide, TVector>(work, x);
        TVector middle = TWide.Broadcast(mean), by = TWide.Broadcast(scale), sums = default, products = default;
        int i = 0;
        for (; i + TWide.Count <= work.Width; i += TWide.Count)
        {
            TVector weighted = TWide.Multiply(TWide.Load(gradient + i), Factor<TWide, TVector>(work, i));
            sums = TWide.Add(sums, weighted);
            products = TWide.MultiplyAdd(
                weighted, TWide.Multiply(TWide.Subtract(TWide.Load(x + i), middle), by), products);
        }
        float sum = TWide.Sum(sums), product = TWide.Sum(products);
        for (int k = i; k < work.Width; k++)
        {
            float weighted = gradient[k] * work.FactorAt(k);
            sum += weighted;
            product += weighted * ((x[k] - mean) * scale);
        }
        sum = work.IsCentred ? sum / work.Width : 0;
        product /= work.Width;
        TVector shift = TWide.Broadcast(sum), tilt = TWide.Broadcast(-product);
        for (i = 0; i + TWide.Count <= work.Width; i += TWide.Count)
        {
            TVector weighted = TWide.Multiply(TWide.Load(gradient + i), Factor<TWide, TVector>(work, i));
            TVector normal = TWide.Multiply(TWide.Subtract(TWide.Load(x + i), middle), by);
            TWide.Store(output + i,
                TWide.Multiply(by, TWide.MultiplyAdd(tilt, normal, TWide.Subtract(weighted, shift))));
        }
        for (; i < work.Width; i++)
            output[i] = scale * (gradient[i] * work.FactorAt(i) - sum - product * ((x[i] - mean) * scale));
    }

    // μ and σ of a row in two passes, because the mean of squares minus the square of the mean cancels.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (float Mean, float Scale) Moments<TWide, TVector>(in Work work, float* x)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        float mean = work.IsCentred ? Sum<TWide, TVector>(x, work.Width) / work.Width
            : 0, squares = SquareSum<TWide, TVector>(x, work.Width, mean);
        return (mean, (float)(1 / Math.Sqrt(squares / work.Width + work.Epsilon)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Sum<TWide, TVector>(float* x, int width)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector even = default, odd = default;
        int i = 0;
        for (; i + 2 * TWide.Count <= width; i += 2 * TWide.Count)
        {
            even = TWide.Add(even, TWide.Load(x + i));
            odd = TWide.Add(odd, TWide.Load(x + i + TWide.Count));
        }
        float sum = TWide.Sum(TWide.Add(even, odd));
        for (; i < width; i++) sum += x[i];
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float SquareSum<TWide, TVector>(float* x, int width, float mean)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector even = default, odd = default, middle = TWide.Broadcast(mean);
        int i = 0;
        for (; i + 2 * TWide.Count <= width; i += 2 * TWide.Count)
        {
            TVector first = TWide.Subtract(TWide.Load(x + i), middle),
                second = TWide.Subtract(TWide.Load(x + i + TWide.Count), middle);
            even = TWide.MultiplyAdd(first, first, even);
            odd = TWide.MultiplyAdd(second, second, odd);
        }
        float sum = TWide.Sum(TWide.Add(even, odd));
        for (; i < width; i++) sum += (x[i] - mean) * (x[i] - mean);
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Factor<TWide, TVector>(in Work work, int i)
        where TWide : struct, IWide<TVector>
        where TVector : struct => work.Weight == null ? TWide.Broadcast(1)
        : TWide.Add(TWide.Load(work.Weight + i), TWide.Broadcast(work.Offset));

    [StructLayout(LayoutKind.Auto)]
    private struct Work
    {
        public float* Input;
        public float* Gradient;
        public float* Output;
        public float* Weight;
        public float* Bias;
        public long Rows;
        public long PartRows;
        public int Width;
        public double Epsilon;
        public float Offset;
        public bool IsCentred;

        public readonly float FactorAt(int i) => Weight == null ? 1 : Weight[i] + Offset;
    }
}
