using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels.Native;

namespace LowRank.Kernels;

/// <summary>The fast form of <see cref="PagedAttention"/>: softmax(QKᵀ·scale)V page by page (the online softmax, arXiv
/// 1805.02867), for the queries of a tile together, which read each key and value once.</summary>
/// <remarks>Each query computes the same sums in the same order in whatever tile it is: a score over the head's width,
/// the weights of a page's positions by their place in vectors, a result over the page's positions that the query
/// itself sees, and all of them over the pages from the first one that it sees.</remarks>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct PagedAttentionKernel
{
    /// <summary>The largest number of queries in a tile: they and their results stay in the cache.</summary>
    public const int MostRows = 64;

    /// <summary>[tokens, heads, 1, dimension]</summary>
    public AttentionHeads Query;

    /// <summary>[tokens, key-value heads, 1, dimension]</summary>
    public AttentionHeads NewKey;

    /// <summary>Same shape as <see cref="NewKey"/>.</summary>
    public AttentionHeads NewValue;

    /// <summary>The result, [tokens, heads · dimension].</summary>
    public float* Output;

    /// <summary>The addresses of the sequences' pages, one sequence after the other.</summary>
    public nint* Pages;

    /// <summary>Where the layer's keys begin in a page, in elements.</summary>
    public long KeyOffset;

    /// <summary>Where the layer's values begin in a page.</summary>
    public long ValueOffset;

    /// <summary>Number of elements of a head's keys, or values, in a page.</summary>
    public long HeadNumbers;

    /// <summary>The tiles.</summary>
    public PagedTile* Tiles;

    /// <summary>Number of tiles.</summary>
    public int TileCount;

    /// <summary>Number of key-value heads.</summary>
    public int KeyValueHeads;

    /// <summary>Number of query heads per key-value head.</summary>
    public int Groups;

    /// <summary>Number of parts that share the query heads of a key-value head.</summary>
    public int Splits;

    /// <summary>Width of a head.</summary>
    public int Dimension;

    /// <summary>Number of positions that a query sees, including its own.</summary>
    public int Window;

    /// <summary>Factor of the scores.</summary>
    public float Scale;

    /// <summary>The cap c on scores, c·tanh(x/c); 0 for none.</summary>
    public float Softcap;

    /// <summary>Writes the keys and values of all tiles, and computes their queries.</summary>
    /// <param name="writesFirst">Whether some tiles read what others write.</param>
    public void Compute(bool writesFirst)
    {
        int parts = TileCount * KeyValueHeads, threads = Workers.Count;
        Splits = parts >= threads ? 1 : Math.Min(Groups, LinearProduct.Ceiling(threads, parts));
        writesFirst |= Splits > 1;
        fixed (PagedAttentionKernel* work = &this)
        {
            if (Vector512.IsHardwareAccelerated)
            {
                if (writesFirst) Workers.Run(parts, &PagedAttentionPart<Wide512, Vector512<float>>.Write, work);
                Workers.Run(parts * Splits, &PagedAttentionPart<Wide512, Vector512<float>>.Attend, work);
            }
            else
            {
                if (writesFirst) Workers.Run(parts, &PagedAttentionPart<Wide256, Vector256<float>>.Write, work);
                Workers.Run(parts * Splits, &PagedAttentionPart<Wide256, Vector256<float>>.Attend, work);
            }
        }
    }
}

/// <summary>Consecutive tokens of a sequence that are computed together.</summary>
/// <param name="Row">The first one's row.</param>
/// <param name="Tokens">Their number.</param>
/// <param name="Position">The first one's position in its sequence.</param>
/// <param name="Table">Where the sequence's pages begin in the table.</param>
/// <param name="IsWhole">Whether they are all tokens of their sequence in the pass, so that no other tile reads their
/// keys.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct PagedTile(int Row, int Tokens, int Position, int Table, bool IsWhole);

