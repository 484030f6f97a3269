using System.Text.Json;
using LowRank.Training;

namespace LowRank.Recipes.Runs;

/// <summary>A run as its folder tells it, whether it has ended, goes on, or was killed. Nothing is written.</summary>
public sealed record RunRecord
{
    private static readonly JsonSerializerOptions ComparisonJson =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Its folder, as it was given.</summary>
    public required string Folder { get; init; }

    /// <summary>What it is called: unlike all others that were opened with it.</summary>
    public required string Name { get; init; }

    /// <summary>The recipe in effect; empty where its file is missing.</summary>
    public IReadOnlyList<RunSetting> Settings { get; init; } = [];

    /// <summary>What was measured.</summary>
    public RunMetrics Metrics { get; init; } = RunMetrics.None;

    /// <summary>What the run is and took; a run of an older version tells nothing.</summary>
    public RunFacts Facts { get; init; } = new();

    /// <summary>The model before and after; null where the run has no comparison, or not yet.</summary>
    public Comparison? Comparison { get; init; }

    /// <summary>The process that writes to the folder now; null where none does.</summary>
    public string? Writer { get; init; }

    /// <summary>Bytes of what was trained, in <c>adapter</c> or <c>model</c>; null where neither is there.</summary>
    public long? SavedBytes { get; init; }

    /// <summary>What is missing in the folder or cannot be read, a sentence each.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];

    /// <summary>Opens runs' folders.</summary>
    /// <param name="folders">Each once.</param>
    /// <exception cref="InputException">A folder does not exist or is no run's: all problems at once.</exception>
    public static IReadOnlyList<RunRecord> Open(IReadOnlyList<string> folders)
    {
        string[] problems =
        [
            .. folders.GroupBy(Full).Where(group => group.Count() > 1)
                .Select(group => $"{group.Key} is given {group.Count()} times; give each run once."),
            .. folders.Select(NoRun).OfType<string>().Distinct(),
        ];
        if (problems.Length > 0)
            throw problems.Length == 1 ? new InputException(problems[0])
                : new InputException("The runs cannot be shown:", problems);
        IReadOnlyList<string> names = Names([.. folders.Select(Full)]);
        return [.. folders.Select((folder, place) => Read(folder, names[place]))];
    }

    private static string Full(string folder) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));

    private static string? NoRun(string folder) =>
        !Directory.Exists(folder) ? $"{folder} does not exist; expected a run's folder, which is the recipe's output."
        : new[] { "metrics.jsonl", "recipe.yaml", RunFacts.FileName }.Any(
            file => File.Exists(Path.Combine(folder, file))) ? null
        : $"{folder} holds neither metrics.jsonl nor recipe.yaml; expected a run's folder, which is the recipe's " +
        "output.";

    // The last part of each path, with as many parts before it as it takes to tell them apart.
    private static IReadOnlyList<string> Names(IReadOnlyList<string> folders)
    {
        string Tail(string folder, int parts) =>
            string.Join('/', folder.Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries)
            .TakeLast(parts));
        int parts = 1, most = folders.Max(folder => folder.Count(c => c == Path.DirectorySeparatorChar)) + 1;
        while (parts < most && folders.Select(folder => Tail(folder, parts)).Distinct().Count() < folders.Count)
            parts++;
        return [.. folders.Select(folder => Tail(folder, parts) is { Length: > 0 } name ? name : folder)];
    }

    private static RunRecord Read(string folder, string name)
    {
        var problems = new List<string>();
        string? writer = RunFolder.Writer(folder);
        RunMetrics metrics =
            Part(folder, "metrics.jsonl", RunMetrics.Read, RunMetrics.None, "There are no curves", problems);
        problems.AddRange(metrics.Problems);
        return new RunRecord
        {
            Folder = folder,
            Name = name,
            Metrics = metrics,
            Writer = writer,
            Settings = Part(
                folder, "recipe.yaml", path =>
                RunSettings.Parse(SmallFile.ReadText(path)), [], "The recipe is not known", problems),
            Facts = Part(folder, RunFacts.FileName, path => RunFacts.Parse(SmallFile.ReadText(path)), new RunFacts(),
                null, problems),
            Comparison = Part(folder, "comparison.json", ReadComparison, null, null, problems),
            SavedBytes = Bytes(Path.Combine(folder, "adapter")) ?? Bytes(Path.Combine(folder, "model")),
            Problems = problems,
        };
    }

    // A part of the folder; what is wrong with it is told, and the rest shown without it. Null for missing: it need not
    // be there.
    private static T Part<T>(
        string folder, string file, Func<string, T> read, T none, string? missing, List<string> problems)
    {
        string path = Path.Combine(folder, file);
        if (!File.Exists(path))
        {
            if (missing is not null) problems.Add($"{missing}: {file} is missing.");
            return none;
        }
        try
        {
            return read(path);
        }
        catch (Exception e) when (e is InputException or IOException or UnauthorizedAccessException)
        {
            problems.Add($"{file} was left out: {e.Message}");
            return none;
        }
    }

    private static Comparison ReadComparison(string path)
    {
        string text = SmallFile.ReadText(path);
        try
        {
            Comparison? read = JsonSerializer.Deserialize<Comparison>(text, ComparisonJson);
            return read is { Before.Texts: { } before, After.Texts: { } after, Prompts: { } prompts,
                References: { } references }
                && new[] { before, after, prompts, references }.All(
                    texts => texts.Count == prompts.Count && !texts.Contains(null!)) ? read
                : throw new InputException("it has no texts before and after for each prompt.");
        }
        catch (JsonException e)
        {
            throw new InputException($"it is not JSON as a run writes it: {JsonWords.Of(e, text)}.", e);
        }
    }

    private static long? Bytes(string folder)
    {
        try
        {
            return Directory.Exists(folder) ? new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories)
                .Sum(file => file.Length) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // it is being replaced by a newer one, or is not ours to read
        }
    }
}

/// <summary>A text that the model wrote while it was trained.</summary>
/// <param name="Step">Optimizer steps taken by then.</param>
/// <param name="Prompt">What it went on with; empty where the run does not say.</param>
/// <param name="Text">What it wrote.</param>
public sealed record RunText(long Step, string Prompt, string Text);
