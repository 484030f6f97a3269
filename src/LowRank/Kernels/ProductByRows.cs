using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels.Native;

namespace LowRank.Kernels;

/// <summary>The product of rows and a weight stored as [outputs, inputs]: a dot product of each row of x with each row
/// of W.</summary>
/// <remarks>Each dot product has its own accumulator, a vector that runs over the inputs in order; its elements are
/// added at the end. Nothing is packed: both matrices are read as they lie. The outputs that are computed at once lie
/// far apart in the weight, so that memory is read in a few long streams.</remarks>
internal static unsafe class ProductByRows<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    private const int Streams = 4;      // outputs at once for few rows
    private const int Columns = 3;      // outputs of a tile
    private const int MostStreamed = 16; // rows for which memory is the limit
    private const int MostDepth = 1024; // inputs at a time: four rows of so many stay in the first-level cache

    /// <summary>Some rows of some outputs.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Part(void* data, int part)
    {
        ref LinearTask t = ref *(LinearTask*)data;
        (int block, int group) = Math.DivRem(part, LinearProduct.Ceiling(t.Rows, t.PartRows));
        int output = block * t.PartOutputs, row = group * t.PartRows;
        Multiply(new RowProduct
        {
            Input = t.Input + (long)row * t.Inputs,
            Weight = t.Weight + (long)output * t.Inputs,
            Bias = t.Bias == null ? null : t.Bias + output,
            Output = t.Output + (long)row * t.Outputs + output,
            Stride = t.Outputs,
            Rows = Math.Min(t.PartRows, t.Rows - row),
            Inputs = t.Inputs,
            Outputs = Math.Min(t.PartOutputs, t.Outputs - output),
        });
    }

    /// <summary>A product that one thread computes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(RowProduct p)
    {
        if (p.Rows < 4) FewRows(ref p);
        else if (p.Rows <= MostStreamed) EachOutput(ref p);
        else EachRow(ref p);
    }

    /// <summary>Number of floats that <see cref="RowProduct.Scratch"/> needs.</summary>
    public static int ScratchSize(int inputs, int outputs) =>
        TileSize * (Deep(Whole(inputs)) < Whole(inputs) ? Math.Max(1, outputs / Columns) : 1);

    private static int TileSize => 8 * Columns * TWide.Count;

    private static int Whole(int inputs) => inputs - inputs % TWide.Count;

    // Equal slices of whole vectors.
    private static int Deep(int whole)
    {
        int slices = Math.Max(1, LinearProduct.Ceiling(whole, MostDepth));
        return Math.Max(1, LinearProduct.Ceiling(LinearProduct.Ceiling(whole, slices), TWide.Count)) * TWide.Count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FewRows(ref RowProduct p)
    {
        int gap = p.Outputs / Streams, output = 0;
        for (; output < gap; output++)
            for (int row = 0; row < p.Rows; row++) OneByFour(ref p, row, output, gap);
        for (output = Streams * gap; output < p.Outputs; output++)
            for (int row = 0; row < p.Rows; row++) OneByOne(ref p, row, output);
    }

    // The weight comes from memory: all rows use what is read.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EachOutput(ref RowProduct p)
    {
        float* sums = stackalloc float[TileSize];
        int gap = p.Outputs / Columns, whole = Whole(p.Inputs), groups = 0;
        for (int row = 0; row < p.Rows; row += TileRows(ref row, p.Rows)) groups++;
        int pace = LinearProduct.Ceiling(TWide.Count, groups);
        for (int output = 0; output < gap; output++)
        {
            // Each group of rows asks for its share of what the next outputs read, so that memory is never idle.
            float* next = output + 1 < gap ? p.Weight + (output + 1L) * p.Inputs : null;
            for (int row = 0, count; row < p.Rows; row += count)
            {
                count = TileRows(ref row, p.Rows);
                Tile(ref p, row, output, gap, 0, whole, count, sums, next, pace);
                Finish(ref p, row, output, gap, count, sums);
                if (next != null) next += whole / TWide.Count * pace;
            }
        }
        Rest(ref p, gap);
    }

    // The weight's part lies in the second-level cache: a few rows stay in the first while it passes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EachRow(ref RowProduct p)
    {
        int gap = p.Outputs / Columns, whole = Whole(p.Inputs), deep = Deep(whole);
        bool isDeep = deep < whole;
        float* sums = p.Scratch == null ? ScratchMemory.Floats(ScratchSize(p.Inputs, p.Outputs)) : p.Scratch;
        for (int row = 0, count; row < p.Rows; row += count)
        {
            count = TileRows(ref row, p.Rows);
            for (int first = 0; first == 0 || first < whole; first += deep)
            {
                int depth = Math.Min(deep, whole - first);
                for (int output = 0; output < gap; output++)
                {
                    float* own = isDeep ? sums + output * TileSize : sums;
                    Tile(ref p, row, output, gap, first, depth, count, own);
                    if (first + depth == whole) Finish(ref p, row, output, gap, count, own);
                }
            }
        }
        Rest(ref p, gap);
    }

    // Fewer outputs than a tile has.
    private static void Rest(ref RowProduct p, int gap)
    {
        for (int row = 0; row < p.Rows; row++)
            for (int output = Columns * gap; output < p.Outputs; output++) OneByOne(ref p, row, output);
    }

    // The rows of the next tile. The last tile overlaps the one before it where fewer rows are left: they come out the
    // same again.
    private static int TileRows(ref int row, int rows)
    {
        if (TWide.HasManyRegisters && rows - row >= 8) return 8;
        row = Math.Min(row, rows - 4);
        return 4;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Tile(
        ref RowProduct p, int row, int output, int gap, int first, int depth, int count, float* sums,
        float* next = null, int pace = 0)
    {
        float* x = p.Input + (long)row * p.Inputs + first, w = p.Weight + (long)output * p.Inputs + first;
        long step = (long)gap * p.Inputs;
        if (count == 8) Eight(x, p.Inputs, w, step, depth, sums, first > 0, next, pace);
        else Four(x, p.Inputs, w, step, depth, sums, first > 0, next, pace);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByOne(ref RowProduct p, int row, int output)
    {
        float* x = p.Input + (long)row * p.Inputs, w = p.Weight + (long)output * p.Inputs;
        TVector sum = default;
        for (int i = 0; i + TWide.Count <= p.Inputs; i += TWide.Count)
            sum = TWide.MultiplyAdd(TWide.Load(x + i), TWide.Load(w + i), sum);
        Finish(ref p, row, output, TWide.SumFour(sum, sum, sum, sum).ToScalar());
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneByFour(ref RowProduct p, int row, int output, int gap)
    {
        long step = (long)gap * p.Inputs;
        float* x = p.Input + (long)row * p.Inputs, w = p.Weight + (long)output * p.Inputs, w3 = w + 3 * step;
        TVector s0 = default, s1 = default, s2 = default, s3 = default;
        for (float* end = x + Whole(p.Inputs); x < end; x += TWide.Count, w += TWide.Count, w3 += TWide.Count)
        {
            TVector v = TWide.Load(x);
            s0 = TWide.MultiplyAdd(v, TWide.Load(w), s0);
            s1 = TWide.MultiplyAdd(v, TWide.Load(w + step), s1);
            s2 = TWide.MultiplyAdd(v, TWide.Load(w + 2 * step), s2);
            s3 = TWide.MultiplyAdd(v, TWide.Load(w3), s3);
        }
        Vector128<float> sums = TWide.SumFour(s0, s1, s2, s3);
        for (int o = 0; o < Streams; o++) Finish(ref p, row, output + o * gap, sums[o]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four(
        float* x, long length, float* w, long step, int depth, float* sums, bool goesOn, float* next,
        int pace)
    {
        TVector a0 = default, a1 = default, a2 = default, b0 = default, b1 = default, b2 = default;
        TVector c0 = default, c1 = default, c2 = default, d0 = default, d1 = default, d2 = default;
        if (goesOn)
        {
            Load(sums, 0, out a0, out a1, out a2);
            Load(sums, 1, out b0, out b1, out b2);
            Load(sums, 2, out c0, out c1, out c2);
            Load(sums, 3, out d0, out d1, out d2);
        }
        float* x3 = x + 3 * length, w2 = w + 2 * step;
        for (float* end = x + depth; x < end; x += TWide.Count, x3 += TWide.Count, w += TWide.Count, w2 += TWide.Count)
        {
            TVector v0 = TWide.Load(w), v1 = TWide.Load(w + step), v2 = TWide.Load(w2), v = TWide.Load(x);
            (a0, a1, a2) = (TWide.MultiplyAdd(v, v0, a0), TWide.MultiplyAdd(v, v1, a1), TWide.MultiplyAdd(v, v2, a2));
            v = TWide.Load(x + length);
            (b0, b1, b2) = (TWide.MultiplyAdd(v, v0, b0), TWide.MultiplyAdd(v, v1, b1), TWide.MultiplyAdd(v, v2, b2));
            v = TWide.Load(x + 2 * length);
            (c0, c1, c2) = (TWide.MultiplyAdd(v, v0, c0), TWide.MultiplyAdd(v, v1, c1), TWide.MultiplyAdd(v, v2, c2));
            v = TWide.Load(x3);
            (d0, d1, d2) = (TWide.MultiplyAdd(v, v0, d0), TWide.MultiplyAdd(v, v1, d1), TWide.MultiplyAdd(v, v2, d2));
            if (next == null) continue;
            Fetch(next, step);
            next += pace;
        }
        Store(sums, 0, a0, a1, a2);
        Store(sums, 1, b0, b1, b2);
        Store(sums, 2, c0, c1, c2);
        Store(sums, 3, d0, d1, d2);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Eight(
        float* x, long length, float* w, long step, int depth, float* sums, bool goesOn, float* next,
        int pace)
    {
        TVector a0 = default, a1 = default, a2 = default, b0 = default, b1 = default, b2 = default;
        TVector c0 = default, c1 = default, c2 = default, d0 = default, d1 = default, d2 = default;
        TVector e0 = default, e1 = default, e2 = default, f0 = default, f1 = default, f2 = default;
        TVector g0 = default, g1 = default, g2 = default, h0 = default, h1 = default, h2 = default;
        if (goesOn)
        {
            Load(sums, 0, out a0, out a1, out a2);
            Load(sums, 1, out b0, out b1, out b2);
            Load(sums, 2, out c0, out c1, out c2);
            Load(sums, 3, out d0, out d1, out d2);
            Load(sums, 4, out e0, out e1, out e2);
            Load(sums, 5, out f0, out f1, out f2);
            Load(sums, 6, out g0, out g1, out g2);
            Load(sums, 7, out h0, out h1, out h2);
        }
        float* far = x + 4 * length;
        for (float* end = x + depth; x < end; x += TWide.Count, far += TWide.Count, w += TWide.Count)
        {
            TVector v0 = TWide.Load(w), v1 = TWide.Load(w + step), v2 = TWide.Load(w + 2 * step), v = TWide.Load(x);
            (a0, a1, a2) = (TWide.MultiplyAdd(v, v0, a0), TWide.MultiplyAdd(v, v1, a1), TWide.MultiplyAdd(v, v2, a2));
            v = TWide.Load(x + length);
            (b0, b1, b2) = (TWide.MultiplyAdd(v, v0, b0), TWide.MultiplyAdd(v, v1, b1), TWide.MultiplyAdd(v, v2, b2));
            v = TWide.Load(x + 2 * length);
            (c0, c1, c2) = (TWide.MultiplyAdd(v, v0, c0), TWide.MultiplyAdd(v, v1, c1), TWide.MultiplyAdd(v, v2, c2));
            v = TWide.Load(x + 3 * length);
            (d0, d1, d2) = (TWide.MultiplyAdd(v, v0, d0), TWide.MultiplyAdd(v, v1, d1), TWide.MultiplyAdd(v, v2, d2));
            v = TWide.Load(far);
            (e0, e1, e2) = (TWide.MultiplyAdd(v, v0, e0), TWide.MultiplyAdd(v, v1, e1), TWide.MultiplyAdd(v, v2, e2));
            v = TWide.Load(far + length);
            (f0, f1, f2) = (TWide.MultiplyAdd(v, v0, f0), TWide.MultiplyAdd(v, v1, f1), TWide.MultiplyAdd(v, v2, f2));
            v = TWide.Load(far + 2 * length);
            (g0, g1, g2) = (TWide.MultiplyAdd(v, v0, g0), TWide.MultiplyAdd(v, v1, g1), TWide.MultiplyAdd(v, v2, g2));
            v = TWide.Load(far + 3 * length);
            (h0, h1, h2) = (TWide.MultiplyAdd(v, v0, h0), TWide.MultiplyAdd(v, v1, h1), TWide.MultiplyAdd(v, v2, h2));
            if (next == null) continue;
            Fetch(next, step);
            next += pace;
        }
        Store(sums, 0, a0, a1, a2);
        Store(sums, 1, b0, b1, b2);
        Store(sums, 2, c0, c1, c2);
        Store(sums, 3, d0, d1, d2);
        Store(sums, 4, e0, e1, e2);
        Store(sums, 5, f0, f1, f2);
        Store(sums, 6, g0, g1, g2);
        Store(sums, 7, h0, h1, h2);
    }

    // Where several rows are computed with a weight from memory, its next lines must be asked for: computing takes
    // longer than the processor looks ahead.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(float* w, long step)
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch0(w);
        Sse.Prefetch0(w + step);
        Sse.Prefetch0(w + 2 * step);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Load(float* sums, int row, out TVector s0, out TVector s1, out TVector s2)
    {
        float* own = sums + row * Columns * TWide.Count;
        (s0, s1, s2) = (TWide.Load(own), TWide.Load(own + TWide.Count), TWide.Load(own + 2 * TWide.Count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* sums, int row, TVector s0, TVector s1, TVector s2)
    {
        float* own = sums + row * Columns * TWide.Count;
        TWide.Store(own, s0);
        TWide.Store(own + TWide.Count, s1);
        TWide.Store(own + 2 * TWide.Count, s2);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Finish(ref RowProduct p, int row, int output, int gap, int count, float* sums)
    {
        for (int i = 0; i < count; i++)
        {
            Load(sums, i, out TVector s0, out TVector s1, out TVector s2);
            Vector128<float> added = TWide.SumFour(s0, s1, s2, s2);
            Finish(ref p, row + i, output, added[0]);
            Finish(ref p, row + i, output + gap, added[1]);
            Finish(ref p, row + i, output + 2 * gap, added[2]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(ref RowProduct p, int row, int output, float sum)
    {
        float* x = p.Input + (long)row * p.Inputs, w = p.Weight + (long)output * p.Inputs;
        for (int i = Whole(p.Inputs); i < p.Inputs; i++) sum += x[i] * w[i];
        if (p.Bias != null) sum += p.Bias[output];
        p.Output[row * p.Stride + output] = sum;
    }
}

/// <summary>What one thread computes of a product with a weight stored by rows.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct RowProduct
{
    /// <summary>x, [rows, inputs].</summary>
    public float* Input;

    /// <summary>W, [outputs, inputs].</summary>
    public float* Weight;

    /// <summary>b, [outputs]; null for none.</summary>
    public float* Bias;

    /// <summary>y, [rows, outputs].</summary>
    public float* Output;

    /// <summary>Distance between the rows of y.</summary>
    public long Stride;

    /// <summary>Number of rows in x.</summary>
    public int Rows;

    /// <summary>Width of x.</summary>
    public int Inputs;

    /// <summary>Width of y.</summary>
    public int Outputs;

    /// <summary>Memory for sums; null for the thread's own.</summary>
    public float* Scratch;
}
