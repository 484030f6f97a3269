using System.Text.Json;
using LowRank.Training;

namespace LowRank.Recipes.Runs;

/// <summary>A run as recorded in its folder, whether finished, in progress or killed. Nothing is written.</summary>
public sealed record RunRecord
{
    private static readonly JsonSerializerOptions ComparisonJson =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Its folder, as given.</summary>
    public required string Folder { get; init; }

    /// <summary>Its display name, unique among the runs opened together.</summary>
    public required string Name { get; init; }

    /// <summary>The effective recipe; empty if its file is missing.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Settings { get; init; } = [];

    /// <summary>The measurements.</summary>
    public RunMetrics Metrics { get; init; } = RunMetrics.None;

    /// <summary>The run's properties and costs; empty for a run of an older version.</summary>
    public RunFacts Facts { get; init; } = new();

    /// <summary>The model before and after training; null if the run has no comparison or has not made it
    /// yet.</summary>
    public Comparison? Comparison { get; init; }

    /// <summary>The process that is writing to the folder; null if none is.</summary>
    public string? Writer { get; init; }

    /// <summary>Size of the trained weights in bytes, in <c>adapter</c> or <c>model</c>; null if neither
    /// exists.</summary>
    public long? SavedBytes { get; init; }

    /// <summary>What is missing or unreadable in the folder, one sentence each.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];

    /// <summary>Opens run folders.</summary>
    /// <param name="folders">The folders, without duplicates.</param>
    /// <exception cref="InputException">A folder does not exist or does not contain a run; the message lists all
    /// problems.</exception>
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

    // The last part of each path, with as many preceding parts as needed to distinguish them.
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

    // A part of the folder. Problems are reported, and the rest is shown without it. Null if missing, because it is
    // optional.
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

/// <summary>A text that the model generated during training.</summary>
/// <param name="Step">Number of optimizer steps taken so far.</param>
/// <param name="Prompt">Its prompt; empty if the run does not say.</param>
/// <param name="Text">The generated text.</param>
public sealed record RunText(long Step, string Prompt, string Text);
