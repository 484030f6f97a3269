using System.Security.Cryptography;
using System.Text;
using LowRank.Recipes.Runs;

namespace LowRank.Cli.Sweep;

/// <summary>A combination of a sweep, and what has come of it.</summary>
internal sealed record SweepRun
{
    /// <summary>The name of its folder.</summary>
    public required string Name { get; init; }

    /// <summary>The grid's values, in the order of its axes.</summary>
    public required IReadOnlyList<string> Values { get; init; }

    /// <summary>What is changed in the recipe, as <c>--set</c> takes it.</summary>
    public required IReadOnlyList<string> Overrides { get; init; }

    /// <summary>Its output.</summary>
    public required string Folder { get; init; }

    /// <summary>A hash of its whole recipe, by which a sweep that goes on knows that nothing else has changed.</summary>
    public required string Settings { get; init; }

    /// <summary>Whether it goes on from its newest checkpoint, if there is one: it was begun with the same settings.</summary>
    public bool Resumes { get; set; }

    /// <summary>pending, finished, stopped or failed.</summary>
    public string State { get; set; } = "pending";

    /// <summary>The best value of the metric; null without one.</summary>
    public double? Best { get; set; }

    /// <summary>Its step.</summary>
    public long? BestStep { get; set; }

    /// <summary>Seconds of its process; null where it was not run this time.</summary>
    public double? Seconds { get; set; }

    /// <summary>The metric after steps were taken.</summary>
    public IReadOnlyList<MetricPoint> Curve { get; set; } = [];

    /// <summary>Whether what lies in its folder was begun with its settings.</summary>
    public bool IsBegun => Path.Combine(Folder, "recipe.yaml") is var path && File.Exists(path) && SettingsOf(SmallFile.ReadText(path)) == Settings;

    /// <summary>A hash of a recipe as a run writes it, but for its threads, which the sweep sets.</summary>
    public static string SettingsOf(string yaml) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Join('\n', yaml.Split('\n').Where(line => !line.StartsWith("  threads: ", StringComparison.Ordinal))))));
}
