using System.Runtime.InteropServices;
using System.Text.Json;

namespace LowRank.Recipes.Runs;

/// <summary>One quantity over a run, thinned while reading, so that a run of any length needs a bounded number of
/// points.</summary>
/// <remarks>Neighbouring steps share a bucket that keeps its minimum, maximum and mean, so that a curve looks like that
/// of all points. Nothing is thinned up to <see cref="MostBuckets"/> measurements; beyond that, buckets are 2^k steps
/// wide and start at multiples of that.</remarks>
public sealed class MetricSeries(string name)
{
    /// <summary>Maximum number of buckets.</summary>
    public const int MostBuckets = 1024;

    private const double Largest = 1e300; // beyond it differences are no longer finite

    private List<MetricBucket> buckets = [];
    private long width = 1; // steps of a bucket

    /// <summary>The quantity's name in the file.</summary>
    public string Name { get; } = name;

    /// <summary>Number of measurements.</summary>
    public long Count { get; private set; }

    /// <summary>Number of measurements left out because they are not finite or beyond 1e300.</summary>
    public long NotFinite { get; private set; }

    /// <summary>Number of measurements left out because the same or a later step had already been measured.</summary>
    public long Repeated { get; private set; }

    /// <summary>The first measurement.</summary>
    public MetricPoint First { get; private set; }

    /// <summary>The last measurement.</summary>
    public MetricPoint Last { get; private set; }

    /// <summary>The lowest measurement after a step was taken, whose weights a run may have kept; null if there is
    /// none.</summary>
    public MetricPoint? LowestOfSteps { get; private set; }

    /// <summary>The highest measurement after a step was taken; null if there is none.</summary>
    public MetricPoint? HighestOfSteps { get; private set; }

    /// <summary>The lowest measurement; the first of equal ones.</summary>
    public MetricPoint Lowest => buckets.MinBy(bucket => bucket.Lowest.Value).Lowest;

    /// <summary>The highest measurement; the first of equal ones.</summary>
    public MetricPoint Highest => buckets.MaxBy(bucket => bucket.Highest.Value).Highest;

    /// <summary>Adds a measurement.</summary>
    public void Add(long step, double value)
    {
        if (!(Math.Abs(value) <= Largest))
        {
            NotFinite++;
            return;
        }
        if (Count > 0 && step <= Last.Step)
        {
            Repeated++;
            return;
        }
        Last = new MetricPoint(step, value);
        if (step > 0 && !(LowestOfSteps is { } lowest && lowest.Value <= value)) LowestOfSteps = Last;
        if (step > 0 && !(HighestOfSteps is { } highest && highest.Value >= value)) HighestOfSteps = Last;
        if (Count++ == 0) First = Last;
        Append(buckets, MetricBucket.From(Last), width);
        while (buckets.Count > MostBuckets) buckets = Merged(buckets, width *= 2);
    }

    /// <summary>The points of a curve: each bucket's minimum and maximum, plus the exact first and last
    /// measurement.</summary>
    /// <param name="most">Maximum number of buckets to distinguish.</param>
    public IReadOnlyList<MetricPoint> Curve(int most = MostBuckets)
    {
        if (Count == 0) return [];
        List<MetricPoint> points = [.. Thinned(most).Buckets.SelectMany(bucket => bucket.Extremes())];
        if (points[0] != First) points.Insert(0, First);
        if (points[^1] != Last) points.Add(Last);
        return points;
    }

    /// <summary>Each bucket's mean, at the middle of its steps.</summary>
    /// <param name="most">As in <see cref="Curve"/>.</param>
    public IReadOnlyList<MetricPoint> Means(int most = MostBuckets) =>
        [.. Thinned(most).Buckets.Select(
            bucket => new MetricPoint(bucket.First + (bucket.Last - bucket.First) / 2, bucket.Mean))];

    /// <summary>Whether points are left out of the curve.</summary>
    /// <param name="most">As in <see cref="Curve"/>.</param>
    public bool IsThinned(int most = MostBuckets) => Count > Thinned(most).Buckets.Count;

    /// <summary>The value around a step: the measurement itself, or the mean of the bucket with the step; null if
    /// nothing was measured.</summary>
    public double? At(long step)
    {
        int place = buckets.FindLastIndex(bucket => bucket.First <= step);
        return place >= 0 && step <= buckets[place].Last ? buckets[place].Mean : null;
    }

    private (List<MetricBucket> Buckets, long Width) Thinned(int most)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        (List<MetricBucket> thinned, long wide) = (buckets, width);
        while (thinned.Count > most) thinned = Merged(thinned, wide *= 2);
        return (thinned, wide);
    }

    private static List<MetricBucket> Merged(List<MetricBucket> buckets, long width)
    {
        var merged = new List<MetricBucket>(buckets.Count);
        foreach (MetricBucket bucket in buckets) Append(merged, bucket, width);
        return merged;
    }

    private static void Append(List<MetricBucket> buckets, MetricBucket next, long width)
    {
        if (buckets.Count > 0 && buckets[^1].First / width == next.First / width) buckets[^1] = buckets[^1].With(next);
        else buckets.Add(next);
    }
}

