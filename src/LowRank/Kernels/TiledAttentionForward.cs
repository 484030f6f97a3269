using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LowRank.Kernels.Native;

namespace LowRank.Kernels;

/// <summary>The forward pass of <see cref="TiledAttention"/>: a part consists of some queries of a head.</summary>
/// <typeparam name="TWide">Arithmetic on vectors.</typeparam>
/// <typeparam name="TVector">A vector.</typeparam>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct TiledAttentionForward<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    private const float Lowest = -1e30f; // a highest score before any was seen; less it, no score is not a number

    private TiledAttention* work;
    private int head;
    private int pitch;
    private int columns;
    private float* keys;    // [places, pitch]
    private float* values;
    private float* rows;    // queries of a panel, [columns, pitch]
    private float* panel;   // the same, [pitch, columns]
    private float* mixed;   // [columns, pitch]
    private float* scores;  // [keys of a tile, columns]
    private float* highest; // [columns]
    private float* sums;    // [columns]
    private float* kept;    // [columns]
    private bool isFirst;   // tile of the panel

    /// <summary>Computes a part.</summary>
    public static void Part(void* shared, int index)
    {
        var work = (TiledAttention*)shared;
        (int number, int head) = Math.DivRem(index, work->Heads);
        ref AttentionPart part = ref work->Parts[number];
        var pass = new TiledAttentionForward<TWide, TVector> { work = work, head = head };
        pass.Prepare(ref part);
        for (int i = 0; i < part.Sequences; i++)
        {
            ref AttentionSequence sequence = ref work->Sequences[part.FirstSequence + i];
            int end = i == part.Sequences - 1 ? part.LastQuery : sequence.Queries;
            for (int query = i == 0 ? part.FirstQuery : 0; query < end; query += pass.columns)
                pass.Panel(ref sequence, query, Math.Min(pass.columns, end - query));
        }
    }

    private void Prepare(ref AttentionPart part)
    {
        (pitch, columns) =
            (AttentionTile<TWide, TVector>.Pitch(work->Dimension), GemmMicroKernel<TWide, TVector>.Columns);
        int held = part.Places * pitch, tile = columns * pitch;
        keys = ScratchMemory.Floats(2 * held + 3 * tile + (AttentionTile<TWide, TVector>.Keys + 3) * columns);
        values = keys + held;
        rows = values + held;
        panel = rows + tile;
        mixed = panel + tile;
        scores = mixed + tile;
        highest = scores + AttentionTile<TWide, TVector>.Keys * columns;
        sums = highest + columns;
        kept = sums + columns;
        int shared = head / work->Groups;
        for (int i = 0; i < part.Needed; i++)
        {
            int number = work->Needed[part.FirstNeeded + i];
            ref AttentionSequence sequence = ref work->Sequences[number];
            // The part's queries may not see all of their own sequence.
            bool isOwn = part.Sequences == 1 && number == part.FirstSequence;
            int first = isOwn ? Math.Max(0, sequence.Keys - sequence.Queries + part.FirstQuery - work->Back) & ~3 : 0;
            int end = isOwn
                ? Math.Min(sequence.Keys, sequence.Keys - sequence.Queries + part.LastQuery + work->Ahead)
                : sequence.Keys;
            int count = end - first, padded = (count + 3) & ~3;
            long place = (long)(sequence.Place + first) * pitch;
            AttentionTile<TWide, TVector>.Gather(
                work->Key.At(sequence.Row, shared, sequence.Key + first), work->Key.TokenStride, count, work->Dimension,
                keys + place, pitch, padded, 1);
            AttentionTile<TWide, TVector>.Gather(
                work->Value.At(sequence.Row, shared, sequence.Key + first), work->Value.TokenStride, count,
                work->Dimension,
                values + place, pitch, padded, 1);
        }
    }

    private void Panel(ref AttentionSequence sequence, int query, int count)
    {
        int dimension = work->Dimension, position = sequence.QueryPosition + query, token = sequence.Query + query;
        AttentionTile<TWide, TVector>.Gather(
            work->Query.At(sequence.Row, head, token), work->Query.TokenStride, count, dimension, rows, pitch,
            columns, work->Scale);
        AttentionTile<TWide, TVector>.Transpose(rows, pitch, panel);
        new Span<float>(highest, columns).Fill(Lowest);
        new Span<float>(sums, columns).Clear();
        isFirst = true;
        for (int i = 0; i < sequence.Befores; i++)
            See(ref work->Sequences[work->Before[sequence.FirstBefore + i]], position, count);
        See(ref sequence, position, count);
        float* to = work->Output.At(sequence.Row, head, token);
        for (int i = 0; i < count; i++)
            AttentionTile<TWide, TVector>.Scale(
                mixed + i * pitch, to + i * work->Output.TokenStride, dimension, 1 / sums[i]);
        if (work->LogSums != null)
            KeepLogSums(work->LogSums + ((long)sequence.Row * work->Heads + head) * work->Queries + token, count);
    }

    private readonly void KeepLogSums(float* to, int count)
    {
        for (int i = 0; i < columns; i += TWide.Count)
            TWide.Store(kept + i, TWide.Add(TWide.Load(highest + i), TWide.Log(TWide.Load(sums + i))));
        new ReadOnlySpan<float>(kept, count).CopyTo(new Span<float>(to, count));
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
        GemmMicroKernel<TWide, TVector>.Multiply(
            keys + place, pitch, 1, panel, columns, scores, columns, (count + 3) & ~3, work->Dimension, start: false);
        AttentionTile<TWide, TVector>.Hide(scores, count, distance, work->Back, work->Ahead, float.NegativeInfinity);
        Softmax(scores, count, columns, highest, sums, kept);
        int padded = (queries + 3) & ~3;
        if (!isFirst)
            for (int i = 0; i < queries; i++)
                if (kept[i] != 1)
                    AttentionTile<TWide, TVector>.Scale(mixed + i * pitch, mixed + i * pitch, pitch, kept[i]);
        AttentionTile<TWide, TVector>.Product(
            scores, 1, columns, values + place, mixed, padded, count, pitch, adds: !isFirst);
        isFirst = false;
    }

    // Scores become exp(score − maximum so far); the existing sums and outputs are rescaled to the new maximum.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Softmax(float* scores, int count, int columns, float* highest, float* sums, float* kept)
    {
        TVector before0 = TWide.Load(highest), before1 = TWide.Load(highest + TWide.Count), most0 = before0,
            most1 = before1;
        float* score = scores, end = scores + count * columns;
        for (; score < end; score += columns)
        {
            most0 = TWide.Max(most0, TWide.Load(score));
            most1 = TWide.Max(most1, TWide.Load(score + TWide.Count));
        }
        TVector kept0 = TWide.ExpOfNegative(TWide.Subtract(before0, most0)),
            kept1 = TWide.ExpOfNegative(TWide.Subtract(before1, most1));
        TVector sum0 = TWide.Multiply(TWide.Load(sums), kept0),
            sum1 = TWide.Multiply(TWide.Load(sums + TWide.Count), kept1);
        for (score = scores; score < end; score += columns)
        {
            TVector e0 = TWide.ExpOfNegative(TWide.Subtract(TWide.Load(score), most0)),
                e1 = TWide.ExpOfNegative(TWide.Subtract(TWide.Load(score + TWide.Count), most1));
            TWide.Store(score, e0);
            TWide.Store(score + TWide.Count, e1);
            (sum0, sum1) = (TWide.Add(sum0, e0), TWide.Add(sum1, e1));
        }
        TWide.Store(highest, most0);
        TWide.Store(highest + TWide.Count, most1);
        TWide.Store(sums, sum0);
        TWide.Store(sums + TWide.Count, sum1);
        TWide.Store(kept, kept0);
        TWide.Store(kept + TWide.Count, kept1);
    }
}
