using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>softmax(qKᵀ·scale)V for one new position per row over a key-value cache, in one pass over keys and values
/// (the online softmax, arXiv 1805.02867), without masks, copies of shared heads or temporaries. First writes the new
/// position's key and value to the cache.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct StepAttention
{
    private const int Line = 16;  // numbers of a line of the cache
    private const int Block = 32; // keys whose scores are held at once; a multiple of every vector's width

    private const int MostRows = 1024; // whose first positions lie on the stack

    /// <summary>The queries, [rows, heads, dimension] with the strides below.</summary>
    public float* Query;

    /// <summary>The new keys, [rows, key-value heads, dimension] with the strides below.</summary>
    public float* NewKey;

    /// <summary>The new values, same layout as <see cref="NewKey"/>.</summary>
    public float* NewValue;

    /// <summary>The cache's keys, [rows, key-value heads, capacity, dimension].</summary>
    public float* Keys;

    /// <summary>The cache's values, same shape as <see cref="Keys"/>.</summary>
    public float* Values;

    /// <summary>The result, [rows, heads · dimension].</summary>
    public float* Output;

    /// <summary>For each row, the first position that is seen.</summary>
    public int* First;

    /// <summary>Strides between rows and between heads of the queries, in elements.</summary>
    public (long Row, long Head) QueryStride;

    /// <summary>Like <see cref="QueryStride"/>, for the new keys.</summary>
    public (long Row, long Head) KeyStride;

    /// <summary>Like <see cref="QueryStride"/>, for the new values.</summary>
    public (long Row, long Head) ValueStride;

    /// <summary>Number of rows in the batch.</summary>
    public int Rows;

    /// <summary>Number of key-value heads.</summary>
    public int KeyValueHeads;

    /// <summary>Number of query heads per key-value head.</summary>
    public int Groups;

    /// <summary>Width of a head.</summary>
    public int Dimension;

    /// <summary>Capacity of the cache in positions.</summary>
    public int Capacity;

    /// <summary>Number of positions, including the new one.</summary>
    public int Length;

    /// <summary>Factor of the scores.</summary>
    public float Scale;

    /// <summary>The cap c on scores, c·tanh(x/c); 0 for none.</summary>
    public float Softcap;

    /// <summary>Like <see cref="Attention.Cached"/>; returns null and does nothing if torch must compute it: with
    /// several new positions, gradients, dropout, padding other than on the left, other devices or types.</summary>
    public static Tensor? TryAttend(
        Tensor query, Tensor key, Tensor value, (Tensor Keys, Tensor Values) cache, int length, AttentionRule rule,
        IAttentionPass pass)
    {
        long[] shape = query.shape, heads = key.shape, held = cache.Keys.shape;
        if (shape[2] != 1 || rule.Drops || shape[0] > MostRows || !pass.HasOnlyLeftPadding) return null;
        if (!Fits(query) || !Fits(key) || !Fits(value) || !KernelTensors.Fit(cache.Keys)
            || !KernelTensors.Fit(cache.Values))
            return null;
        // otherwise torch reports the error
        if (!heads.SequenceEqual(value.shape) || !heads.SequenceEqual([shape[0], heads[1], 1, shape[3]])
            || !held.SequenceEqual([shape[0], heads[1], held[2], shape[3]]) || !held.SequenceEqual(cache.Values.shape)
            || length >= held[2] || shape[1] % heads[1] != 0)
            return null;
        int rows = (int)shape[0], seen = rule.Window is { } window ? Math.Max(0, length + 1 - window) : 0;
        int* first = stackalloc int[rows];
        for (int row = 0; row < rows; row++) first[row] = Math.Max(seen, pass.LeftPadding(row));
        Tensor mixed = empty(shape[0], 1, shape[1] * shape[3]);
        var attention = new StepAttention
        {
            Query = Address(query),
            NewKey = Address(key),
            NewValue = Address(value),
            Keys = Address(cache.Keys),
            Values = Address(cache.Values),
            Output = Address(mixed),
            First = first,
            QueryStride = Strides(query),
            KeyStride = Strides(key),
            ValueStride = Strides(value),
            Rows = rows,
            KeyValueHeads = (int)heads[1],
            Groups = (int)(shape[1] / heads[1]),
            Dimension = (int)shape[3],
            Capacity = (int)held[2],
            Length = length + 1,
            Scale = (float)(rule.Scale ?? 1 / Math.Sqrt(shape[3])),
            Softcap = (float)(rule.Softcap ?? 0),
        };
        attention.Compute();
        return mixed;
    }

    private static float* Address(Tensor tensor) => (float*)NativeTensor.Address(tensor);

    private static bool Fits(Tensor heads) => KernelTensors.Fit(heads, strided: true) && heads.stride(3) == 1;

    private static (long Row, long Head) Strides(Tensor heads) => (heads.stride(0), heads.stride(1));

    /// <summary>Computes all rows and heads.</summary>
    public void Compute()
    {
        fixed (StepAttention* p = &this)
        {
            if (Vector512.IsHardwareAccelerated) Workers.Run(Rows * KeyValueHeads, &Part<Wide512, Vector512<float>>, p);
            else Workers.Run(Rows * KeyValueHeads, &Part<Wide256, Vector256<float>>, p);
        }
    }

    // A part is one key-value head of one row, with the query heads that share it.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Part<TWide, TVector>(void* data, int part)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        ref StepAttention a = ref *(StepAttention*)data;
        (int row, int head) = Math.DivRem(part, a.KeyValueHeads);
        long start = (long)part * a.Capacity * a.Dimension, last = start + (a.Length - 1L) * a.Dimension;
        Copy(a.NewKey + row * a.KeyStride.Row + head * a.KeyStride.Head, a.Keys + last, a.Dimension);
        Copy(a.NewValue + row * a.ValueStride.Row + head * a.ValueStride.Head, a.Values + last, a.Dimension);
        for (int group = 0; group < a.Groups; group++)
        {
            long query = (long)head * a.Groups + group;
            Attend<TWide, TVector>(
                ref a, a.Query + row * a.QueryStride.Row + query * a.QueryStride.Head, a.Keys + start,
                a.Values + start, a.First[row],
                a.Output + ((long)row * a.KeyValueHeads * a.Groups + query) * a.Dimension);
        }
    }

    private static void Copy(float* from, float* to, int count) =>
        new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Attend<TWide, TVector>(
        ref StepAttention a, float* query, float* keys, float* values, int first, float* output)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        float* scores = stackalloc float[Block];
        new Span<float>(output, a.Dimension).Clear();
        float highest = float.NegativeInfinity, sum = 0;
        for (int position = first; position < a.Length; position += Block)
        {
            int count = Math.Min(Block, a.Length - position);
            // Prefetches the values while computing the scores, and the next keys while mixing the values.
            long block = (long)position * a.Dimension, next = block + (long)count * a.Dimension;
            Fetch(values + block, count * a.Dimension);
            Scores<TWide, TVector>(ref a, query, keys + block, count, scores);
            Fetch(keys + next, Math.Min(Block, a.Length - position - count) * a.Dimension);
            new Span<float>(scores + count, Block - count).Fill(float.NegativeInfinity);
            float before = highest;
            for (int i = 0; i < count; i++) highest = MathF.Max(highest, scores[i]);
            float kept = MathF.Exp(before - highest);
            TVector shift = TWide.Broadcast(highest), total = default;
            for (int i = 0; i < Block; i += TWide.Count)
            {
                TVector weight = TWide.Exp(TWide.Subtract(TWide.Load(scores + i), shift));
                total = TWide.Add(total, weight);
                TWide.Store(scores + i, weight);
            }
            sum = sum * kept + TWide.Sum(total);
            Mix<TWide, TVector>(values + block, count, scores, kept, output, a.Dimension);
        }
        float factor = 1 / sum;
        for (int i = 0; i < a.Dimension; i++) output[i] *= factor;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(float* memory, int count)
    {
        if (Sse.IsSupported)
            for (int i = 0; i < count; i += Line) Sse.Prefetch0(memory + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scores<TWide, TVector>(ref StepAttention a, float* query, float* keys, int count, float* scores)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int step = a.Dimension, whole = step - step % TWide.Count, i = 0;
        for (; i + 4 <= count; i += 4)
        {
            float* key = keys + (long)i * step;
            TVector s0 = default, s1 = default, s2 = default, s3 = default;
            for (int d = 0; d < whole; d += TWide.Count)
            {
                TVector q = TWide.Load(query + d);
                s0 = TWide.MultiplyAdd(q, TWide.Load(key + d), s0);
                s1 = TWide.MultiplyAdd(q, TWide.Load(key + step + d), s1);
                s2 = TWide.MultiplyAdd(q, TWide.Load(key + 2 * step + d), s2);
                s3 = TWide.MultiplyAdd(q, TWide.Load(key + 3 * step + d), s3);
            }
            scores[i] = Score(ref a, query, key, whole, TWide.Sum(s0));
            scores[i + 1] = Score(ref a, query, key + step, whole, TWide.Sum(s1));
            scores[i + 2] = Score(ref a, query, key + 2 * step, whole, TWide.Sum(s2));
            scores[i + 3] = Score(ref a, query, key + 3 * step, whole, TWide.Sum(s3));
        }
        for (; i < count; i++)
        {
            float* key = keys + (long)i * step;
            TVector s = default;
            for (int d = 0; d < whole; d += TWide.Count)
                s = TWide.MultiplyAdd(TWide.Load(query + d), TWide.Load(key + d), s);
            scores[i] = Score(ref a, query, key, whole, TWide.Sum(s));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Score(ref StepAttention a, float* query, float* key, int summed, float sum)
    {
        for (int d = summed; d < a.Dimension; d++) sum += query[d] * key[d];
        sum *= a.Scale;
        return a.Softcap == 0 ? sum : a.Softcap * MathF.Tanh(sum / a.Softcap);
    }

    // output = kept · output + weights · values
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mix<TWide, TVector>(
        float* values, int count, float* weights, float kept, float* output, int dimension)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector factor = TWide.Broadcast(kept);
        int d = 0;
        for (; d + 4 * TWide.Count <= dimension; d += 4 * TWide.Count)
        {
            float* to = output + d, value = values + d;
            TVector o0 = TWide.Multiply(factor, TWide.Load(to)),
                o1 = TWide.Multiply(factor, TWide.Load(to + TWide.Count));
            TVector o2 = TWide.Multiply(factor, TWide.Load(to + 2 * TWide.Count)),
                o3 = TWide.Multiply(factor, TWide.Load(to + 3 * TWide.Count));
            for (int i = 0; i < count; i++, value += dimension)
            {
                TVector weight = TWide.Broadcast(weights[i]);
                o0 = TWide.MultiplyAdd(weight, TWide.Load(value), o0);
                o1 = TWide.MultiplyAdd(weight, TWide.Load(value + TWide.Count), o1);
                o2 = TWide.MultiplyAdd(weight, TWide.Load(value + 2 * TWide.Count), o2);
                o3 = TWide.MultiplyAdd(weight, TWide.Load(value + 3 * TWide.Count), o3);
            }
            TWide.Store(to, o0);
            TWide.Store(to + TWide.Count, o1);
            TWide.Store(to + 2 * TWide.Count, o2);
            TWide.Store(to + 3 * TWide.Count, o3);
        }
        for (; d + TWide.Count <= dimension; d += TWide.Count)
        {
            TVector o = TWide.Multiply(factor, TWide.Load(output + d));
            for (int i = 0; i < count; i++)
                o = TWide.MultiplyAdd(TWide.Broadcast(weights[i]), TWide.Load(values + (long)i * dimension + d), o);
            TWide.Store(output + d, o);
        }
        for (; d < dimension; d++)
        {
            float o = kept * output[d];
            for (int i = 0; i < count; i++) o += weights[i] * values[(long)i * dimension + d];
            output[d] = o;
        }
    }
}
