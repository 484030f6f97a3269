using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Kernels;

/// <summary>The product of few rows and a weight stored as [inputs, outputs], as in GPT-2: sums the columns of W, each
/// multiplied by an element of x. <see cref="BlockedProduct"/> does the same for many rows.</summary>
/// <remarks>The sum of each output runs over the inputs in order, in blocks of <see cref="LinearProduct.Block"/> whose
/// sums are added in order.</remarks>
internal static unsafe class ProductByColumns<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    private const int Block = LinearProduct.Block;
    private const int StripWidth = 384; // outputs whose sums, of all rows, stay in the first-level cache

    /// <summary>The outputs of one part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Part(void* data, int part)
    {
        ref LinearTask p = ref *(LinearTask*)data;
        int first = part * p.PartOutputs, end = Math.Min(first + p.PartOutputs, p.Outputs);
        for (int row = 0; row < p.Rows; row++)
        {
            var output = new Span<float>(p.Output + (long)row * p.Outputs + first, end - first);
            if (p.Bias == null) output.Clear();
            else new ReadOnlySpan<float>(p.Bias + first, end - first).CopyTo(output);
        }
        for (int input = 0; input < p.Inputs; input += Block)
            AddBlock(ref p, input, Math.Min(Block, p.Inputs - input), first, end);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddBlock(ref LinearTask p, int input, int count, int first, int end)
    {
        int column = first;
        if (p.Rows < 4)
        {
            float* sums = stackalloc float[LinearProduct.PartWidth];
            column = end - (end - first) % TWide.Count;
            for (int at = first; at < column; at += LinearProduct.PartWidth)
                AddGroups(ref p, input, count, at, Math.Min(LinearProduct.PartWidth, column - at), sums);
        }
        else if (!TWide.HasManyRegisters)
        {
            float* sums = stackalloc float[LinearProduct.StreamedRows * StripWidth];
            column = end - (end - first) % (2 * TWide.Count);
            for (int at = first, width; at < column; at += width)
            {
                width = Math.Min(StripWidth, column - at);
                // What is read next, relative to the strip's last inputs.
                long next = at + width < column ? width - (count - 4L) * p.Outputs : first - at + 4L * p.Outputs;
                AddStrip(ref p, input, count, at, width, input + count < p.Inputs || at + width < column ? next : 0,
                    sums);
            }
        }
        for (; column + 3 * TWide.Count <= end; column += 3 * TWide.Count)
        {
            int row = 0;
            for (; row + 8 <= p.Rows; row += 8) EightByThree(ref p, row, input, count, column);
            for (; row + 4 <= p.Rows; row += 4) FourByThree(ref p, row, input, count, column);
            for (; row < p.Rows; row++)
                for (int c = 0; c < 3; c++) OneByOne(ref p, row, input, count, column + c * TWide.Count);
        }
        for (; column + TWide.Count <= end; column += TWide.Count)
            for (int row = 0; row < p.Rows; row++) OneByOne(ref p, row, input, count, column);
        for (; column < end; column++)
            for (int row = 0; row < p.Rows; row++) Single(ref p, row, input, count, column);
    }

    // Several rows with few registers: four inputs at a time over a strip of columns, whose sums stay in the L1 cache.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddStrip(
        ref LinearTask p, int input, int count, int column, int width, long next, float* sums)
    {
        new Span<float>(sums, p.Rows * width).Clear();
        float* x = p.Input + input, w = p.Weight + (long)input * p.Outputs + column;
        int i = 0;
        for (; i + 4 <= count; i += 4, w += 4L * p.Outputs)
            AddFour(x + i, p.Inputs, w, p.Outputs, i + 8 <= count ? 4L * p.Outputs : next, sums, p.Rows, width);
        for (; i < count; i++, w += p.Outputs)
        {
            float* sum = sums;
            for (int row = 0; row < p.Rows; row++, sum += width)
            {
                TVector v = TWide.Broadcast(x[(long)row * p.Inputs + i]);
                for (int j = 0; j < width; j += TWide.Count)
                    TWide.Store(sum + j, TWide.MultiplyAdd(v, TWide.Load(w + j), TWide.Load(sum + j)));
            }
        }
        for (int row = 0; row < p.Rows; row++, sums += width)
        {
            float* y = p.Output + (long)row * p.Outputs + column;
            for (int j = 0; j < width; j += TWide.Count) Add(y + j, TWide.Load(sums + j));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddFour(
        float* input, long length, float* w, long step, long next, float* sums, int rows, int width)
    {
        for (float* end = w + width; w < end; w += 2 * TWide.Count, sums += 2 * TWide.Count)
        {
            float* w2 = w + 2 * step;
            TVector a0 = TWide.Load(w), a1 = TWide.Load(w + TWide.Count), b0 = TWide.Load(w + step),
                b1 = TWide.Load(w + step + TWide.Count);
            TVector c0 = TWide.Load(w2), c1 = TWide.Load(w2 + TWide.Count), d0 = TWide.Load(w2 + step),
                d1 = TWide.Load(w2 + step + TWide.Count);
            // Strips are too short for the processor to look ahead by itself.
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(w + next);
                Sse.Prefetch0(w + step + next);
                Sse.Prefetch0(w2 + next);
                Sse.Prefetch0(w2 + step + next);
            }
            float* x = input, sum = sums;
            for (int row = 0; row < rows; row++, x += length, sum += width)
            {
                TVector v = TWide.Broadcast(x[0]), s0 = TWide.MultiplyAdd(v, a0, TWide.Load(sum)),
                    s1 = TWide.MultiplyAdd(v, a1, TWide.Load(sum + TWide.Count));
                v = TWide.Broadcast(x[1]);
                (s0, s1) = (TWide.MultiplyAdd(v, b0, s0), TWide.MultiplyAdd(v, b1, s1));
                v = TWide.Broadcast(x[2]);
                (s0, s1) = (TWide.MultiplyAdd(v, c0, s0), TWide.MultiplyAdd(v, c1, s1));
                v = TWide.Broadcast(x[3]);
                (s0, s1) = (TWide.MultiplyAdd(v, d0, s0), TWide.MultiplyAdd(v, d1, s1));
                TWide.Store(sum, s0);
                TWide.Store(sum + TWide.Count, s1);
            }
        }
    }

    // Few rows: eight inputs at a time over all columns, so that memory is read in eight long streams, which is the
    // fastest pattern.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddGroups(ref LinearTask p, int input, int count, int column, int width, float* sums)
    {
        for (int row = 0; row < p.Rows; row++)
        {
            // After the first row the weight comes from the cache.
            float* x = p.Input + (long)row * p.Inputs + input, y = p.Output + (long)row * p.Outputs + column;
            float* w = p.Weight + (long)input * p.Outputs + column;
            new Span<float>(sums, width).Clear();
            int i = 0;
            for (; i + 8 <= count; i += 8, w += 8L * p.Outputs) AddEight(x + i, w, p.Outputs, sums, width);
            for (; i < count; i++, w += p.Outputs)
            {
                TVector v = TWide.Broadcast(x[i]);
                for (int j = 0; j < width; j += TWide.Count)
                    TWide.Store(sums + j, TWide.MultiplyAdd(v, TWide.Load(w + j), TWide.Load(sums + j)));
            }
            for (int j = 0; j < width; j += TWide.Count) Add(y + j, TWide.Load(sums + j));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddEight(float* x, float* w, long step, float* sums, int width)
    {
        TVector x0 = TWide.Broadcast(x[0]), x1 = TWide.Broadcast(x[1]), x2 = TWide.Broadcast(x[2]),
            x3 = TWide.Broadcast(x[3]);
        TVector x4 = TWide.Broadcast(x[4]), x5 = TWide.Broadcast(x[5]), x6 = TWide.Broadcast(x[6]),
            x7 = TWide.Broadcast(x[7]);
        float* far = w + 4 * step;
        for (float* end = sums + width; sums < end; sums += TWide.Count, w += TWide.Count, far += TWide.Count)
        {
            TVector sum = TWide.MultiplyAdd(x0, TWide.Load(w), TWide.Load(sums));
            sum = TWide.MultiplyAdd(x1, TWide.Load(w + step), sum);
            sum = TWide.MultiplyAdd(x2, TWide.Load(w + 2 * step), sum);
            sum = TWide.MultiplyAdd(x3, TWide.Load(w + 3 * step), sum);
            sum = TWide.MultiplyAdd(x4, TWide.Load(far), sum);
            sum = TWide.MultiplyAdd(x5, TWide.Load(far + step), sum);
            sum = TWide.MultiplyAdd(x6, TWide.Load(far + 2 * step), sum);
            sum = TWide.MultiplyAdd(x7, TWide.Load(far + 3 * step), sum);
            TWide.Store(sums, sum);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single(ref LinearTask p, int row, int input, int count, int column)
    {
        float* x = p.Input + (long)row * p.Inputs + input, w = p.Weight + (long)input * p.Outputs + column;
        float sum = 0;
        for (int i = 0; i < count; i++) sum = float.MultiplyAddEstimate(x[i], w[(long)i * p.Outputs], sum);
        p.Output[(long)row * p.Outputs + column] += sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByOne(ref LinearTask p, int row, int input, int count, int column)
    {
        float* x = p.Input + (long)row * p.Inputs + input, w = p.Weight + (long)input * p.Outputs + column;
        TVector sum = default;
        for (int i = 0; i < count; i++, w += p.Outputs)
            sum = TWide.MultiplyAdd(TWide.Broadcast(x[i]), TWide.Load(w), sum);
        Add(p.Output + (long)row * p.Outputs + column, sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FourByThree(ref LinearTask p, int row, int input, int count, int column)
    {
        long step = p.Outputs, length = p.Inputs;
        float* x = p.Input + row * length + input, end = x + count, w = p.Weight + input * step + column;
        TVector a0 = default, a1 = default, a2 = default, b0 = default, b1 = default, b2 = default;
        TVector c0 = default, c1 = default, c2 = default, d0 = default, d1 = default, d2 = default;
        for (; x < end; x++, w += step)
        {
            TVector w0 = TWide.Load(w), w1 = TWide.Load(w + TWide.Count), w2 = TWide.Load(w + 2 * TWide.Count),
                v = TWide.Broadcast(*x);
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
    private static void EightByThree(ref LinearTask p, int row, int input, int count, int column)
    {
        long step = p.Outputs, length = p.Inputs;
        float* x = p.Input + row * length + input, far = x + 4 * length, end = x + count,
            w = p.Weight + input * step + column;
        TVector a0 = default, a1 = default, a2 = default, b0 = default, b1 = default, b2 = default;
        TVector c0 = default, c1 = default, c2 = default, d0 = default, d1 = default, d2 = default;
        TVector e0 = default, e1 = default, e2 = default, f0 = default, f1 = default, f2 = default;
        TVector g0 = default, g1 = default, g2 = default, h0 = default, h1 = default, h2 = default;
        for (; x < end; x++, far++, w += step)
        {
            TVector w0 = TWide.Load(w), w1 = TWide.Load(w + TWide.Count), w2 = TWide.Load(w + 2 * TWide.Count),
                v = TWide.Broadcast(*x);
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
