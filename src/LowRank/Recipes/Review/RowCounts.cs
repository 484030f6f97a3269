using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Tokenizers;

namespace LowRank.Recipes.Review;

/// <summary>Counts the rows of a source.</summary>
/// <param name="tokenizer">Spells tokens out; null where rows are tokens without a text.</param>
/// <param name="maxLength">The length that rows are cut to.</param>
/// <param name="shown">How many rows to show.</param>
internal sealed class RowCounts(ITextTokenizer? tokenizer, int maxLength, int shown)
{
    private const int Named = 10, Bars = 16;
    private readonly SortedDictionary<int, long> lengths = [];
    private readonly HashSet<UInt128> exact = [], normalized = [];
    private readonly List<ReviewedText> examples = [];
    private readonly List<string> neverLearned = [];
    private long rows, tokens, learned, cutRows, cutTokens, cutLearned, never, duplicates, nearDuplicates;

    /// <summary>Counts a row and says what it is known by.</summary>
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
        RowPrint print = RowPrint.Of(example, tokenizer);
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
        Problems = [.. problems.Shown, .. problems.ShownSkipped],
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

    // Bars of equal width that begin at a round number.
    private List<LengthBin> Histogram()
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
            (count, i) => new LengthBin((first + i) * width, ((first + i + 1) * width) - 1, count))];
    }

    private ReviewedText Text(TokenizedExample example, int kept)
    {
        int length = Math.Min(example.InputIds.Length, maxLength);
        var pieces = new List<ReviewedPiece>();
        for (int start = 0; start < length;)
        {
            bool isLearned = IsLearned(example, start);
            int end = start + 1;
            while (end < length && IsLearned(example, end) == isLearned) end++;
            pieces.Add(new ReviewedPiece(Spell(example.InputIds, start, end), isLearned));
            start = end;
        }
        return new ReviewedText(
            example.Place ?? default, pieces, example.InputIds.Length, kept, example.InputIds.Length - length);
    }

    // No token predicts the first.
    private static bool IsLearned(TokenizedExample example, int position) =>
        position > 0 && example.Labels[position] != TokenizedExample.Ignored;

    // By what the text before it is: a decoder may write the same tokens otherwise at the beginning of a text.
    private string Spell(int[] ids, int start, int end)
    {
        if (tokenizer is null) return string.Concat(ids[start..end].Select(id => $"⟨{id}⟩"));
        string before = tokenizer.Decode(ids[..start]), with = tokenizer.Decode(ids[..end]);
        return with.StartsWith(before, StringComparison.Ordinal) ? with[before.Length..]
            : tokenizer.Decode(ids[start..end]);
    }
}

/// <summary>What one source of rows comes to.</summary>
public sealed record ReviewedRows
{
    /// <summary>The source.</summary>
    public required string Name { get; init; }

    /// <summary>Rows that are used.</summary>
    public required long Rows { get; init; }

    /// <summary>Rows that cannot be used: unreadable, empty, or without a token to learn.</summary>
    public required long WrongRows { get; init; }

    /// <summary>The first ten of them, each with its place.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>Tokens before cutting.</summary>
    public required long Tokens { get; init; }

    /// <summary>Labels that are predicted, after cutting.</summary>
    public required long LearnedTokens { get; init; }

    /// <summary>The length that rows are cut to.</summary>
    public required int MaxLength { get; init; }

    /// <summary>Rows that are cut.</summary>
    public required long CutRows { get; init; }

    /// <summary>Tokens they lose.</summary>
    public required long CutTokens { get; init; }

    /// <summary>Labels they lose.</summary>
    public required long CutLearnedTokens { get; init; }

    /// <summary>Rows that are left out because all that they teach is cut off.</summary>
    public required long NeverLearned { get; init; }

    /// <summary>Where the first ten of them stand.</summary>
    public required IReadOnlyList<string> NeverLearnedPlaces { get; init; }

    /// <summary>Rows that were there before, token for token.</summary>
    public required long Duplicates { get; init; }

    /// <summary>Further rows whose letters and digits were there before.</summary>
    public required long NearDuplicates { get; init; }

    /// <summary>Length that half of the rows do not go beyond, in tokens before cutting.</summary>
    public required int MedianLength { get; init; }

    /// <summary>Length that 95 % of the rows do not go beyond.</summary>
    public required int Percentile95 { get; init; }

    /// <summary>Length of the longest row.</summary>
    public required int LongestRow { get; init; }

    /// <summary>How many rows have which length.</summary>
    public required IReadOnlyList<LengthBin> Lengths { get; init; }

    /// <summary>The first rows as the model will see them.</summary>
    public required IReadOnlyList<ReviewedText> Examples { get; init; }

    /// <summary>What was met while reading, a sentence each.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Whether more rows follow that were not looked at.</summary>
    public required bool IsPartial { get; init; }
}
