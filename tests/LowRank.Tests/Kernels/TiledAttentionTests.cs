using CsCheck;
using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

/// <summary>Attention in tiles and its gradients, held to the plain formulas in float64.</summary>
public sealed class TiledAttentionTests
{
    private static readonly Gen<int> Length =
        Gen.OneOf(Gen.Int[1, 40], Gen.OneOf(1, 2, 31, 32, 33, 127, 128, 129, 257, 300));

    private static readonly Gen<Shape> Shapes = Gen.Select(
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 2], Gen.Int[1, 3],
            Gen.OneOf(Gen.Int[1, 140], Gen.OneOf(16, 32, 64, 128, 256))),
        Gen.Select(Length, Gen.OneOf(Gen.Const(0), Gen.Int[1, 200]), Gen.OneOf(Gen.Const(0), Gen.Int[1, 60]), Gen.Bool),
        Gen.Select(Gen.OneOf(0.0, 0.05, 0.4), Gen.Bool, Gen.ULong[1, 1UL << 40]),
        (sizes, lengths, rest) =>
        new Shape(sizes.Item1, sizes.Item2, sizes.Item3, sizes.Item4, lengths.Item1, lengths.Item2, lengths.Item3,
        lengths.Item4, rest.Item1, rest.Item2, rest.Item3));

    [Fact]
    public void Rows_attend_as_the_formulas_say_within_rounding() => Shapes.Sample(shape =>
    {
        using var scope = NewDisposeScope();
        (int keys, int window) = (shape.BothWays ? shape.Queries : shape.Queries + shape.Earlier, shape.Window);
        Tensor query = Indices(keys - shape.Queries, keys).unsqueeze(1), key = Indices(0, keys).unsqueeze(0);
        Tensor visible = shape.BothWays ? key >= Number(0) : key <= query;
        if (window > 0) visible = visible & (key > query - Number(window)) & (key < query.Plus(window));
        int back = window > 0 ? window - 1 : TiledAttention.Anywhere;
        Hold(shape, keys, visible, AttentionSequences.OfRows(shape.Rows, shape.Queries, keys), back,
            shape.BothWays ? back : 0);
    }, iter: 60, threads: 1);

    [Fact]
    public void Packed_texts_attend_as_the_formulas_say_within_rounding() =>
        Gen.Select(Shapes,
            Gen.Select(Gen.Int[0, 5], Gen.Int[1, 60], Gen.Int[1, 4], (kind, length, count) =>
            (kind, length, count)).List[1, 8], (shape, segments) => (shape, segments)).Sample(drawn =>
        {
            using var scope = NewDisposeScope();
            (List<(int Length, int Count, IReadOnlyList<int> Before)> segments, Tensor visible, int tokens) =
                Lay(drawn.segments, drawn.shape.Window);
            int back = drawn.shape.Window > 0 ? drawn.shape.Window - 1 : TiledAttention.Anywhere;
            Hold(drawn.shape with { Rows = 1, Queries = tokens }, tokens, visible,
                AttentionSequences.OfSegments(segments), back, 0);
        }, iter: 60, threads: 1);

    [Fact]
    public void Scores_that_differ_by_hundreds_leave_one_key()
    {
        using var scope = NewDisposeScope();
        Tensor key = Rounding.Draw(1, 1, 1, 200, 32), value = Rounding.Draw(2, 1, 1, 200, 32).requires_grad_();
        Tensor query = key * Number(100); // the own key's score is far above the others
        Tensor mixed = TiledAttentionStep.Attend(
            query, key, value,
            new(AttentionSequences.OfRows(1, 200, 200), 1, TiledAttention.Anywhere, TiledAttention.Anywhere));
        mixed.sum().backward();
        Assert.True(mixed.view(200, 32).allclose(value.view(200, 32), rtol: 1e-6, atol: 1e-6));
        Assert.True(value.grad!.allclose(ones_like(value), rtol: 1e-6, atol: 1e-6));
    }

    [Fact]
    public void One_tensor_of_all_three_takes_the_gradients_of_its_parts()
    {
        using var scope = NewDisposeScope();
        foreach (var (split, width) in new[] { (FusedLayout.Stacked(4, 24), 12), (FusedLayout.HeadByHead(4, 24), 12),
            (FusedLayout.Grouped(4, 2, 24), 8) })
        {
            Tensor fused = Rounding.Draw(1, 2, 45, width * 24).requires_grad_(),
                parts = fused.detach().clone().requires_grad_(), along = Rounding.Draw(2, 2, 45, 96);
            var arguments = new AttentionTiles(
                AttentionSequences.OfRows(2, 45, 45), 0.2, TiledAttention.Anywhere, 0);
            Tensor whole = TiledAttentionStep.Attend(fused, null, null, arguments with { Split = split });
            (Tensor query, Tensor key, Tensor value) = split(parts);
            Tensor apart = TiledAttentionStep.Attend(query, key, value, arguments);
            whole.backward([along]);
            apart.backward([along]);
            Assert.Equal(Copy(apart), Copy(whole));
            Assert.Equal(Copy(parts.grad!), Copy(fused.grad!));
        }
    }

    [Fact]
    public void Results_depend_neither_on_threads_nor_on_other_rows()
    {
        using var scope = NewDisposeScope();
        int before = get_num_threads();
        try
        {
            var (rows, one) = (AttentionSequences.OfRows(3, 150, 150), AttentionSequences.OfRows(1, 150, 150));
            set_num_threads(2);
            float[][] two = Pass(rows, 0, 3);
            set_num_threads(1);
            float[][] single = Pass(rows, 0, 3), last = Pass(one, 2, 1);
            for (int i = 0; i < two.Length; i++)
            {
                Assert.Equal(single[i], two[i]);
                Assert.Equal(last[i], single[i][^last[i].Length..]);
            }
        }
        finally
        {
            set_num_threads(before);
        }
        float[][] Pass(AttentionSequences texts, int first, int count)
        {
            Tensor[] parts =
                [.. new ulong[] { 1, 2, 3 }.Select(
                    seed => Rounding.Draw(seed, 3, 4, 150, 40).narrow(0, first, count).contiguous().requires_grad_())];
            Tensor mixed = TiledAttentionStep.Attend(parts[0], parts[1], parts[2], new(texts, 0.3, 100, 0));
            mixed.backward([Rounding.Draw(4, 3, 150, 160).narrow(0, first, count).contiguous()]);
            return [Copy(mixed), .. parts.Select(part => Copy(part.grad!))];
        }
    }

    [Fact]
    public void Without_gradients_the_output_is_the_same()
    {
        using var scope = NewDisposeScope();
        Tensor query = Rounding.Draw(1, 2, 6, 70, 64).requires_grad_(), key = Rounding.Draw(2, 2, 3, 70, 64),
            value = Rounding.Draw(3, 2, 3, 70, 64);
        var arguments = new AttentionTiles(
            AttentionSequences.OfRows(2, 70, 70), 0.125, TiledAttention.Anywhere, 0);
        Tensor with = TiledAttentionStep.Attend(query, key, value, arguments);
        using var noGradient = no_grad();
        Assert.Equal(Copy(with), Copy(TiledAttentionStep.Attend(query, key, value, arguments)));
    }

    [Fact]
    public void Tensors_do_not_grow_with_steps()
    {
        using var scope = NewDisposeScope();
        var arguments = new AttentionTiles(
            AttentionSequences.OfRows(2, 40, 40), 0.2, TiledAttention.Anywhere, 0);
        long after = 0;
        for (int i = 0; i < 50; i++)
        {
            using (NewDisposeScope())
            {
                Tensor fused = Rounding.Draw(1, 2, 40, 12 * 24).requires_grad_();
                Tensor mixed = TiledAttentionStep.Attend(
                    fused, null, null, arguments with { Split = FusedLayout.Stacked(4, 24) }).view(
                        2, 40, 4, 24).transpose(1, 2);
                TiledAttentionStep.Attend(mixed, mixed, mixed, arguments).sum().backward();
            }
            if (i == 9) after = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        }
        Assert.Equal(after, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void What_torch_must_compute_is_left_to_it()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        Tensor heads = Rounding.Draw(1, 1, 2, 5, 8), tokens = zeros(1, 5, ScalarType.Int64),
            mask = ones(1, 5, ScalarType.Int64);
        mask[0, 4] = 0;
        ForwardContext Context(Tensor? padding = null, Generator? dropout = null) =>
            ForwardContext.Create(tokens, padding, null, null, null, dropout);
        Tensor? Try(AttentionSettings settings, ForwardContext context, Tensor? other = null) =>
            Attention.TryTiles(other ?? heads, other ?? heads, other ?? heads, null, settings.Rule(context.Dropout),
                context);
        Assert.Equal(TiledAttention.IsSupported, Try(new(0), Context()) is not null);
        Assert.Null(Try(new(0), Context(mask)));
        Assert.Null(Try(new(0, Softcap: 5), Context()));
        Assert.Null(Try(new(0, Dropout: 0.5), Context(null, generator)));
        Assert.Null(Try(new(0), Context(), heads.to(ScalarType.Float64)));
        Assert.Null(Try(new(0), Context(), heads.transpose(2, 3).contiguous().transpose(2, 3)));
    }

    private static void Hold(Shape shape, int keys, Tensor visible, AttentionSequences texts, int back, int ahead)
    {
        (long rows, long heads, long groups, long dimension) =
            (shape.Rows, shape.KeyValueHeads, shape.Groups, shape.Dimension);
        double scale = shape.Scale == 0 ? 1 / Math.Sqrt(dimension) : shape.Scale;
        Tensor Draw(ulong seed, long count, long tokens)
        {
            // As projections make heads, or turned ones, or with gaps.
            Tensor drawn = Rounding.Draw(shape.Seed + seed, rows, tokens, count, dimension).transpose(1, 2);
            return (shape.HasGaps ? Rounding.WithGaps(drawn) : drawn).requires_grad_();
        }
        Tensor query = Draw(0, heads * groups, shape.Queries), key = Draw(1, heads, keys), value = Draw(2, heads, keys);
        Tensor along = Rounding.Draw(shape.Seed + 3, rows, shape.Queries, heads * groups * dimension);
        Tensor mixed = TiledAttentionStep.Attend(query, key, value, new(texts, scale, back, ahead));
        mixed.backward([along]);

        Tensor Exact(Tensor tensor) => tensor.detach().to(ScalarType.Float64);
        Tensor Repeated(Tensor tensor) => Exact(tensor).repeat_interleave(groups, 1);
        Tensor Summed(Tensor tensor) => tensor.view(rows, heads, groups, keys, dimension).sum(2);
        Tensor Heads(Tensor tensor) =>
            Exact(tensor).view(rows, shape.Queries, heads * groups, dimension).transpose(1, 2);
        (Tensor q, Tensor k, Tensor v, Tensor d) = (Exact(query), Repeated(key), Repeated(value), Heads(along));
        Tensor p = (q.matmul(k.transpose(-2, -1)) * Number(scale)).masked_fill(
            visible.logical_not(), Number(double.NegativeInfinity)).softmax(-1);
        Tensor ds = p * (d.matmul(v.transpose(-2, -1)) - (d * p.matmul(v)).sum(-1, keepdim: true));
        // The same with nothing taken off: what roundings are relative to.
        Tensor size = p * (
            d.abs().matmul(v.abs().transpose(-2, -1)).Plus((d.abs() * p.matmul(v.abs())).sum(-1, keepdim: true)));
        // A score is off by d + 2 roundings of the absolute products, and a weight by as much relative to itself, by
        // its own exponential and by its sum over the keys. Every result is a sum of such weights over keys, queries or
        // a head's width.
        double score = (dimension + 2) * Rounding.Unit * scale * q.abs().matmul(
            k.abs().transpose(-2, -1)).max().item<double>();
        double bound = 1.01 * (2 * score + (2 * keys + shape.Queries * groups + 2 * dimension + 32) * Rounding.Unit);
        Rounding.AssertWithin(p.matmul(v), p.matmul(v.abs()) * Number(bound), Heads(mixed).to(ScalarType.Float32));
        Rounding.AssertWithin(ds.matmul(k) * Number(scale),
            size.matmul(k.abs()) * Number(scale) * Number(2) * Number(bound), query.grad!);
        Rounding.AssertWithin(
            Summed(ds.transpose(-2, -1).matmul(q)) * Number(scale),
            Summed(size.transpose(-2, -1).matmul(q.abs())) * Number(scale) * Number(2) * Number(bound), key.grad!);
        Rounding.AssertWithin(
            Summed(p.transpose(-2, -1).matmul(d)),
            Summed(p.transpose(-2, -1).matmul(d.abs())) * Number(bound), value.grad!);
    }

    // Segments as packing lays them: 0 and 1 begin a tree; 2 and 3 continue the last text that others may continue, 4
    // does and may be continued too, 5 stands alone.
    private static (List<(int Length, int Count, IReadOnlyList<int> Before)> Segments, Tensor Visible, int Tokens) Lay(
        List<(int Kind, int Length, int Count)> drawn, int window)
    {
        List<(int Length, int Count, IReadOnlyList<int> Before)> segments = [];
        List<int> path = [];
        List<(int Start, int Length, int Segment)> texts = [];
        int token = 0;
        foreach ((int kind, int length, int drawnCount) in drawn)
        {
            if (kind is 0 or 1 or 5) path = [];
            int count = kind is 0 or 1 or 4 ? 1 : drawnCount;
            segments.Add((length, count, [.. path]));
            for (int i = 0; i < count; i++, token += length) texts.Add((token, length, segments.Count - 1));
            if (kind is 0 or 1 or 4) path = [.. path, segments.Count - 1];
        }
        Tensor visible = zeros(token, token, ScalarType.Bool);
        foreach ((int start, int length, int segment) in texts)
        {
            long[] seen = [.. segments[segment].Before.SelectMany(number => texts.Where(text => text.Segment == number))
                .SelectMany(text => Enumerable.Range(text.Start, text.Length)).Concat(Enumerable.Range(start, length))
                .Select(place => (long)place)];
            for (int i = 0; i < length; i++)
            {
                int last = seen.Length - length + i, first = window > 0 ? Math.Max(0, last - window + 1) : 0;
                visible[start + i].index_fill_(
                    0, tensor(seen[first..(last + 1)]), Numbers.Number(true));
            }
        }
        return (segments, visible, token);
    }

    private static float[] Copy(Tensor tensor) => tensor.detach().contiguous().data<float>().ToArray();

    private sealed record Shape(int Rows, int KeyValueHeads, int Groups, int Dimension, int Queries, int Earlier,
        int Window, bool BothWays, double Scale, bool HasGaps, ulong Seed);
}
