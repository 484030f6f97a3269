namespace LowRank.Recipes.Runs;

/// <summary>A run's <c>metrics.jsonl</c>, read as a stream into curves of bounded size.</summary>
public sealed class RunMetrics
{
    private const int LongestLine = 8 << 20;   // a line with generated texts; a measurement takes 200 bytes
    private const int MostSeries = 64;         // a file of another kind could have a name a line
    private const int MostTexts = 20_000;      // evaluations times texts
    private const int MostProblems = 3;        // told with their place

    private readonly SortedDictionary<string, MetricSeries> series = new(StringComparer.Ordinal);
    private readonly HashSet<string> leftOut = [];
    private readonly List<RunText> texts = [];
    private readonly List<string> problems = [];
    private long wrongLines;

    private RunMetrics()
    {
    }

    /// <summary>The quantities by name.</summary>
    public IReadOnlyDictionary<string, MetricSeries> Series => series;

    /// <summary>Texts that the model generated at evaluations, in order.</summary>
    public IReadOnlyList<RunText> Texts => texts;

    /// <summary>Number of lines read.</summary>
    public long Lines { get; private set; }

    /// <summary>Number of lines that cannot be read, except an incomplete last line.</summary>
    public long WrongLines => wrongLines;

    /// <summary>The last step in the file; null if there is none.</summary>
    public long? LastStep { get; private set; }

    /// <summary>The problems of the file, one sentence each.</summary>
    public IReadOnlyList<string> Problems { get; private set; } = [];

    /// <summary>The metrics of a run without measurements.</summary>
    public static RunMetrics None { get; } = new();

    /// <summary>Reads the file; unreadable lines are counted and reported, and the others are used.</summary>
    /// <param name="path">A JSON-lines file.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static RunMetrics Read(string path)
    {
        using var stream =
            new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        return Read(stream, Path.GetFileName(path));
    }

    /// <summary>Reads JSON lines.</summary>
    /// <param name="stream">UTF-8.</param>
    /// <param name="name">Its name in messages.</param>
    public static RunMetrics Read(Stream stream, string name)
    {
        var metrics = new RunMetrics();
        var lines = new ByteLines(stream, LongestLine);
        while (lines.TryRead(out ReadOnlySpan<byte> line))
        {
            metrics.Lines++;
            string? problem = lines.IsTooLong ? $"is longer than {LongestLine:n0} bytes" : metrics.Take(line);
            if (problem is null) continue;
            // The line that a process was writing when it was killed, or is writing now.
            if (!lines.IsWhole)
                metrics.problems.Add(
                    $"The last line of {name} (line {metrics.Lines:n0}) is torn and was left out: the run is " +
                    "writing it, or was ended while it did.");
            else if (metrics.wrongLines++ < MostProblems)
                metrics.problems.Add($"Line {metrics.Lines:n0} of {name} {problem} and was left out.");
        }
        metrics.Problems = [.. metrics.problems, .. metrics.Summary(name)];
        return metrics;
    }

    private string? Take(ReadOnlySpan<byte> line)
    {
        if (line.IsEmpty) return "is empty";
        if (MetricLine.TryParse(line, out string? problem) is not { } parsed) return problem;
        LastStep = Math.Max(LastStep ?? 0, parsed.Step);
        foreach ((string key, double value) in parsed.Values)
        {
            if (!series.TryGetValue(key, out MetricSeries? curve))
            {
                if (series.Count == MostSeries)
                {
                    if (leftOut.Count < MostSeries) leftOut.Add(key);
                    continue;
                }
                series.Add(key, curve = new MetricSeries(key));
            }
            curve.Add(parsed.Step, value);
        }
        texts.AddRange(parsed.Texts.Take(MostTexts - texts.Count));
        return null;
    }

    private IEnumerable<string> Summary(string name)
    {
        if (wrongLines > MostProblems)
            yield return $"{wrongLines:n0} lines of {name} cannot be read; the first {MostProblems} are named above.";
        if (leftOut.Count > 0)
            yield return $"{name} has more than {MostSeries} quantities; those named " +
                $"{string.Join(", ", leftOut.Take(MostProblems))} and further ones were left out.";
        foreach (MetricSeries curve in series.Values)
        {
            if (curve.NotFinite > 0)
                yield return $"{curve.Name} is not a finite number at {curve.NotFinite:n0} of " +
                    $"{curve.NotFinite + curve.Count + curve.Repeated:n0} measurements; the curve goes over them.";
            if (curve.Repeated > 0)
                yield return $"{curve.Name} was measured again at {curve.Repeated:n0} steps that {name} had " +
                    "before; the earlier measurements are shown.";
        }
    }
}
