using CsCheck;
using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Kernels;

public sealed class PagedAttentionTests
{
    // Relative to the largest value, of weights and sums of at most some hundred float32 numbers in another order.
    private const double Tolerance = 1e-5;

    private static readonly Gen<Case> Cases = Gen.Select(
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 9], Gen.OneOf(1, 3, 8, 16, 20, 64, 80, 96, 128, 256)),
        Gen.Select(Gen.Int[1, 4], Gen.OneOf(0, 0, 1, 5, 32, 33, 70), Gen.OneOf(0.0, 0.3),
            Gen.OneOf(0.0, 0.0, 2.0)),
        Gen.Int[1, 1 << 20],
        (sizes, rest, seed) => new Case(
            sizes.Item1, sizes.Item2, sizes.Item3, rest.Item1, rest.Item2, rest.Item3, rest.Item4, seed));

    [Fact]
    public void Any_pass_attends_as_torch_does() => Cases.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using var texts = new Texts(drawn);
        float[][][] found = texts.Attend(texts.RandomPasses(drawn.Seed));
        float[][][] expected;
        using (KernelForm.UsePlain()) expected = texts.Attend(texts.RandomPasses(drawn.Seed + 1));
        double most = found.SelectMany(text => text).Zip(expected.SelectMany(text => text))
            .Max(pair => pair.First.Zip(pair.Second, (a, b) => Math.Abs(a - b)).Max());
        Assert.InRange(most, 0, Tolerance * texts.LargestValue);
    }, iter: Rounding.Samples(20), threads: 1);

    [Fact]
    public void A_token_is_the_same_to_the_last_bit_in_any_pass() => Cases.Sample(drawn =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using var texts = new Texts(drawn);
        float[][][] alone = texts.Attend(texts.TokenByToken());
        AssertSame(alone, texts.Attend(texts.RandomPasses(drawn.Seed)));
        AssertSame(alone, texts.Attend(texts.AtOnce()));
    }, iter: Rounding.Samples(20), threads: 1);

    [Fact]
    public void What_is_not_a_number_stays_in_its_text_and_after_its_token()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using var texts = new Texts(new Case(2, 2, 16, 3, 0, 0, 0, 5), lengths: [50, 60, 7]);
        float[][][] before = texts.Attend(texts.AtOnce());
        texts.Value(0)[20].fill_(Number(float.NaN));
        float[][][] after = texts.Attend(texts.AtOnce());
        Assert.Equal(before[0][..20], after[0][..20]);
        Assert.All(after[0][20..], token => Assert.All(token, number => Assert.True(float.IsNaN(number))));
        Assert.Equal(before[1..], after[1..]);
    }

    // The end of a prompt that another text began, read from its pages.
    [Fact]
    public void A_text_continues_pages_that_another_one_wrote()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using var texts = new Texts(new Case(1, 2, 24, 2, 0, 0, 0, 6), lengths: [70, 70]);
        foreach (Tensor[] states in texts.States) states[1].narrow(0, 0, 64).copy_(states[0].narrow(0, 0, 64));
        float[][][] whole = texts.Attend(texts.AtOnce());
        float[][][] continued = texts.Attend([[(0, 70)], [(1, 6)]], shared: 64);
        Assert.Equal(whole[0], continued[0]);
        Assert.Equal(whole[1][64..], continued[1][64..]);
    }

    [Fact]
    public void Tokens_that_do_not_fit_are_refused()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using var pages = new KeyValuePages(1, 2, 8, 1, CPU);
        Assert.True(pages.TryTake(out int page));
        Assert.Throws<ArgumentException>(() => new PagedTokens([]));
        Assert.Throws<ArgumentException>(() => new PagedTokens([new PagedSequence([], 0, [page])]));
        Assert.Throws<ArgumentException>(() => new PagedTokens([new PagedSequence([1], -1, [page])]));
        Assert.Throws<ArgumentException>(() => new PagedTokens([new PagedSequence([1], 32, [page])]));
        var attention = new PagedAttention(new PagedTokens([new PagedSequence([1, 2], 3, [page])]), pages);
        Tensor query = zeros(2, 4, 1, 8), key = zeros(2, 2, 1, 8);
        Assert.Equal([2, 1, 32], attention.Attend(query, key, key, 0, default).shape);
        Assert.Throws<ArgumentException>(() => attention.Attend(query, key, key.narrow(0, 0, 1), 0, default));
        Assert.Throws<ArgumentException>(() => attention.Attend(query.narrow(1, 0, 3), key, key, 0, default));
        Assert.Throws<ArgumentException>(() => attention.Attend(query.narrow(3, 0, 4), key, key, 0, default));
        using var generator = new Generator(1);
        Assert.Throws<ArgumentException>(() => attention.Attend(
            query, key, key, 0, new AttentionRule(Dropout: 0.1, Generator: generator)));
    }

    private static void AssertSame(float[][][] expected, float[][][] found)
    {
        for (int text = 0; text < expected.Length; text++)
            for (int token = 0; token < expected[text].Length; token++)
                Assert.True(expected[text][token].AsSpan().SequenceEqual(found[text][token]),
                    $"token {token} of text {text} ({expected[text].Length} tokens) differs");
    }

    private sealed record Case(int KeyValueHeads, int Groups, int Dimension, int Texts, int Window, double Scale,
        double Softcap, int Seed);

    // Random queries, keys and values of some texts, and passes over them.
    private sealed class Texts : IDisposable
    {
        private readonly Case drawn;
        private readonly int[] lengths;

        public Texts(Case drawn, int[]? lengths = null)
        {
            this.drawn = drawn;
            var random = new Random(drawn.Seed);
            this.lengths = lengths ?? [.. Enumerable.Range(0, drawn.Texts).Select(_ => random.Next(1, 80))];
            Tensor[] Draw(int kind, int heads) => [.. this.lengths.Select((length, text) => Rounding.Draw(
                (ulong)(10 * drawn.Seed + 3 * text + kind), length, heads, drawn.Dimension))];
            States = [Draw(0, drawn.KeyValueHeads * drawn.Groups), Draw(1, drawn.KeyValueHeads),
                Draw(2, drawn.KeyValueHeads)];
            LargestValue = States[2].Max(values => values.abs().max().item<float>());
        }

        // Queries, keys and values of each text, [tokens, heads, dimension].
        public Tensor[][] States { get; }

        public double LargestValue { get; }

        public Tensor Value(int text) => States[2][text];

        public IReadOnlyList<(int Text, int Count)[]> AtOnce() =>
            [[.. lengths.Select((length, text) => (text, length))]];

        public IReadOnlyList<(int Text, int Count)[]> TokenByToken() => [.. lengths.SelectMany(
            (length, text) => Enumerable.Repeat(new[] { (text, 1) }, length))];

        public IReadOnlyList<(int Text, int Count)[]> RandomPasses(int seed)
        {
            var random = new Random(seed);
            int[] left = [.. lengths];
            var passes = new List<(int, int)[]>();
            while (left.Any(count => count > 0))
            {
                int[] texts = [.. Enumerable.Range(0, left.Length).Where(text => left[text] > 0)];
                random.Shuffle(texts);
                passes.Add([.. texts.Take(random.Next(1, texts.Length + 1)).Select(text =>
                    (text, random.Next(3) == 0 ? 1 : random.Next(1, left[text] + 1)))]);
                foreach ((int text, int count) in passes[^1]) left[text] -= count;
            }
            return passes;
        }

        // Each text's results by token; the second of two texts can continue pages of the first.
        public float[][][] Attend(IReadOnlyList<(int Text, int Count)[]> passes, int shared = 0)
        {
            var rule = new AttentionRule(drawn.Window == 0 ? null : drawn.Window,
                drawn.Scale == 0 ? null : drawn.Scale, drawn.Softcap == 0 ? null : drawn.Softcap);
            using var pages = new KeyValuePages(2, drawn.KeyValueHeads, drawn.Dimension, 100, CPU);
            float[][][] results = [.. lengths.Select(length => new float[length][])];
            var tables = lengths.Select(_ => new List<int>()).ToArray();
            int[] done = new int[lengths.Length];
            foreach ((int Text, int Count)[] pass in passes)
            {
                using var scope = NewDisposeScope();
                foreach ((int text, int count) in pass)
                {
                    if (shared > 0 && text == 1 && done[1] == 0)
                    {
                        tables[1].AddRange(tables[0][..(shared / KeyValuePages.PageLength)]);
                        done[1] = shared;
                    }
                    while (tables[text].Count < KeyValuePages.PagesFor(done[text] + count))
                        tables[text].Add(Dirty(pages));
                }
                var tokens = new PagedTokens(
                    [.. pass.Select(part => new PagedSequence(new int[part.Count], done[part.Text],
                    [.. tables[part.Text]]))]);
                // As a fused projection gives them: heads beside each other, with gaps between tokens.
                Tensor fused = cat([.. States.Select(states => cat([.. pass.Select(
                    part => states[part.Text].narrow(0, done[part.Text], part.Count))]))], 1).unsqueeze(2);
                int kv = drawn.KeyValueHeads, heads = kv * drawn.Groups;
                Tensor mixed = new PagedAttention(tokens, pages).Attend(fused.narrow(1, 0, heads),
                    fused.narrow(1, heads, kv), fused.narrow(1, heads + kv, kv), 1, rule);
                int row = 0;
                foreach ((int text, int count) in pass)
                    for (int i = 0; i < count; i++)
                        results[text][done[text]++] = mixed[row++].data<float>().ToArray();
            }
            return results;
        }

        // What a page held before it was taken is never read into a result.
        private static int Dirty(KeyValuePages pages)
        {
            Assert.True(pages.TryTake(out int page));
            for (int layer = 0; layer < pages.Layers; layer++)
            {
                pages.Layer(page, layer).Keys.fill_(Number(float.NaN));
                pages.Layer(page, layer).Values.fill_(Number(float.NaN));
            }
            return page;
        }

        public void Dispose()
        {
            foreach (Tensor states in States.SelectMany(states => states)) states.Dispose();
        }
    }
}
