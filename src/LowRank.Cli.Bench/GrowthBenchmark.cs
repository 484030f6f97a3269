using System.CommandLine;
using System.Globalization;
using LowRank.Cli.Common;
using Spectre.Console;

namespace LowRank.Cli.Bench;

/// <summary><c>lowrank bench growth</c>: how peak memory and step time grow with the data, the tokens per step and the
/// model.</summary>
internal sealed class GrowthBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new GrowthOptions();
        var grows = new Argument<string[]>("what")
        {
            Description = $"What to grow: any of {string.Join(", ", GrowthOptions.Known)}. Default: all.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var rows = new Option<int>("--rows")
        {
            Description =
                "Rows of the smallest data set, with 64 tokens each; also measured with 4 and 16 times as many.",
            DefaultValueFactory = _ => defaults.Rows,
        };
        var tokens = new Option<int>("--tokens")
        {
            Description =
                "Tokens of the smallest step; also measured with 2, 4 and 8 times as many, through more rows and " +
                "through longer ones.",
            DefaultValueFactory = _ => defaults.Tokens,
        };
        var layers = new Option<int>("--layers")
        {
            Description = "Layers of the smallest model; also measured with 2 and 4 times as many.",
            DefaultValueFactory = _ => defaults.Layers,
        };
        var steps = new Option<int>("--steps")
        {
            Description = "Steps per run; the fastest after the first counts.",
            DefaultValueFactory = _ => defaults.Steps,
        };
        var rounds = new Option<int>("--rounds")
        {
            Description = "Processes per run; the fastest step and the lowest peak count.",
            DefaultValueFactory = _ => defaults.Rounds,
        };
        var plot = new Option<string?>("--plot") { Description = "Plot each series to an SVG file in this folder." };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print JSON: each series with its points, and the lines fitted to memory (bytes above the weights) " +
                "and time (processor nanoseconds per step).",
        };
        var recipe = new Option<string?>("--recipe")
        {
            Description =
                "Run this recipe in this process and print its peak memory and fastest step as one line of JSON.",
            Hidden = true,
        };
        return new Command("growth",
            "Measure how peak memory and step time grow, and how close to linear. Uses the embedded base's shape " +
            "with random weights; each run is a separate process with one thread.")
            { grows, rows, tokens, layers, steps, rounds, plot, json, recipe }
            .Does(parsed => parsed.GetValue(recipe) is { } path ? GrowthRun.Measure(path) : Run(new GrowthOptions
            {
                Grows = parsed.GetValue(grows) is { Length: > 0 } named ? named : GrowthOptions.Known,
                Rows = parsed.GetValue(rows),
                Tokens = parsed.GetValue(tokens),
                Layers = parsed.GetValue(layers),
                Steps = parsed.GetValue(steps),
                Rounds = parsed.GetValue(rounds),
            }, parsed.GetValue(plot), parsed.GetValue(json)),
                OptionUse.Always(layers, steps, rounds, plot, json, recipe),
                OptionUse.Unless(
                    rows, parsed => Grows(parsed, "rows") ? null : "has no effect unless rows grow"),
                OptionUse.Unless(tokens, parsed => Grows(parsed, "tokens", "length") ? null
                    : "has no effect unless tokens or length grows"));

        // An unknown name may have been meant as any of them; it is reported together with the other problems.
        bool Grows(ParseResult parsed, params string[] any) =>
            parsed.GetValue(grows) is not { Length: > 0 } named
                || named.Any(name => any.Contains(name) || !GrowthOptions.Known.Contains(name));
    }

    private static int Run(GrowthOptions options, string? plot, bool json)
    {
        GrowthMeasurement found = GrowthBench.Run(options);
        if (plot is not null) GrowthPlot.Write(found, plot);
        if (json) MeasuredJson.Write(found);
        else GrowthView.Show(found);
        return ExitCodes.Success;
    }
}

