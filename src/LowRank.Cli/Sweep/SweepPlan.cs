using LowRank.Cli.Views;
using LowRank.Recipes;

namespace LowRank.Cli.Sweep;

/// <summary>The runs of a sweep, all checked before the first one starts.</summary>
internal sealed class SweepPlan
{
    private const int MostRuns = 1000;

    // Keys that cannot change whether a model, its data and its adapter fit together: for these it is enough to check
    // the recipe.
    private static readonly string[] Inner = ["training.", "comparison."];
    private static readonly string[] Outer =
    [
        "training.init_adapter", "training.from_scratch", "training.max_length",
        "comparison.data", "comparison.facts", "comparison.references", "comparison.generations",
    ];

    private SweepPlan(IReadOnlyList<SweepRun> runs) => Runs = runs;

    /// <summary>Every combination.</summary>
    public IReadOnlyList<SweepRun> Runs { get; }

    /// <summary>Combines a grid and checks every combination.</summary>
    /// <param name="path">The recipe.</param>
    /// <param name="set">Changes for all runs.</param>
    /// <param name="axes">The grid.</param>
    /// <param name="output">The folder for the runs; null for the recipe's output.</param>
    /// <param name="metric">The metric that decides.</param>
    /// <exception cref="InputException">Some combinations cannot be run; lists all problems of all of them.</exception>
    public static (SweepPlan Plan, string Output) Make(
        string path, IReadOnlyList<string> set, IReadOnlyList<GridAxis> axes, string? output, string metric)
    {
        if (axes.Aggregate(1L, (product, axis) => Math.Min(product * axis.Values.Count, MostRuns + 1)) is var count
            && count > MostRuns)
            throw new InputException($"The grid has more than {MostRuns} combinations. Try fewer values at a time.");
        Recipe first = Recipe.Load(path, [.. set, .. axes.Select(axis => $"{axis.Key}={axis.Values[0]}")]);
        string folder = Path.GetFullPath(output ?? first.Output);
        var problems = new List<Problem>();
        var said = new HashSet<string>();
        if (metric.StartsWith("eval_", StringComparison.Ordinal)
            && (first.Data is { Validation.Count: 0, ValidationShare: 0 } || first.Training.EvalEvery == 0))
            problems.Add(new Problem(
                $"A sweep compares runs by {metric}, on held-out data, and the recipe " +
                $"{(first.Training.EvalEvery == 0 ? "has training.eval_every: 0" : "has no data.validation")}. " +
                "Change that, or compare the training losses with --metric loss."));
        var runs = new List<SweepRun>();
        var prepared = new HashSet<string>();
        foreach (IReadOnlyList<string> values in Combine(axes))
        {
            string[] changes = [.. axes.Zip(values, (axis, value) => $"{axis.Key}={value}")];
            string name = FolderName(axes, values);
            if (runs.Exists(run => run.Name == name)) name += $"-{runs.Count + 1}";
            string[] overrides = [.. set, .. changes, $"output={Yaml(Path.Combine(folder, name))}"];
            Recipe? recipe =
                Check(path, overrides,
                string.Join(' ', axes.Where(axis => !IsInner(axis.Key))
                .Select(axis => changes[axes.ToList().IndexOf(axis)])), changes, prepared, problems, said);
            string settings = recipe is null ? "" : SweepRun.SettingsOf(recipe.ToYaml());
            runs.Add(
                new SweepRun { Name = name, Values = values, Overrides = overrides, Folder = Path.Combine(folder, name),
                Settings = settings });
        }
        if (problems.Count > 0)
            throw problems.Count == 1 ? new InputException(problems[0])
                : new InputException("The sweep cannot be run:", problems);
        return (new SweepPlan(runs), folder);
    }

    private static bool IsInner(string key) => Inner.Any(section => key.StartsWith(section, StringComparison.Ordinal))
        && !Outer.Contains(key);