/// <summary>A part of <see cref="PagedAttentionKernel"/>: a tile's queries of one key-value head.</summary>
/// <typeparam name="TWide">Arithmetic on vectors.</typeparam>
/// <typeparam name="TVector">A vector.</typeparam>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct PagedAttentionPart<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    private const int Line = 16; // numbers of a line of the cache
    private const int Keys = KeyValuePages.PageLength;

    private PagedAttentionKernel* work;
    private PagedTile tile;
    private int head;
    private int firstQuery; // head
    private int groups;
    private int rows;       // a token's query heads lie beside each other
    private int dimension;
    private int pitch;      // of a row: the dimension in whole panels
    private float* queries; // [rows, pitch]
    private float* mixed;   // [rows, pitch]
    private float* scores;  // [rows, keys]
    private float* sums;    // [rows, places of a vector]
    private float* highest; // [rows]
    private float* kept;    // [rows]

    /// <summary>Writes the keys and values of a tile that other tiles read.</summary>
    public static void Write(void* shared, int index)
    {
        var work = (PagedAttentionKernel*)shared;
        (int head, int number) = Math.DivRem(index, work->TileCount);
        ref PagedTile tile = ref work->Tiles[number];
        if (!tile.IsWhole || work->Splits > 1) Write(work, ref tile, head);
    }

    /// <summary>Computes a tile's queries, and writes its keys and values unless <see cref="Write(void*, int)"/>
    /// does.</summary>
    public static void Attend(void* shared, int index)
    {
        var work = (PagedAttentionKernel*)shared;
        (int rest, int number) = Math.DivRem(index, work->TileCount);
        (int split, int head) = Math.DivRem(rest, work->KeyValueHeads);
        int first = split * work->Groups / work->Splits, end = (split + 1) * work->Groups / work->Splits;
        ref PagedTile tile = ref work->Tiles[number];
        if (tile.IsWhole && work->Splits == 1) Write(work, ref tile, head);
        var part = new PagedAttentionPart<TWide, TVector>
        {
            work = work,
            tile = tile,
            head = head,
            firstQuery = head * work->Groups + first,
            groups = end - first,
            rows = tile.Tokens * (end - first),
            dimension = work->Dimension,
            pitch = AttentionTile<TWide, TVector>.Pitch(work->Dimension),
        };
        part.Prepare();
        int last = tile.Position + tile.Tokens - 1;
        for (int page = part.FirstSeen(tile.Position) / Keys; page * Keys <= last; page++)
            part.See(page, page < last / Keys);
        part.Finish();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Write(PagedAttentionKernel* work, ref PagedTile tile, int head)
    {
        int dimension = work->Dimension, count = tile.Tokens - tile.Tokens % TWide.Count,
            whole = count == 0 ? 0 : dimension - dimension % TWide.Count;
        (int page, int place) = Math.DivRem(tile.Position, Keys); // a tile lies in one page
        float* memory = (float*)work->Pages[tile.Table + page] + head * work->HeadNumbers;
        float* keys = memory + work->KeyOffset + place,
            values = memory + work->ValueOffset + (long)place * dimension;
        for (int token = 0; token < count; token += TWide.Count)
            for (int d = 0; d < whole; d += TWide.Count)
                TWide.Transpose(work->NewKey.At(tile.Row + token, head, 0) + d, work->NewKey.RowStride,
                    keys + d * Keys + token, Keys);
        for (int token = 0; token < tile.Tokens; token++, values += dimension)
        {
            float* from = work->NewKey.At(tile.Row + token, head, 0);
            for (int d = token < count ? whole : 0; d < dimension; d++) keys[d * Keys + token] = from[d];
            new ReadOnlySpan<float>(work->NewValue.At(tile.Row + token, head, 0), dimension).CopyTo(
                new Span<float>(values, dimension));
        }
    }

    private void Prepare()
    {
        queries = ScratchMemory.Floats(rows * (2 * pitch + Keys + TWide.Count + 2));
        mixed = queries + rows * pitch;
        scores = mixed + rows * pitch;
        sums = scores + rows * Keys;
        highest = sums + rows * TWide.Count;
        kept = highest + rows;
        for (int row = 0; row < rows; row++)
        {
            (int token, int group) = Math.DivRem(row, groups);
            AttentionTile<TWide, TVector>.Scale(
                work->Query.At(tile.Row + token, firstQuery + group, 0), queries + row * pitch, dimension,
                work->Scale);
        }
        new Span<float>(mixed, rows * pitch).Clear();
        new Span<float>(sums, rows * TWide.Count).Clear();
        new Span<float>(highest, rows).Fill(float.NegativeInfinity);
    }

    private readonly void Finish()
    {
        int heads = work->KeyValueHeads * work->Groups;
        for (int row = 0; row < rows; row++)
        {
            (int token, int group) = Math.DivRem(row, groups);
            float* to = work->Output + ((long)(tile.Row + token) * heads + firstQuery + group) * dimension;
            float sum = TWide.Sum(TWide.Load(sums + row * TWide.Count));
            AttentionTile<TWide, TVector>.Scale(mixed + row * pitch, to, dimension, 1 / sum);
        }
    }

    private readonly int FirstSeen(int position) => Math.Max(0, position - work->Window + 1);

    private readonly void See(int page, bool hasNext)
    {
        float* memory = Page(page), keys = memory + work->KeyOffset, values = memory + work->ValueOffset;
        // Prefetches the values while computing the scores, and the next keys while mixing the values.
        Fetch(values, dimension * Keys);
        Score(keys);
        if (work->Softcap != 0) Cap(scores, rows * Keys, work->Softcap);
        if (hasNext) Fetch(Page(page + 1) + work->KeyOffset, dimension * Keys);
        int start = page * Keys, last = tile.Position + tile.Tokens - 1;
        if (start + Keys - 1 <= tile.Position && FirstSeen(last) <= start)
        {
            Weigh(0, rows);
            Mix(0, rows, 0, Keys, values);
            return;
        }
        for (int token = 0; token < tile.Tokens; token++)
        {
            int position = tile.Position + token, from = Math.Max(0, FirstSeen(position) - start),
                end = Math.Min(Keys, position + 1 - start);
            if (from >= end) continue;
            for (int row = token * groups; row < (token + 1) * groups; row++)
            {
                new Span<float>(scores + row * Keys, from).Fill(float.NegativeInfinity);
                new Span<float>(scores + row * Keys + end, Keys - end).Fill(float.NegativeInfinity);
            }
            Weigh(token * groups, groups);
            Mix(token * groups, groups, from, end, values);
        }
    }

    private readonly float* Page(int page) => (float*)work->Pages[tile.Table + page] + head * work->HeadNumbers;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(float* memory, int count)
    {
        if (Sse.IsSupported)
            for (int i = 0; i < count; i += Line) Sse.Prefetch0(memory + i);
    }

    private readonly void Score(float* keys)
    {
        if (rows == 1 && 4 * TWide.Count == Keys)
        {
            ScoreOne(queries, keys, scores, dimension);
            return;
        }
        for (int column = 0; column < Keys; column += GemmMicroKernel<TWide, TVector>.Columns)
            GemmMicroKernel<TWide, TVector>.Multiply(
                queries, pitch, 1, keys + column, Keys, scores + column, Keys, rows, dimension, start: false);
    }

    // What the micro kernel computes, with all of a page's scores in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreOne(float* query, float* keys, float* scores, int dimension)
    {
        TVector s0 = default, s1 = default, s2 = default, s3 = default;
        for (int d = 0; d < dimension; d++, keys += Keys)
        {
            TVector x = TWide.Broadcast(query[d]);
            s0 = TWide.MultiplyAdd(x, TWide.Load(keys), s0);
            s1 = TWide.MultiplyAdd(x, TWide.Load(keys + TWide.Count), s1);
            s2 = TWide.MultiplyAdd(x, TWide.Load(keys + 2 * TWide.Count), s2);
            s3 = TWide.MultiplyAdd(x, TWide.Load(keys + 3 * TWide.Count), s3);
        }
        TWide.Store(scores, s0);
        TWide.Store(scores + TWide.Count, s1);
        TWide.Store(scores + 2 * TWide.Count, s2);
        TWide.Store(scores + 3 * TWide.Count, s3);
    }

    // Scores of some rows become exp(score − maximum so far); their sums and results are rescaled to the new maximum.
    private readonly void Weigh(int row, int count)
    {
        float* factors = kept + row;
        Weigh(scores + row * Keys, count, highest + row, sums + row * TWide.Count, factors);
        for (int i = 0; i < count; i++)
        {
            float* result = mixed + (row + i) * pitch;
            if (factors[i] != 1) AttentionTile<TWide, TVector>.Scale(result, result, dimension, factors[i]);
        }
    }

    // In two loops, so that the processor works on several rows at a time.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Weigh(float* scores, int rows, float* highest, float* sums, float* kept)
    {
        for (int row = 0; row < rows; row++)
        {
            float* score = scores + row * Keys;
            TVector most = TWide.Load(score);
            for (int i = TWide.Count; i < Keys; i += TWide.Count) most = TWide.Higher(most, TWide.Load(score + i));
            float before = highest[row], now = TWide.Highest(most);
            now = before > now ? before : now;
            highest[row] = now;
            kept[row] = before - now;
        }
        for (int row = 0; row < rows; row++, scores += Keys, sums += TWide.Count)
        {
            TVector shift = TWide.Broadcast(highest[row]), total = default, before = TWide.Load(sums);
            for (int i = 0; i < Keys; i += TWide.Count)
            {
                TVector weight = TWide.ExpOfNegative(TWide.Subtract(TWide.Load(scores + i), shift));
                total = TWide.Add(total, weight);
                TWide.Store(scores + i, weight);
            }
            float factor = 1;
            if (kept[row] != 0)
            {
                TVector all = TWide.ExpOfNegative(TWide.Broadcast(kept[row]));
                before = TWide.Multiply(before, all);
                factor = TWide.Highest(all);
            }
            kept[row] = factor;
            TWide.Store(sums, TWide.Add(before, total));
        }
    }

    // mixed += weights · values, over some of the page's positions
    private readonly void Mix(int row, int count, int from, int end, float* values)
    {
        float* weights = scores + row * Keys + from, to = mixed + row * pitch;
        values += (long)from * dimension;
        int column = 0;
        if (count == 1)
        {
            for (; column + 8 * TWide.Count <= dimension; column += 8 * TWide.Count)
                MixEight(weights, end - from, values + column, dimension, to + column);
        }
        for (; column < dimension; column += GemmMicroKernel<TWide, TVector>.Columns)
            GemmMicroKernel<TWide, TVector>.Multiply(
                weights, Keys, 1, values + column, dimension, to + column, pitch, count, end - from, start: true);
    }

    // What the micro kernel computes, with eight vectors of a row's results in registers.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MixEight(float* weights, int count, float* values, int dimension, float* to)
    {
        TVector o0 = default, o1 = default, o2 = default, o3 = default, o4 = default, o5 = default, o6 = default,
            o7 = default;
        for (int i = 0; i < count; i++, values += dimension)
        {
            TVector weight = TWide.Broadcast(weights[i]);
            float* second = values + 4 * TWide.Count;
            o0 = TWide.MultiplyAdd(weight, TWide.Load(values), o0);
            o1 = TWide.MultiplyAdd(weight, TWide.Load(values + TWide.Count), o1);
            o2 = TWide.MultiplyAdd(weight, TWide.Load(values + 2 * TWide.Count), o2);
            o3 = TWide.MultiplyAdd(weight, TWide.Load(values + 3 * TWide.Count), o3);
            o4 = TWide.MultiplyAdd(weight, TWide.Load(second), o4);
            o5 = TWide.MultiplyAdd(weight, TWide.Load(second + TWide.Count), o5);
            o6 = TWide.MultiplyAdd(weight, TWide.Load(second + 2 * TWide.Count), o6);
            o7 = TWide.MultiplyAdd(weight, TWide.Load(second + 3 * TWide.Count), o7);
        }
        Add(to, o0);
        Add(to + TWide.Count, o1);
        Add(to + 2 * TWide.Count, o2);
        Add(to + 3 * TWide.Count, o3);
        to += 4 * TWide.Count;
        Add(to, o4);
        Add(to + TWide.Count, o5);
        Add(to + 2 * TWide.Count, o6);
        Add(to + 3 * TWide.Count, o7);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(float* to, TVector vector) => TWide.Store(to, TWide.Add(vector, TWide.Load(to)));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Cap(float* scores, int count, float cap)
    {
        TVector limit = TWide.Broadcast(cap);
        for (int i = 0; i < count; i += TWide.Count)
            TWide.Store(scores + i, TWide.Multiply(limit, Tanh(TWide.Divide(TWide.Load(scores + i), limit))));
    }

    // Near 0 a polynomial (Cephes' tanhf), elsewhere (1 − t) / (1 + t) with t = exp(−2|x|).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Tanh(TVector x)
    {
        TVector one = TWide.Broadcast(1), minus = TWide.Subtract(default, x), size = TWide.Max(x, minus),
            square = TWide.Multiply(x, x);
        TVector p = TWide.MultiplyAdd(
            TWide.Broadcast(-5.70498872745e-3f), square, TWide.Broadcast(2.06390887954e-2f));
        p = TWide.MultiplyAdd(p, square, TWide.Broadcast(-5.37397155531e-2f));
        p = TWide.MultiplyAdd(p, square, TWide.Broadcast(1.33314422036e-1f));
        p = TWide.MultiplyAdd(p, square, TWide.Broadcast(-3.33332819422e-1f));
        TVector near = TWide.MultiplyAdd(TWide.Multiply(p, square), x, x);
        TVector t = TWide.ExpOfNegative(TWide.Multiply(TWide.Broadcast(-2), size));
        TVector far = TWide.Divide(TWide.Subtract(one, t), TWide.Add(one, t));
        far = TWide.WhereAtMostZero(x, TWide.Subtract(default, far), far);
        return TWide.WhereAtMostZero(TWide.Subtract(size, TWide.Broadcast(0.625f)), near, far);
    }
}
