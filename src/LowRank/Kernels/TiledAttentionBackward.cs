using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LowRank.Kernels.Native;

namespace LowRank.Kernels;

/// <summary>The backward pass of <see cref="TiledAttention"/>: a part is a key-value head of a tree, with the query
/// heads that share it.</summary>
/// <typeparam name="TWide">Arithmetic on vectors.</typeparam>
/// <typeparam name="TVector">A vector.</typeparam>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct TiledAttentionBackward<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    private TiledAttention* work;
    private int head;
    private int pitch;
    private int columns;
    private float* keys;           // [places, pitch]
    private float* values;
    private float* keyGradients;
    private float* valueGradients;
    private float* rows;           // scaled queries of a panel, [columns, pitch]
    private float* panel;          // the same, [pitch, columns]
    private float* gradientRows;   // the output's gradients, as the queries
    private float* gradientPanel;
    private float* queryGradients; // [columns, pitch]
    private float* weights;        // [keys of a tile, columns]: scores, then probabilities
    private float* changes;        // of the probabilities, then of the scores
    private float* logSums;        // [columns]
    private float* deltas;         // [columns]: output times its gradient
    private bool isFirst;          // tile of the panel

    /// <summary>Computes a part.</summary>
    public static void Part(void* shared, int index)
    {
        var work = (TiledAttention*)shared;
        (int number, int own) = Math.DivRem(index, work->Heads / work->Groups);
        ref AttentionPart tree = ref work->Parts[number];
        var pass = new TiledAttentionBackward<TWide, TVector> { work = work };
        pass.Prepare(ref tree, own);
        for (int group = 0; group < work->Groups; group++)
        {
            pass.head = own * work->Groups + group;
            for (int i = 0; i < tree.Sequences; i++)
            {
                ref AttentionSequence sequence = ref work->Sequences[tree.FirstSequence + i];
                for (int query = 0; query < sequence.Queries; query += pass.columns)
                    pass.Panel(ref sequence, query, Math.Min(pass.columns, sequence.Queries - query));
            }
        }
        pass.Finish(ref tree, own);
    }

    private void Prepare(ref AttentionPart tree, int own)
    {
        (pitch, columns) =
            (AttentionTile<TWide, TVector>.Pitch(work->Dimension), GemmMicroKernel<TWide, TVector>.Columns);
        int held = tree.Places * pitch, tile = columns * pitch, scores = AttentionTile<TWide, TVector>.Keys * columns;
        keys = ScratchMemory.Floats(4 * held + 5 * tile + 2 * scores + 2 * columns);
        values = keys + held;
        keyGradients = values + held;
        valueGradients = keyGradients + held;
        rows = valueGradients + held;
        panel = rows + tile;
        gradientRows = panel + tile;
        gradientPanel = gradientRows + tile;
        queryGradients = gradientPanel + tile;
        weights = queryGradients + tile;
        changes = weights + scores;
        logSums = changes + scores;
        deltas = logSums + columns;
        new Span<float>(keyGradients, 2 * held).Clear();
        for (int i = 0; i < tree.Sequences; i++)
        {
            ref AttentionSequence sequence = ref work->Sequences[tree.FirstSequence + i];
            long place = (long)sequence.Place * pitch;
            int padded = (sequence.Keys + 3) & ~3;
            AttentionTile<TWide, TVector>.Gather(
                work->Key.At(sequence.Row, own, sequence.Key), work->Key.TokenStride, sequence.Keys, work->Dimension,
                keys + place, pitch, padded, 1);
            AttentionTile<TWide, TVector>.Gather(
                work->Value.At(sequence.Row, own, sequence.Key), work->Value.TokenStride, sequence.Keys,
                work->Dimension, values + place, pitch, padded, 1);
        }
    }

    private readonly void Finish(ref AttentionPart tree, int own)
    {
        for (int i = 0; i < tree.Sequences; i++)
        {
            ref AttentionSequence sequence = ref work->Sequences[tree.FirstSequence + i];
            long place = (long)sequence.Place * pitch;
            AttentionTile<TWide, TVector>.Scatter(
                keyGradients + place, pitch, sequence.Keys, work->Dimension,
                work->KeyGradient.At(sequence.Row, own, sequence.Key), work->KeyGradient.TokenStride, 1);
            AttentionTile<TWide, TVector>.Scatter(valueGradients + place, pitch, sequence.Keys, work->Dimension,
                work->ValueGradient.At(sequence.Row, own, sequence.Key), work->ValueGradient.TokenStride, 1);
        }
    }

    private void Panel(ref AttentionSequence sequence, int query, int count)
    {
        int dimension = work->Dimension, position = sequence.QueryPosition + query, token = sequence.Query + query;
        AttentionTile<TWide, TVector>.Gather(
            work->Query.At(sequence.Row, head, token), work->Query.TokenStride, count, dimension, rows, pitch,
            columns, work->Scale);
        AttentionTile<TWide, TVector>.Transpose(rows, pitch, panel);
        float* gradient = work->OutputGradient.At(sequence.Row, head, token),
            output = work->Output.At(sequence.Row, head, token);
        AttentionTile<TWide, TVector>.Gather(
            gradient, work->OutputGradient.TokenStride, count, dimension, gradientRows, pitch, columns, 1);
        AttentionTile<TWide, TVector>.Transpose(gradientRows, pitch, gradientPanel);
        new Span<float>(logSums, 2 * columns).Clear();
        float* known = work->LogSums + ((long)sequence.Row * work->Heads + head) * work->Queries + token;
        for (int i = 0; i < count; i++)
            (logSums[i], deltas[i]) =
                (known[i], Dot(gradientRows + i * pitch, output + i * work->Output.TokenStride, dimension));
        isFirst = true;
        for (int i = 0; i < sequence.Befores; i++)
            See(ref work->Sequences[work->Before[sequence.FirstBefore + i]], position, count);
        See(ref sequence, position, count);
        AttentionTile<TWide, TVector>.Scatter(
            queryGradients, pitch, count, dimension, work->QueryGradient.At(sequence.Row, head, token),
            work->QueryGradient.TokenStride, work->Scale);
    }

    // The keys of a sequence: its own or an earlier one's.
    private void See(ref AttentionSequence sequence, int position, int count)
    {
        int distance = sequence.Position - position;
        (int first, int end) =
            AttentionTile<TWide, TVector>.Seen(distance, sequence.Keys, count, work->Back, work->Ahead);
        for (int key = first; key < end; key += AttentionTile<TWide, TVector>.Keys)
            Tile((long)(sequence.Place + key) * pitch, Math.Min(AttentionTile<TWide, TVector>.Keys, end - key),
                distance + key, count);
    }

    private void Tile(long place, int count, int distance, int queries)
    {
        int padded = (count + 3) & ~3, dimension = work->Dimension;
        GemmMicroKernel<TWide, TVector>.Multiply(
            keys + place, pitch, 1, panel, columns, weights, columns, padded, dimension, start: false);
        GemmMicroKernel<TWide, TVector>.Multiply(
            values + place, pitch, 1, gradientPanel, columns, changes, columns, padded, dimension, start: false);
        Probabilities(weights, count, columns, logSums);
        AttentionTile<TWide, TVector>.Hide(weights, count, distance, work->Back, work->Ahead, 0);
        // The rows that pad the last group of four belong to no key, or to a key that is not seen.
        new Span<float>(weights + count * columns, (padded - count) * columns).Clear();
        Changes(weights, changes, padded, columns, deltas);
        AttentionTile<TWide, TVector>.Product(
            weights, columns, 1, gradientRows, valueGradients + place, padded, queries, pitch, adds: true);
        AttentionTile<TWide, TVector>.Product(
            changes, columns, 1, rows, keyGradients + place, padded, queries, pitch, adds: true);
        AttentionTile<TWide, TVector>.Product(
            changes, 1, columns, keys + place, queryGradients, (queries + 3) & ~3, count, pitch, adds: !isFirst);
        isFirst = false;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Probabilities(float* scores, int count, int columns, float* logSums)
    {
        TVector sum0 = TWide.Load(logSums), sum1 = TWide.Load(logSums + TWide.Count);
        for (float* score = scores, end = scores + count * columns; score < end; score += columns)
        {
            TWide.Store(score, TWide.ExpOfNegative(TWide.Subtract(TWide.Load(score), sum0)));
            TWide.Store(score + TWide.Count,
                TWide.ExpOfNegative(TWide.Subtract(TWide.Load(score + TWide.Count), sum1)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Changes(float* weights, float* changes, int count, int columns, float* deltas)
    {
        TVector delta0 = TWide.Load(deltas), delta1 = TWide.Load(deltas + TWide.Count);
        for (float* end = weights + count * columns; weights < end; weights += columns, changes += columns)
        {
            TWide.Store(changes, TWide.Multiply(TWide.Load(weights), TWide.Subtract(TWide.Load(changes), delta0)));
            TWide.Store(changes + TWide.Count,
                TWide.Multiply(
                    TWide.Load(weights + TWide.Count), TWide.Subtract(TWide.Load(changes + TWide.Count), delta1)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Dot(float* a, float* b, int count)
    {
        TVector sums = default;
        int i = 0;
        for (; i + TWide.Count <= count; i += TWide.Count)
            sums = TWide.MultiplyAdd(TWide.Load(a + i), TWide.Load(b + i), sums);
        float sum = TWide.Sum(sums);
        for (; i < count; i++) sum += a[i] * b[i];
        return sum;
    }
}
