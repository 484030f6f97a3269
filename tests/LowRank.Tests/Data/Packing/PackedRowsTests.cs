using CsCheck;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;

namespace LowRank.Tests.Data.Packing;

public sealed class PackedRowsTests
{
    // Few different tokens: equal beginnings, rows within others and equal rows are common.
    internal static readonly Gen<TokenizedExample> Row =
        Gen.Select(Gen.Int[0, 2], Gen.Int[0, 1].Array[0, 12], Gen.Int[0, 16]).Select((prompt, rest, first) =>
    {
        int[] ids = [.. Enumerable.Range(0, 4 + 5 * prompt).Select(i => 5 + (i * 3 + prompt / 2) % 7), .. rest];
        return new TokenizedExample(
            ids, [.. ids.Select((id, i) => i < first || i % 5 == 4 ? TokenizedExample.Ignored : id)]);
    });

    [Fact]
    public void Every_label_is_predicted_by_the_tokens_of_its_row() =>
        Gen.Select(Row.Array[1, 12], Gen.Bool).Where((rows, _) => rows.Any(row => row.PredictedLabels > 0))
            .Sample((rows, shares) =>
        {
            PackedRows packed = PackedRows.Create(rows, shares);
            List<string> expected =
                [.. rows.SelectMany(
                    row => Enumerable.Range(1, row.Length - 1).Where(i => row.Labels[i] != TokenizedExample.Ignored)
                .Select(i => string.Join(' ', row.InputIds[..i]) + " → " + row.Labels[i]))];
            List<string> found =
                [.. packed.PredictingPositions.Zip(
                    packed.Labels, (at, label) => string.Join(' ', Seen(packed, (int)at)) + " → " + label)];
            expected.Sort(StringComparer.Ordinal);
            found.Sort(StringComparer.Ordinal);
            Assert.Equal(expected, found);
        }, iter: 500);

    [Fact]
    public void Segments_cover_the_tokens_and_positions_count_from_each_rows_start() =>
        Gen.Select(Row.Array[1, 12], Gen.Bool).Where((rows, _) => rows.Any(row => row.PredictedLabels > 0))
            .Sample((rows, shares) =>
        {
            PackedRows packed = PackedRows.Create(rows, shares);
            Assert.Equal(packed.InputIds.Count, packed.Segments.Sum(segment => segment.Tokens));
            Assert.Equal(packed.InputIds.Count, packed.Positions.Count);
            Assert.Equal(packed.InputIds.Count, PackedRows.Count(rows, shares));
            Assert.All(packed.Segments, segment => Assert.True(segment.Length > 0 && segment.Count > 0));
            for (int at = 0; at < packed.InputIds.Count; at++)
                Assert.Equal(packed.Positions[at], Seen(packed, at).Count - 1);
            Assert.Equal(packed.Longest, packed.Positions.Max() + 1);
            if (!shares)
                Assert.Equal(rows.Where(row => row.PredictedLabels > 0)
                    .Sum(row => Array.FindLastIndex(row.Labels, label => label != -100)), packed.InputIds.Count);
            // No segment is continued that stands for several texts, or that comes later.
            for (int i = 0; i < packed.Segments.Count; i++)
                Assert.All(packed.Segments[i].Before,
                    before => Assert.True(before < i && packed.Segments[before].Count == 1));
        }, iter: 500);

    [Fact]
    public void Equal_beginnings_of_eight_tokens_are_there_once()
    {
        int[] prompt = [1, 2, 3, 4, 5, 6, 7, 8];
        static TokenizedExample Completion(int[] prompt, params int[] ids) =>
            new([.. prompt, .. ids], [.. prompt.Select(_ => -100), .. ids]);
        TokenizedExample[] rows =
            [Completion(prompt, 20, 21, 22), Completion(prompt, 30, 31), Completion(prompt, 40, 41, 42),
            Completion(prompt[..7], 50, 51)];
        PackedRows packed = PackedRows.Create(rows, shares: true);
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 50, 1, 2, 3, 4, 5, 6, 7, 8, 30, 20, 21, 40, 41], packed.InputIds);
        Assert.Equal([(8, 1, ""), (8, 1, ""), (1, 1, "1"), (2, 2, "1")],
            packed.Segments.Select(s => (s.Length, s.Count, string.Join(' ', s.Before))));
        Assert.Equal([6L, 7, 15, 16, 15, 17, 18, 15, 19, 20], packed.PredictingPositions);
        Assert.Equal([50L, 51, 30, 31, 20, 21, 22, 40, 41, 42], packed.Labels);
        Assert.Equal((21, 37), (PackedRows.Count(rows, shares: true), PackedRows.Count(rows, shares: false)));
    }

    [Fact]
    public void Rows_that_predict_nothing_take_no_room()
    {
        TokenizedExample silent = new([1, 2, 3], [1, -100, -100]), row = new([4, 5, 6, 7], [-100, 5, -100, -100]);
        PackedRows packed = PackedRows.Create([silent, row], shares: true);
        Assert.Equal([4L], packed.InputIds);
        Assert.Throws<ArgumentException>(() => PackedRows.Create([silent], shares: true));
        Assert.Equal(0, PackedRows.Count([silent], shares: true));
    }

    // The tokens that a token sees, its own included, by what the segments say.
    private static List<long> Seen(PackedRows packed, int at)
    {
        int start = 0, number = 0;
        var starts = packed.Segments.Select(segment => (start += segment.Tokens) - segment.Tokens).ToList();
        while (at >= starts[number] + packed.Segments[number].Tokens) number++;
        PackedSegment own = packed.Segments[number];
        int from = at - (at - starts[number]) % own.Length;
        return [.. own.Before.SelectMany(
            before => packed.InputIds.Skip(starts[before]).Take(packed.Segments[before].Length)),
            .. packed.InputIds.Skip(from).Take(at - from + 1)];
    }
}