    // Null if the run cannot be prepared; the problems say why.
    private static Recipe? Check(
        string path, string[] overrides, string outer, string[] changes, HashSet<string> prepared,
        List<Problem> problems, HashSet<string> said)
    {
        try
        {
            Recipe recipe = Recipe.Load(path, overrides);
            // Opening model and data takes a while, so combinations that share them are checked together.
            if (prepared.Add(outer)) RecipeRun.Prepare(recipe, new DownloadProgress()).Dispose();
            return recipe;
        }
        catch (InputException e)
        {
            foreach (Problem problem in e.Details.Where(problem => said.Add(problem.ToString())))
                problems.Add(new Problem($"{string.Join(' ', changes)}: {problem}"));
            return null;
        }
    }

    private static IEnumerable<IReadOnlyList<string>> Combine(IReadOnlyList<GridAxis> axes) =>
        axes.Aggregate((IEnumerable<IReadOnlyList<string>>)[[]],
        (combinations, axis) =>
        combinations.SelectMany(earlier => axis.Values.Select(value => (IReadOnlyList<string>)[.. earlier, value])));

    private static string FolderName(IReadOnlyList<GridAxis> axes, IReadOnlyList<string> values) => string.Concat(
        string.Join('_', axes.Zip(values, (axis, value) => $"{axis.Name}={Path.GetFileName(value.TrimEnd('/'))}"))
            .Select(c => char.IsAsciiLetterOrDigit(c) || "._=-+".Contains(c) ? c : '-').Take(150));

    private static string Yaml(string path) => $"'{path.Replace("'", "''", StringComparison.Ordinal)}'";
}

/// <summary>A recipe key and the values to try: <c>adapter.rank=4,8,16</c>.</summary>
/// <param name="Key">With its sections.</param>
/// <param name="Values">As YAML writes them.</param>
internal sealed record GridAxis(string Key, IReadOnlyList<string> Values)
{
    // Keys that the sweep itself sets.
    private static readonly string[] Taken = ["output", "training.threads"];

    /// <summary>The last part of the key, shown in the list of runs.</summary>
    public string Name => Key[(Key.LastIndexOf('.') + 1)..];

    /// <summary>Reads the axes of a grid.</summary>
    /// <exception cref="InputException">All problems at once.</exception>
    public static IReadOnlyList<GridAxis> ParseAll(IReadOnlyList<string> grids)
    {
        var problems = new List<string>();
        var axes = new List<GridAxis>();
        foreach (string grid in grids)
        {
            int equals = grid.IndexOf('=', StringComparison.Ordinal);
            string key = equals > 0 ? grid[..equals].Trim() : "";
            List<string> values = equals > 0 ? Split(grid[(equals + 1)..]) : [];
            if (key.Length == 0 || values.Count == 0 || values.Contains(""))
                problems.Add(
                    $"--grid {grid}: expected key=value,value,… such as adapter.rank=4,8,16; put a value that is a " +
                    "list in brackets");
            else if (Taken.Contains(key))
                problems.Add(
                    $"--grid {grid}: {key} is set by the sweep itself; use " +
                    $"{(key == "output" ? "--output" : "--parallel")}");
            else if (axes.Exists(axis => axis.Key == key))
                problems.Add($"--grid {grid}: {key} is given twice; put all its values into one --grid");
            else if (values.Distinct().Count() < values.Count) problems.Add($"--grid {grid}: a value is given twice");
            else axes.Add(new GridAxis(key, values));
        }
        if (problems.Count > 0)
            throw problems.Count == 1 ? new InputException(problems[0])
                : new InputException("The grid cannot be used:", problems);
        return axes;
    }

    // Splits at commas outside brackets, braces and quotes.
    private static List<string> Split(string text)
    {
        var values = new List<string>();
        int depth = 0, start = 0;
        char quote = '\0';
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (quote != '\0') quote = c == quote ? '\0' : quote;
            else if (c is '"' or '\'') quote = c;
            else if (c is '[' or '{') depth++;
            else if (c is ']' or '}') depth--;
            else if (c == ',' && depth == 0)
            {
                values.Add(text[start..i].Trim());
                start = i + 1;
            }
        }
        values.Add(text[start..].Trim());
        return values;
    }
}