/// <summary>The smallest run of each series, and how often each run is measured.</summary>
internal sealed record GrowthOptions
{
    /// <summary>Tokens per row unless rows grow.</summary>
    public const int RowLength = 128;

    /// <summary>The quantities that can grow.</summary>
    public static IReadOnlyList<string> Known { get; } = ["rows", "tokens", "length", "weights"];

    /// <summary>The quantities to grow; some of <see cref="Known"/>.</summary>
    public IReadOnlyList<string> Grows { get; init; } = Known;

    /// <summary>Rows of the smallest data set; also measured with 4 and 16 times as many.</summary>
    public int Rows { get; init; } = 2000;

    /// <summary>Tokens of the smallest step; also measured with 2, 4 and 8 times as many.</summary>
    public int Tokens { get; init; } = 512;

    /// <summary>Layers of the smallest model; also measured with 2 and 4 times as many.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>Steps per run. During the first ones the runtime recompiles the kernels, which counts as processor
    /// time.</summary>
    public int Steps { get; init; } = 40;

    /// <summary>Processes per point. The fastest step and the lowest peak count, because other programs and the garbage
    /// collector only add to them.</summary>
    public int Rounds { get; init; } = 1;

    /// <summary>Refuses options that cannot be measured.</summary>
    /// <exception cref="InputException">Lists every invalid option.</exception>
    public void Check()
    {
        List<string> problems = [];
        foreach (string name in Grows.Where(name => !Known.Contains(name)))
            problems.Add($"Found \"{name}\"; expected any of {string.Join(", ", Known)}, or nothing for all.");
        if (Rows < 64) problems.Add($"--rows is {Rows}; expected 64 or more.");
        if (Tokens < RowLength || Tokens % RowLength != 0)
            problems.Add($"--tokens is {Tokens}; expected a multiple of {RowLength}, the tokens of a row.");
        if (Layers < 1) problems.Add($"--layers is {Layers}; expected 1 or more.");
        if (Steps < 2) problems.Add($"--steps is {Steps}; expected 2 or more, because the first is not timed.");
        if (Rounds < 1) problems.Add($"--rounds is {Rounds}; expected 1 or more.");
        if (problems.Count > 0) throw new InputException("Nothing can be measured:", problems);
    }
}

/// <summary>Shows the series as tables: the runs and the fitted lines.</summary>
internal static class GrowthView
{
    public static void Show(GrowthMeasurement found)
    {
        Table lines = Screen.TableOf("", "per unit", "at zero", "largest deviation");
        foreach (GrowthSeries series in found.All)
        {
            Screen.Write(Runs(series));
            lines.AddRow($"{series.Grows}: peak above the weights",
                Text($"{series.Memory.Slope:#,0.##} bytes per {series.One}"),
                Text($"{series.Memory.Intercept / 1e6:0.0} MB"), Percent(series.Memory));
            lines.AddRow($"{series.Grows}: processor time of a step",
                Text($"{series.Time.Slope:#,0.##} ns per {series.One}"), Text($"{series.Time.Intercept / 1e6:0.0} ms"),
                Percent(series.Time));
        }
        Screen.Write(lines);
    }

    private static Table Runs(GrowthSeries series)
    {
        Table table = Screen.TableOf(
            series.Grows, "rows", "tokens per step", "weights", "peak MB", "above the weights", "step ms");
        foreach (GrowthPoint point in series.Points)
            table.AddRow("", Text($"{point.Rows:N0}"), Text($"{point.Tokens:N0}"), Text($"{point.Weights:N0}"),
                Text($"{point.PeakBytes / 1e6:0.0}"), Text($"{point.PeakAboveWeightsBytes / 1e6:0.0}"),
                Text($"{point.StepNanoseconds / 1e6:0.0}"));
        return table;
    }

    private static string Percent(GrowthLine line) => Text($"{100 * line.LargestDeviation:0.0} %");

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
