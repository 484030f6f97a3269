using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Kernels;

/// <summary>The product of few rows and a weight stored as [outputs, inputs]: a dot product of x with each row of
/// W.</summary>
/// <remarks>Each dot product has its own accumulator, which runs over the inputs in order.</remarks>
internal static unsafe class GemvByRows<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    /// <summary>The outputs of one part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Part(void* data, int part)
    {
        ref GemvTask p = ref *(GemvTask*)data;
        int first = part * p.PartOutputs, end = Math.Min(first + p.PartOutputs, p.Outputs);
        if (p.Rows < 4) FewRows(ref p, first, end);
        else ManyRows(ref p, first, end);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FewRows(ref GemvTask p, int first, int end)
    {
        int output = first;
        for (; output + 8 <= end; output += 8)
            for (int row = 0; row < p.Rows; row++) OneByEight(ref p, row, output);
        for (; output < end; output++)
            for (int row = 0; row < p.Rows; row++) OneByOne(ref p, row, output);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ManyRows(ref GemvTask p, int first, int end)
    {
        int output = first;
        for (; output + 3 <= end; output += 3)
        {
            int row = 0;
            if (TWide.HasManyRegisters) for (; row + 8 <= p.Rows; row += 8) EightByThree(ref p, row, output);
            for (; row + 4 <= p.Rows; row += 4) FourByThree(ref p, row, output);
            for (; row < p.Rows; row++)
                for (int o = 0; o < 3; o++) OneByOne(ref p, row, output + o);
        }
        for (; output < end; output++)
            for (int row = 0; row < p.Rows; row++) OneByOne(ref p, row, output);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByOne(ref GemvTask p, int row, int output)
    {
        float* x = p.Input + (long)row * p.Inputs, w = p.Weight + (long)output * p.Inputs;
        TVector sum = default;
        for (int i = 0; i + TWide.Count <= p.Inputs; i += TWide.Count)
            sum = TWide.MultiplyAdd(TWide.Load(x + i), TWide.Load(w + i), sum);
        Finish(ref p, row, output, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByEight(ref GemvTask p, int row, int output)
    {
        long step = p.Inputs;
        float* x = p.Input + row * step, w = p.Weight + output * step;
        TVector s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default,
            s6 = default, s7 = default;
        int whole = p.Inputs - (p.Inputs % TWide.Count);
        float* end = x + whole;
        float* far = w + 4 * step;
        for (; x < end; x += TWide.Count, w += TWide.Count, far += TWide.Count)
        {
            TVector v = TWide.Load(x);
            s0 = TWide.MultiplyAdd(v, TWide.Load(w), s0);
            s1 = TWide.MultiplyAdd(v, TWide.Load(w + step), s1);
            s2 = TWide.MultiplyAdd(v, TWide.Load(w + 2 * step), s2);
            s3 = TWide.MultiplyAdd(v, TWide.Load(w + 3 * step), s3);
            s4 = TWide.MultiplyAdd(v, TWide.Load(far), s4);
            s5 = TWide.MultiplyAdd(v, TWide.Load(far + step), s5);
            s6 = TWide.MultiplyAdd(v, TWide.Load(far + 2 * step), s6);
            s7 = TWide.MultiplyAdd(v, TWide.Load(far + 3 * step), s7);
            if (row == 0 && Sse.IsSupported) Fetch(w, far, step, 8 * step);
        }
        Finish(ref p, row, output, s0);
        Finish(ref p, row, output + 1, s1);
        Finish(ref p, row, output + 2, s2);
        Finish(ref p, row, output + 3, s3);
        Finish(ref p, row, output + 4, s4);
        Finish(ref p, row, output + 5, s5);
        Finish(ref p, row, output + 6, s6);
        Finish(ref p, row, output + 7, s7);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(float* w, float* far, long step, long ahead)
    {
        Sse.PrefetchNonTemporal(w + ahead);
        Sse.PrefetchNonTemporal(w + ahead + step);
        Sse.PrefetchNonTemporal(w + ahead + 2 * step);
        Sse.PrefetchNonTemporal(w + ahead + 3 * step);
        Sse.PrefetchNonTemporal(far + ahead);
        Sse.PrefetchNonTemporal(far + ahead + step);
        Sse.PrefetchNonTemporal(far + ahead + 2 * step);
        Sse.PrefetchNonTemporal(far + ahead + 3 * step);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByThree(ref GemvTask p, int row, int output)
    {
        long step = p.Inputs;
        float* x = p.Input + row * step, w = p.Weight + output * step;
        TVector a0 = default, a1 = default, a2 = default, b0 = default, b1 = default, b2 = default;
        TVector c0 = default, c1 = default, c2 = default, d0 = default, d1 = default, d2 = default;
        float* end = x + (p.Inputs - (p.Inputs % TWide.Count));
        for (; x < end; x += TWide.Count, w += TWide.Count)
        {
            TVector w0 = TWide.Load(w), w1 = TWide.Load(w + step), w2 = TWide.Load(w + 2 * step), v = TWide.Load(x);
            (a0, a1, a2) = (TWide.MultiplyAdd(v, w0, a0), TWide.MultiplyAdd(v, w1, a1), TWide.MultiplyAdd(v, w2, a2));
            v = TWide.Load(x + step);
            (b0, b1, b2) = (TWide.MultiplyAdd(v, w0, b0), TWide.MultiplyAdd(v, w1, b1), TWide.MultiplyAdd(v, w2, b2));
            v = TWide.Load(x + 2 * step);
            (c0, c1, c2) = (TWide.MultiplyAdd(v, w0, c0), TWide.MultiplyAdd(v, w1, c1), TWide.MultiplyAdd(v, w2, c2));
            v = TWide.Load(x + 3 * step);
            (d0, d1, d2) = (TWide.MultiplyAdd(v, w0, d0), TWide.MultiplyAdd(v, w1, d1), TWide.MultiplyAdd(v, w2, d2));
            if (row == 0 && Sse.IsSupported)
            {
                Sse.PrefetchNonTemporal(w + 3 * step);
                Sse.PrefetchNonTemporal(w + 4 * step);
                Sse.PrefetchNonTemporal(w + 5 * step);
            }
        }
        Finish(ref p, row, output, a0, a1, a2);
        Finish(ref p, row + 1, output, b0, b1, b2);
        Finish(ref p, row + 2, output, c0, c1, c2);
        Finish(ref p, row + 3, output, d0, d1, d2);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightByThree(ref GemvTask p, int row, int output)
    {
        long step = p.Inputs;
        float* x = p.Input + row * step, w = p.Weight + output * step;
        TVector a0 = default, a1 = default, a2 = default, b0 = default, b1 = default, b2 = default;
        TVector c0 = default, c1 = default, c2 = default, d0 = default, d1 = default, d2 = default;
        TVector e0 = default, e1 = default, e2 = default, f0 = default, f1 = default, f2 = default;
        TVector g0 = default, g1 = default, g2 = default, h0 = default, h1 = default, h2 = default;
        float* end = x + (p.Inputs - (p.Inputs % TWide.Count));
        float* far = x + 4 * step;
        for (; x < end; x += TWide.Count, far += TWide.Count, w += TWide.Count)
        {
            TVector w0 = TWide.Load(w), w1 = TWide.Load(w + step), w2 = TWide.Load(w + 2 * step), v = TWide.Load(x);
            (a0, a1, a2) = (TWide.MultiplyAdd(v, w0, a0), TWide.MultiplyAdd(v, w1, a1), TWide.MultiplyAdd(v, w2, a2));
            v = TWide.Load(x + step);
            (b0, b1, b2) = (TWide.MultiplyAdd(v, w0, b0), TWide.MultiplyAdd(v, w1, b1), TWide.MultiplyAdd(v, w2, b2));
            v = TWide.Load(x + 2 * step);
            (c0, c1, c2) = (TWide.MultiplyAdd(v, w0, c0), TWide.MultiplyAdd(v, w1, c1), TWide.MultiplyAdd(v, w2, c2));
            v = TWide.Load(x + 3 * step);
            (d0, d1, d2) = (TWide.MultiplyAdd(v, w0, d0), TWide.MultiplyAdd(v, w1, d1), TWide.MultiplyAdd(v, w2, d2));
            v = TWide.Load(far);
            (e0, e1, e2) = (TWide.MultiplyAdd(v, w0, e0), TWide.MultiplyAdd(v, w1, e1), TWide.MultiplyAdd(v, w2, e2));
            v = TWide.Load(far + step);
            (f0, f1, f2) = (TWide.MultiplyAdd(v, w0, f0), TWide.MultiplyAdd(v, w1, f1), TWide.MultiplyAdd(v, w2, f2));
            v = TWide.Load(far + 2 * step);
            (g0, g1, g2) = (TWide.MultiplyAdd(v, w0, g0), TWide.MultiplyAdd(v, w1, g1), TWide.MultiplyAdd(v, w2, g2));
            v = TWide.Load(far + 3 * step);
            (h0, h1, h2) = (TWide.MultiplyAdd(v, w0, h0), TWide.MultiplyAdd(v, w1, h1), TWide.MultiplyAdd(v, w2, h2));
            if (Sse.IsSupported)
            {
                Sse.PrefetchNonTemporal(w + 3 * step);
                Sse.PrefetchNonTemporal(w + 4 * step);
                Sse.PrefetchNonTemporal(w + 5 * step);
            }
        }
        Finish(ref p, row, output, a0, a1, a2);
        Finish(ref p, row + 1, output, b0, b1, b2);
        Finish(ref p, row + 2, output, c0, c1, c2);
        Finish(ref p, row + 3, output, d0, d1, d2);
        Finish(ref p, row + 4, output, e0, e1, e2);
        Finish(ref p, row + 5, output, f0, f1, f2);
        Finish(ref p, row + 6, output, g0, g1, g2);
        Finish(ref p, row + 7, output, h0, h1, h2);
    }

    private static void Finish(ref GemvTask p, int row, int output, TVector s0, TVector s1, TVector s2)
    {
        Finish(ref p, row, output, s0);
        Finish(ref p, row, output + 1, s1);
        Finish(ref p, row, output + 2, s2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(ref GemvTask p, int row, int output, TVector sums)
    {
        float sum = TWide.Sum(sums);
        float* x = p.Input + (long)row * p.Inputs, w = p.Weight + (long)output * p.Inputs;
        for (int i = p.Inputs - (p.Inputs % TWide.Count); i < p.Inputs; i++) sum += x[i] * w[i];
        if (p.Bias != null) sum += p.Bias[output];
        p.Output[(long)row * p.Outputs + output] = sum;
    }
}