/// <summary>A line of <c>metrics.jsonl</c>: a step's or an evaluation's measurements.</summary>
/// <param name="Step">Number of optimizer steps taken so far.</param>
/// <param name="Values">Every number in the line; null, and strings such as NaN, are not finite.</param>
/// <param name="Texts">Texts that the model generated.</param>
internal sealed record MetricLine(
    long Step, IReadOnlyList<KeyValuePair<string, double>> Values, IReadOnlyList<RunText> Texts)
{
    private const long LargestStep = 1L << 53; // beyond it pictures cannot tell steps apart
    private const string StepKey = "step", TextsKey = "generations";
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 16 };

    /// <summary>Parses a line.</summary>
    /// <param name="line">UTF-8.</param>
    /// <param name="problem">What is wrong with it, as the end of a sentence, if the result is null.</param>
    public static MetricLine? TryParse(ReadOnlySpan<byte> line, out string? problem)
    {
        var reader = new Utf8JsonReader(line, new JsonReaderOptions { MaxDepth = Options.MaxDepth });
        try
        {
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            if (reader.BytesConsumed < line.Length && line[(int)reader.BytesConsumed..].ContainsAnyExcept(" \t"u8))
                throw new JsonException("more follows");
            return Of(document.RootElement, out problem);
        }
        // Lone surrogates in escapes are detected when the string is read.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            problem = "is not JSON";
            return null;
        }
    }

    private static MetricLine? Of(JsonElement line, out string? problem)
    {
        problem = "has no step";
        if (line.ValueKind != JsonValueKind.Object || !line.TryGetProperty(StepKey, out JsonElement number))
            return null;
        problem = "has a step that is no whole number from 0";
        if (number.ValueKind != JsonValueKind.Number || !number.TryGetInt64(out long step)
            || step is < 0 or > LargestStep)
            return null;
        problem = null;
        var values = new List<KeyValuePair<string, double>>();
        foreach (JsonProperty property in line.EnumerateObject())
            if (!property.NameEquals(StepKey) && Number(property.Value) is { } value)
                values.Add(new(property.Name, value));
        return new MetricLine(step, values, line.TryGetProperty(TextsKey, out JsonElement texts)
            ? RunTexts(texts, step) : []);
    }

    private static double? Number(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => value.TryGetDouble(out double number) ? number : double.NaN,
        JsonValueKind.Null => double.NaN,
        JsonValueKind.String when value.GetString() is "NaN" or "Infinity" or "-Infinity" => double.NaN,
        _ => null, // a text or a list is no measurement
    };

    private static RunText[] RunTexts(JsonElement list, long step) => list.ValueKind != JsonValueKind.Array ? []
        : [.. list.EnumerateArray().Select(item => item.ValueKind switch
        {
            JsonValueKind.String => new RunText(step, "", item.GetString()!),
            JsonValueKind.Object => new RunText(step, Text(item, "prompt"), Text(item, "text")),
            _ => null,
        }).OfType<RunText>()];

    private static string Text(JsonElement item, string key) =>
        item.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()! : "";
}

/// <summary>A measurement of a run.</summary>
/// <param name="Step">Number of optimizer steps taken so far; 0 before training.</param>
/// <param name="Value">The measured value.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct MetricPoint(long Step, double Value);

/// <summary>Neighbouring measurements combined: their minimum, maximum and mean.</summary>
/// <param name="First">The step of the first.</param>
/// <param name="Last">The step of the last.</param>
/// <param name="Lowest">The lowest; the first of equal ones.</param>
/// <param name="Highest">The highest; the first of equal ones.</param>
/// <param name="Mean">Their mean.</param>
/// <param name="Count">Number of measurements.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MetricBucket(
    long First, long Last, MetricPoint Lowest, MetricPoint Highest, double Mean, long Count)
{
    public static MetricBucket From(MetricPoint point) => new(point.Step, point.Step, point, point, point.Value, 1);

    /// <summary>Combines it with a following one.</summary>
    // The mean is updated instead of the sum, because sums of large values would overflow.
    public MetricBucket With(MetricBucket next) => new(First, next.Last,
        next.Lowest.Value < Lowest.Value ? next.Lowest : Lowest,
        next.Highest.Value > Highest.Value ? next.Highest : Highest,
        Mean * ((double)Count / (Count + next.Count)) + next.Mean * ((double)next.Count / (Count + next.Count)),
        Count + next.Count);

    /// <summary>Its points in a curve: the lowest and the highest, in order.</summary>
    public IEnumerable<MetricPoint> Extremes() => Lowest.Step == Highest.Step ? [Lowest] : Lowest.Step < Highest.Step
        ? [Lowest, Highest] : [Highest, Lowest];
}
