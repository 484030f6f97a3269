using CsCheck;
using LowRank.Data;

namespace LowRank.Tests.Data;

public sealed class BatchTests
{
    private static readonly Gen<TokenizedExample> Example =
        Gen.Select(Gen.Int[1, 99], Gen.Bool, (id, trained) => (id, trained)).Array[1, 9]
            .Select(tokens => new TokenizedExample(
            [.. tokens.Select(token => token.id)],
                [.. tokens.Select(token => token.trained ? token.id : TokenizedExample.Ignored)]));

    [Fact]
    public void Rows_are_padded_on_the_right()
    {
        Batch batch = Batch.Pad(
            [new TokenizedExample([1, 2, 3], [-100, 2, 3], [0, 1, 1]), new TokenizedExample([4], [4])]);
        Assert.Equal([1, 2, 3, 4, 0, 0], batch.InputIds);
        Assert.Equal([-100, 2, 3, 4, -100, -100], batch.Labels);
        Assert.Equal([0, 1, 1, 1, 0, 0], Assert.IsType<long[]>(batch.AttentionMask));
        Assert.Equal((3, 3L), (batch.Length, batch.Tokens));
        Assert.Null(
            Batch.Pad([new TokenizedExample([1, 2], [1, 2]), new TokenizedExample([3, 4], [3, 4])]).AttentionMask);
    }

    [Fact]
    public void An_epoch_takes_each_example_once_and_counts_its_labels() =>
        Gen.Select(Example.Array[1, 20], Gen.Int[1, 4], Gen.Int[1, 4], Gen.Bool, Gen.Long)
            .Sample((examples, size, accumulation, shuffle, seed) =>
        {
            var plan = new BatchPlan(examples, size, accumulation, shuffle, seed);
            Assert.Equal((examples.Length + size * accumulation - 1) / (size * accumulation), plan.StepsPerEpoch);
            foreach (long epoch in new long[] { 0, 3 })
            {
                StepBatches[] steps =
                    [.. Enumerable.Range(0, (int)plan.StepsPerEpoch)
                    .Select(i => plan.Step(epoch * plan.StepsPerEpoch + i))];
                List<string> rows =
                    [.. steps.SelectMany(step => step.MicroBatches).SelectMany(rows => Rows(Padded(rows)))];
                List<string> given =
                    [.. examples.Select(
                        example => string.Join(' ', example.InputIds) + " / " + string.Join(' ', example.Labels))];
                if (shuffle) { given.Sort(StringComparer.Ordinal); rows.Sort(StringComparer.Ordinal); }
                Assert.Equal(given, rows);
                foreach (StepBatches step in steps)
                {
                    Assert.InRange(step.MicroBatches.Count, 1, accumulation);
                    Assert.All(step.MicroBatches, batch => Assert.InRange(batch.Count, 1, size));
                    Assert.Equal(step.MicroBatches.Sum(rows => Predicted(Padded(rows))), step.PredictedLabels);
                }
            }
        }, iter: 200);

    [Fact]
    public void Any_step_is_the_same_in_a_resumed_run()
    {
        TokenizedExample[] examples = [.. Enumerable.Range(0, 50).Select(i => new TokenizedExample([i, i], [i, i]))];
        var whole = new BatchPlan(examples, 4, 2, shuffle: true, seed: 9);
        List<long[]> order = [.. Enumerable.Range(0, 21).Select(step => First(whole, step))];
        for (int step = 20; step >= 0; step--)
            Assert.Equal(order[step], First(new BatchPlan(examples, 4, 2, shuffle: true, seed: 9), step));
        Assert.NotEqual(order[0], order[(int)whole.StepsPerEpoch]); // each epoch has an order of its own
        Assert.NotEqual(order[0], First(new BatchPlan(examples, 4, 2, shuffle: true, seed: 10), 0));
    }

    [Fact]
    public void The_order_is_the_same_everywhere()
    {
        // The first outputs of SplitMix64 for seed 1234567, as published with the algorithm.
        var random = new StableRandom(1234567);
        Assert.Equal(
            [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821],
            Enumerable.Range(0, 5).Select(_ => random.Next()));
        Gen.Select(Gen.ULong, Gen.Int[0, 200]).Sample((seed, count) =>
            Assert.Equal(Enumerable.Range(0, count), new StableRandom(seed).Permutation(count).Order()), iter: 200);
    }

    [Fact]
    public void Every_order_is_equally_likely()
    {
        var random = new StableRandom(5);
        var counts = new Dictionary<string, int>();
        for (int i = 0; i < 24_000; i++)
        {
            string order = string.Join(' ', random.Permutation(4));
            counts[order] = counts.GetValueOrDefault(order) + 1;
        }
        Assert.Equal(24, counts.Count);
        Assert.All(counts.Values, count => Assert.InRange(count, 850, 1150)); // 1000 ± 4.8 standard deviations
    }

    [Fact]
    public void A_plan_refuses_nothing_and_zero()
    {
        Assert.Throws<ArgumentException>(() => new BatchPlan([], 1, 1, false, 0));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new BatchPlan([new TokenizedExample([1], [1])], 0, 1, false, 0));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new BatchPlan([new TokenizedExample([1], [1])], 1, 0, false, 0));
    }

    private static long[] First(BatchPlan plan, long step) =>
        [.. plan.Step(step).MicroBatches.SelectMany(rows => Padded(rows).InputIds)];

    private static Batch Padded(IReadOnlyList<IExample> rows) => Batch.Pad([.. rows.Cast<TokenizedExample>()]);

    private static IEnumerable<string> Rows(Batch batch) =>
        Enumerable.Range(0, batch.InputIds.Length / batch.Length).Select(row =>
    {
        var at = Enumerable.Range(row * batch.Length, batch.Length).Where(i => batch.AttentionMask?[i] != 0).ToList();
        return string.Join(' ', at.Select(i => batch.InputIds[i])) + " / "
            + string.Join(' ', at.Select(i => batch.Labels[i]));
    });

    private static long Predicted(Batch batch) =>
        batch.Labels.Where((label, i) => i % batch.Length != 0 && label != TokenizedExample.Ignored).LongCount();
}
