using LowRank.Data;
using LowRank.Tokenizers;

namespace LowRank.Recipes.Review;

/// <summary>Counts the rows of a source.</summary>
/// <param name="tokenizer">Spells tokens out; null if rows are tokens without a text.</param>
/// <param name="maxLength">The length to which rows are truncated.</param>
/// <param name="shown">Number of rows to show.</param>
internal sealed class RowCounts(ITextTokenizer? tokenizer, int maxLength, int shown)
{
    private const int Named = 10, Bars = 16;
    private readonly SortedDictionary<int, long> lengths = [];
    private readonly HashSet<UInt128> exact = [], normalized = [];
    private readonly List<ReviewedText> examples = [];
    private readonly List<string> neverLearned = [];
    private long rows, tokens, learned, cutRows, cutTokens, cutLearned, never, duplicates, nearDuplicates;

    /// <summary>Counts a row and returns its keys.</summary>
    public RowPrint Add(TokenizedExample example)
    {
        int length = example.InputIds.Length, all = example.PredictedLabels, kept = example.Labels.Take(maxLength)
            .Skip(1).Count(label => label != TokenizedExample.Ignored);
        tokens += length;
        lengths[length] = lengths.GetValueOrDefault(length) + 1;
        if (length > maxLength)
            (cutRows, cutTokens, cutLearned) = (cutRows + 1, cutTokens + length - maxLength, cutLearned + all - kept);
        if (kept == 0)
        {
            never++;
            if (neverLearned.Count < Named) neverLearned.Add($"{example.Place}");
        }
        else (rows, learned) = (rows + 1, learned + kept);
        RowPrint print = RowPrint.From(example, tokenizer);
        if (!exact.Add(print.Exact)) duplicates++;
        else if (!normalized.Add(print.Normalized)) nearDuplicates++;
        if (examples.Count < shown) examples.Add(Text(example, kept));
        return print;
    }

    /// <summary>The counts so far.</summary>
    public ReviewedRows Result(string name, IReadOnlyList<string> notes, DataProblems problems, bool isPartial) => new()
    {
        Name = name,
        Rows = rows,
        WrongRows = problems.Skipped + problems.Count,
        Problems =
            [.. problems.Shown.Concat(problems.ShownSkipped).Select(problem => problem.In(Recipe.Wording))],
        Tokens = tokens,
        LearnedTokens = learned,
        MaxLength = maxLength,
        CutRows = cutRows,
        CutTokens = cutTokens,
        CutLearnedTokens = cutLearned,
        NeverLearned = never,
        NeverLearnedPlaces = neverLearned,
        Duplicates = duplicates,
        NearDuplicates = nearDuplicates,
        MedianLength = Percentile(0.5),
        Percentile95 = Percentile(0.95),
        LongestRow = lengths.Count == 0 ? 0 : lengths.Keys.Max(),
        Lengths = Histogram(),
        Examples = examples,
        Notes = notes,
        IsPartial = isPartial,
    };

    private int Percentile(double share)
    {
        long before = 0, total = lengths.Values.Sum();
        foreach ((int length, long count) in lengths)
        {
            before += count;
            if (before >= share * total) return length;
        }
        return 0;
    }

    // Bars of equal width that start at a round number.
    private List<(int From, int To, long Rows)> Histogram()
    {
        if (lengths.Count == 0) return [];
        int shortest = lengths.Keys.First(), longest = lengths.Keys.Last();
        int width = 1;
        foreach (int factor in Enumerable.Range(0, 31)
            .SelectMany(power =>
            new[] { 1, 2, 5 }.Select(step => (int)Math.Min(int.MaxValue, step * Math.Pow(10, power)))))
        {
            width = factor;
            if ((longest / width) - (shortest / width) < Bars) break;
        }
        int first = shortest / width;
        var counts = new long[(longest / width) - first + 1];
        foreach ((int length, long count) in lengths) counts[(length / width) - first] += count;
        return [.. counts.Select(
            (count, i) => ((first + i) * width, ((first + i + 1) * width) - 1, count))];
    }

    private ReviewedText Text(TokenizedExample example, int kept)
    {
        int length = Math.Min(example.InputIds.Length, maxLength);
        var pieces = new List<(string Text, bool IsLearned)>();
        for (int start = 0; start < length;)
        {
            bool isLearned = IsLearned(example, start);
            int end = start + 1;
            while (end < length && IsLearned(example, end) == isLearned) end++;
            pieces.Add((Spell(example.InputIds, start, end), isLearned));
            start = end;
        }
        return new ReviewedText(
            example.Place ?? default, pieces, example.InputIds.Length, kept, example.InputIds.Length - length);
    }

    // No token predicts the first one.
    private static bool IsLearned(TokenizedExample example, int position) =>
        position > 0 && example.Labels[position] != TokenizedExample.Ignored;

    // Decoded with the preceding text, because a decoder may write the same tokens differently at the start of a text.
    private string Spell(int[] ids, int start, int end)
    {
        if (tokenizer is null) return string.Concat(ids[start..end].Select(id => $"⟨{id}⟩"));
        string before = tokenizer.Decode(ids[..start]), with = tokenizer.Decode(ids[..end]);
        return with.StartsWith(before, StringComparison.Ordinal) ? with[before.Length..]
            : tokenizer.Decode(ids[start..end]);
    }
}

/// <summary>Statistics of one source of rows.</summary>
public sealed record ReviewedRows
{
    /// <summary>The source.</summary>
    public required string Name { get; init; }

    /// <summary>Number of usable rows.</summary>
    public required long Rows { get; init; }

    /// <summary>Number of unusable rows: unreadable, empty, or without a token to learn.</summary>
    public required long WrongRows { get; init; }

    /// <summary>The first ten of them, with their positions.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>Number of tokens before truncation.</summary>
    public required long Tokens { get; init; }

    /// <summary>Number of predicted labels, after truncation.</summary>
    public required long LearnedTokens { get; init; }

    /// <summary>The length to which rows are truncated.</summary>
    public required int MaxLength { get; init; }

    /// <summary>Number of truncated rows.</summary>
    public required long CutRows { get; init; }

    /// <summary>Number of tokens cut off.</summary>
    public required long CutTokens { get; init; }

    /// <summary>Number of labels cut off.</summary>
    public required long CutLearnedTokens { get; init; }

    /// <summary>Number of rows left out because everything they teach is cut off.</summary>
    public required long NeverLearned { get; init; }

    /// <summary>The positions of the first ten of them.</summary>
    public required IReadOnlyList<string> NeverLearnedPlaces { get; init; }

    /// <summary>Number of exact duplicates, token for token.</summary>
    public required long Duplicates { get; init; }

    /// <summary>Number of further rows with the same letters and digits as an earlier row.</summary>
    public required long NearDuplicates { get; init; }

    /// <summary>The median row length, in tokens before truncation.</summary>
    public required int MedianLength { get; init; }

    /// <summary>The 95th percentile of row lengths.</summary>
    public required int Percentile95 { get; init; }

    /// <summary>The length of the longest row.</summary>
    public required int LongestRow { get; init; }

    /// <summary>The length histogram.</summary>
    public required IReadOnlyList<(int From, int To, long Rows)> Lengths { get; init; }

    /// <summary>The first rows as the model will see them.</summary>
    public required IReadOnlyList<ReviewedText> Examples { get; init; }

    /// <summary>Notes from reading, one sentence each.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Whether there are more rows that were not examined.</summary>
    public required bool IsPartial { get; init; }
}
