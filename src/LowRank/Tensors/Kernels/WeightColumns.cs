using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Tensors.Kernels;

/// <summary>Few rows times a weight stored [inputs, outputs], as GPT-2 stores it: each row of the weight, times a number of x,
/// is added to the outputs.</summary>
/// <remarks>The sum of each output runs over the inputs in order, in blocks: neither the other rows of the batch nor the
/// number of threads changes a bit of it.</remarks>
internal static unsafe class WeightColumns<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    private const int Block = 64; // inputs whose share is summed before it is added to the output

    /// <summary>The outputs of one part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Part(void* data, int part)
    {
        ref ProductParts p = ref *(ProductParts*)data;
        int first = part * p.PartOutputs, end = Math.Min(first + p.PartOutputs, p.Outputs);
        for (int row = 0; row < p.Rows; row++)
        {
            var output = new Span<float>(p.Output + (long)row * p.Outputs + first, end - first);
            if (p.Bias == null) output.Clear();
            else new ReadOnlySpan<float>(p.Bias + first, end - first).CopyTo(output);
        }
        for (int input = 0; input < p.Inputs; input += Block) AddBlock(ref p, input, Math.Min(Block, p.Inputs - input), first, end);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddBlock(ref ProductParts p, int input, int count, int first, int end)
    {
        int column = first;
        if (p.Rows < 4)
            for (; column + 8 * TWide.Count <= end; column += 8 * TWide.Count)
                for (int row = 0; row < p.Rows; row++) OneByEight(ref p, row, input, count, column);
        for (; column + 3 * TWide.Count <= end; column += 3 * TWide.Count)
        {
            int row = 0;
            if (TWide.Count == 16) for (; row + 8 <= p.Rows; row += 8) EightByThree(ref p, row, input, count, column);
            for (; row + 4 <= p.Rows; row += 4) FourByThree(ref p, row, input, count, column);
            for (; row < p.Rows; row++)
                for (int c = 0; c < 3; c++) OneByOne(ref p, row, input, count, column + c * TWide.Count);
        }
        for (; column + TWide.Count <= end; column += TWide.Count)
            for (int row = 0; row < p.Rows; row++) OneByOne(ref p, row, input, count, column);
        for (; column < end; column++)
            for (int row = 0; row < p.Rows; row++) Single(ref p, row, input, count, column);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single(ref ProductParts p, int row, int input, int count, int column)
    {
        float* x = p.Input + (long)row * p.Inputs + input, w = p.Weight + (long)input * p.Outputs + column;
        float sum = 0;
        for (int i = 0; i < count; i++) sum = MathF.FusedMultiplyAdd(x[i], w[(long)i * p.Outputs], sum);
        p.Output[(long)row * p.Outputs + column] += sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByOne(ref ProductParts p, int row, int input, int count, int column)
    {
        float* x = p.Input + (long)row * p.Inputs + input, w = p.Weight + (long)input * p.Outputs + column;
        TVector sum = default;
        for (int i = 0; i < count; i++, w += p.Outputs) sum = TWide.MultiplyAdd(TWide.Broadcast(x[i]), TWide.Load(w), sum);
        Add(p.Output + (long)row * p.Outputs + column, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByEight(ref ProductParts p, int row, int input, int count, int column)
    {
        float* x = p.Input + (long)row * p.Inputs + input, end = x + count, w = p.Weight + (long)input * p.Outputs + column;
        long step = p.Outputs, ahead = step * 16;
        TVector s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        for (; x < end; x++, w += step)
        {
            TVector v = TWide.Broadcast(*x);
            s0 = TWide.MultiplyAdd(v, TWide.Load(w), s0);
            s1 = TWide.MultiplyAdd(v, TWide.Load(w + TWide.Count), s1);
            s2 = TWide.MultiplyAdd(v, TWide.Load(w + 2 * TWide.Count), s2);
            s3 = TWide.MultiplyAdd(v, TWide.Load(w + 3 * TWide.Count), s3);
            s4 = TWide.MultiplyAdd(v, TWide.Load(w + 4 * TWide.Count), s4);
            s5 = TWide.MultiplyAdd(v, TWide.Load(w + 5 * TWide.Count), s5);
            s6 = TWide.MultiplyAdd(v, TWide.Load(w + 6 * TWide.Count), s6);
            s7 = TWide.MultiplyAdd(v, TWide.Load(w + 7 * TWide.Count), s7);
            if (Sse.IsSupported)
            {
                for (int line = 0; line < 8 * TWide.Count; line += 16) Sse.PrefetchNonTemporal(w + ahead + line);
            }
        }
        float* y = p.Output + row * step + column;
        Add(y, s0);
        Add(y + TWide.Count, s1);
        Add(y + 2 * TWide.Count, s2);
        Add(y + 3 * TWide.Count, s3);
        Add(y + 4 * TWide.Count, s4);
        Add(y + 5 * TWide.Count, s5);
        Add(y + 6 * TWide.Count, s6);
        Add(y + 7 * TWide.Count, s7);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByThree(ref ProductParts p, int row, int input, int count, int column)
    {
        long step = p.Outputs, length = p.Inputs;
        float* x = p.Input + row * length + input, end = x + count, w = p.Weight + input * step + column;
        TVector a0 = default, a1 = default, a2 = default, b0 = default, b1 = default, b2 = default;
        TVector c0 = default, c1 = default, c2 = default, d0 = default, d1 = default, d2 = default;
        for (; x < end; x++, w += step)
        {
            TVector w0 = TWide.Load(w), w1 = TWide.Load(w + TWide.Count), w2 = TWide.Load(w + 2 * TWide.Count), v = TWide.Broadcast(*x);
            (a0, a1, a2) = (TWide.MultiplyAdd(v, w0, a0), TWide.MultiplyAdd(v, w1, a1), TWide.MultiplyAdd(v, w2, a2));
            v = TWide.Broadcast(x[length]);
            (b0, b1, b2) = (TWide.MultiplyAdd(v, w0, b0), TWide.MultiplyAdd(v, w1, b1), TWide.MultiplyAdd(v, w2, b2));
            v = TWide.Broadcast(x[2 * length]);
            (c0, c1, c2) = (TWide.MultiplyAdd(v, w0, c0), TWide.MultiplyAdd(v, w1, c1), TWide.MultiplyAdd(v, w2, c2));
            v = TWide.Broadcast(x[3 * length]);
            (d0, d1, d2) = (TWide.MultiplyAdd(v, w0, d0), TWide.MultiplyAdd(v, w1, d1), TWide.MultiplyAdd(v, w2, d2));
        }
        float* y = p.Output + row * step + column;
        Add(y, a0, a1, a2);
        Add(y + step, b0, b1, b2);
        Add(y + 2 * step, c0, c1, c2);
        Add(y + 3 * step, d0, d1, d2);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EightByThree(ref ProductParts p, int row, int input, int count, int column)
    {
        long step = p.Outputs, length = p.Inputs, ahead = step * 16;
        float* x = p.Input + row * length + input, far = x + 4 * length, end = x + count, w = p.Weight + input * step + column;
        TVector a0 = default, a1 = default, a2 = default, b0 = default, b1 = default, b2 = default;
        TVector c0 = default, c1 = default, c2 = default, d0 = default, d1 = default, d2 = default;
        TVector e0 = default, e1 = default, e2 = default, f0 = default, f1 = default, f2 = default;
        TVector g0 = default, g1 = default, g2 = default, h0 = default, h1 = default, h2 = default;
        for (; x < end; x++, far++, w += step)
        {
            TVector w0 = TWide.Load(w), w1 = TWide.Load(w + TWide.Count), w2 = TWide.Load(w + 2 * TWide.Count), v = TWide.Broadcast(*x);
            (a0, a1, a2) = (TWide.MultiplyAdd(v, w0, a0), TWide.MultiplyAdd(v, w1, a1), TWide.MultiplyAdd(v, w2, a2));
            v = TWide.Broadcast(x[length]);
            (b0, b1, b2) = (TWide.MultiplyAdd(v, w0, b0), TWide.MultiplyAdd(v, w1, b1), TWide.MultiplyAdd(v, w2, b2));
            v = TWide.Broadcast(x[2 * length]);
            (c0, c1, c2) = (TWide.MultiplyAdd(v, w0, c0), TWide.MultiplyAdd(v, w1, c1), TWide.MultiplyAdd(v, w2, c2));
            v = TWide.Broadcast(x[3 * length]);
            (d0, d1, d2) = (TWide.MultiplyAdd(v, w0, d0), TWide.MultiplyAdd(v, w1, d1), TWide.MultiplyAdd(v, w2, d2));
            v = TWide.Broadcast(*far);
            (e0, e1, e2) = (TWide.MultiplyAdd(v, w0, e0), TWide.MultiplyAdd(v, w1, e1), TWide.MultiplyAdd(v, w2, e2));
            v = TWide.Broadcast(far[length]);
            (f0, f1, f2) = (TWide.MultiplyAdd(v, w0, f0), TWide.MultiplyAdd(v, w1, f1), TWide.MultiplyAdd(v, w2, f2));
            v = TWide.Broadcast(far[2 * length]);
            (g0, g1, g2) = (TWide.MultiplyAdd(v, w0, g0), TWide.MultiplyAdd(v, w1, g1), TWide.MultiplyAdd(v, w2, g2));
            v = TWide.Broadcast(far[3 * length]);
            (h0, h1, h2) = (TWide.MultiplyAdd(v, w0, h0), TWide.MultiplyAdd(v, w1, h1), TWide.MultiplyAdd(v, w2, h2));
            if (Sse.IsSupported)
            {
                Sse.PrefetchNonTemporal(w + ahead);
                Sse.PrefetchNonTemporal(w + ahead + 16);
                Sse.PrefetchNonTemporal(w + ahead + 32);
            }
        }
        float* y = p.Output + row * step + column;
        Add(y, a0, a1, a2);
        Add(y + step, b0, b1, b2);
        Add(y + 2 * step, c0, c1, c2);
        Add(y + 3 * step, d0, d1, d2);
        y += 4 * step;
        Add(y, e0, e1, e2);
        Add(y + step, f0, f1, f2);
        Add(y + 2 * step, g0, g1, g2);
        Add(y + 3 * step, h0, h1, h2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(float* y, TVector s0, TVector s1, TVector s2)
    {
        Add(y, s0);
        Add(y + TWide.Count, s1);
        Add(y + 2 * TWide.Count, s2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(float* y, TVector sum) => TWide.Store(y, TWide.Add(TWide.Load(y), sum));
}
