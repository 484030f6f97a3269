using CsCheck;
using LowRank.Data;
using LowRank.Data.Packing;

namespace LowRank.Tests.Data.Packing;

public sealed class RowArrangerTests
{
    private static readonly Gen<RowBatching> Batching =
        Gen.Select(Gen.Bool, Gen.Enum<PromptSharing>(), Gen.Int[1, 60].Nullable())
        .Select((packing, sharing, tokens) =>
        new RowBatching { Packing = packing, SharePrompts = sharing, BatchTokens = tokens });

    [Fact]
    public void A_step_has_each_of_its_rows_once_in_micro_batches_of_the_size_asked_for() =>
        Gen.Select(PackedRowsTests.Row.Array[1, 30], Batching, Gen.Int[1, 9], Gen.Int[1, 40])
            .Sample((rows, batching, size, free) =>
        {
            var arranger = new RowArranger(batching, length => length <= free);
            IReadOnlyList<IReadOnlyList<IExample>> batches = arranger.MicroBatches(rows, size);
            Same(rows, batches);
            Assert.All(batches, batch => Assert.NotEmpty(batch));
            if (batching.BatchTokens is { } most)
                Assert.All(batches, batch => Assert.True(batch.Count == 1 || arranger.Positions(batch) <= most));
            else
                Assert.True(batches.Count == (rows.Length + size - 1) / size
                    && batches.All(batch => batch.Count <= size));
            Assert.Equal(batches, arranger.MicroBatches(rows, size)); // the same again: runs repeat
            IReadOnlyList<IReadOnlyList<IExample>> evaluated = arranger.EvaluationBatches(rows, size);
            Same(rows, evaluated);
            Assert.All(evaluated, batch => Assert.InRange(batch.Count, 1, size));
        }, iter: 1000);

    [Fact]
    public void Grouping_draws_the_order_of_prompts_and_keeps_rows_of_one_together() =>
        Gen.Select(PackedRowsTests.Row.Array[1, 30], Gen.Long).Sample((rows, seed) =>
        {
            var arranger = new RowArranger(new RowBatching { SharePrompts = PromptSharing.Grouped }, _ => true);
            int[] drawn = new StableRandom((ulong)seed).Permutation(rows.Length), order = arranger.Order(rows, drawn);
            Assert.Equal(drawn.Order(), order.Order());
            string[] prompts = [.. order.Select(row => Prompt(rows[row], row))];
            Assert.Equal(prompts.Distinct().Count(),
                prompts.Where((prompt, i) => i == 0 || prompts[i - 1] != prompt).Count());
            foreach (PromptSharing other in (PromptSharing[])[PromptSharing.Off, PromptSharing.InStep])
                Assert.Same(drawn, new RowArranger(new RowBatching { SharePrompts = other }, _ => true)
                    .Order(rows, drawn));
        }, iter: 300);

    [Fact]
    public void Rows_of_one_prompt_meet_in_a_micro_batch_and_sizes_are_alike()
    {
        static TokenizedExample Row(int prompt, int completion) =>
            new([.. Enumerable.Repeat(prompt, 20), .. Enumerable.Repeat(10 + completion, completion)],
            [.. Enumerable.Repeat(-100, 20), .. Enumerable.Repeat(10 + completion, completion)]);
        TokenizedExample[] rows =
            [Row(1, 5), Row(2, 5), Row(3, 6), Row(4, 6), Row(1, 7), Row(2, 7), Row(3, 8), Row(4, 8)];
        var arranger = new RowArranger(new RowBatching(), _ => true);
        foreach (IReadOnlyList<IExample> batch in arranger.MicroBatches(rows, 4))
        {
            Assert.Equal(2, batch.Cast<TokenizedExample>().Distinct(PromptComparer.Instance).Count());
            Assert.Equal(62, arranger.Positions(batch));
        }
        // Padded rows go by length.
        Assert.Equal([[28, 28, 27, 27], [26, 26, 25, 25]],
            new RowArranger(new RowBatching { Packing = false }, _ => true).MicroBatches(rows, 4)
                .Select(batch => batch.Select(row => row.Length).ToArray()));
        // Without rows that may move, nothing moves.
        Assert.Equal(rows.Chunk(4), new RowArranger(new RowBatching(), length => length < 28).MicroBatches(rows, 4));
    }

    [Fact]
    public void Micro_batches_by_tokens_waste_little()
    {
        TokenizedExample[] rows =
            [.. Enumerable.Range(0, 64)
            .Select(i => new TokenizedExample(
                [.. Enumerable.Range(0, 10 + i * 37 % 50)], [.. Enumerable.Range(0, 10 + i * 37 % 50)]))];
        var arranger =
            new RowArranger(new RowBatching { BatchTokens = 256, SharePrompts = PromptSharing.Off }, _ => true);
        IReadOnlyList<IReadOnlyList<IExample>> batches = arranger.MicroBatches(rows, 4);
        Assert.InRange(batches.Count, 1, (int)Math.Ceiling(rows.Sum(row => row.Length) / 256.0) + 1);
    }

    private static void Same(TokenizedExample[] rows, IReadOnlyList<IReadOnlyList<IExample>> batches)
    {
        var counts = new Dictionary<IExample, int>(ReferenceEqualityComparer.Instance);
        foreach (IExample row in batches.SelectMany(batch => batch)) counts[row] = counts.GetValueOrDefault(row) + 1;
        Assert.Equal(rows.Length, counts.Count);
        Assert.All(rows, row => Assert.Equal(1, counts[row]));
    }

    private static string Prompt(TokenizedExample row, int number)
    {
        int first = Array.FindIndex(row.Labels, label => label != TokenizedExample.Ignored);
        return first > 0 ? string.Join(' ', row.InputIds[..first]) : $"none {number}";
    }
}
