using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Xml.Linq;
using LowRank.Cli.Common;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Recipes;
using LowRank.Training;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;
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

/// <summary>Measures runs that differ in one quantity, each in its own process, as <c>lowrank train</c> runs
/// it.</summary>
internal sealed class GrowthBench : IDisposable
{
    private const int DataLength = 64, FewRows = 64, FewTokens = 1024;

    private readonly GrowthOptions options;
    private readonly string root = Directory.CreateTempSubdirectory("lowrank-growth-").FullName;
    private readonly Dictionary<int, BenchFolder> models = [];
    private int runs;

    private GrowthBench(GrowthOptions options) => this.options = options;

    /// <summary>Runs the measurements.</summary>
    /// <exception cref="InputException">The options cannot be measured.</exception>
    public static GrowthMeasurement Run(GrowthOptions options)
    {
        options.Check();
        using var bench = new GrowthBench(options);
        const int Length = GrowthOptions.RowLength;
        int layers = options.Layers, batch = options.Tokens / Length;
        return new GrowthMeasurement
        {
            Rows = bench.Series(
                "rows", "row", [1, 4, 16], factor => bench.Run(layers, options.Rows * factor, DataLength, 4)),
            Tokens = bench.Series(
                "tokens", "token", [1, 2, 4, 8], factor =>
                bench.Run(layers, Math.Max(FewRows, batch * factor), Length, batch * factor)),
            Length = bench.Series(
                "length", "token", [1, 2, 4, 8], factor => bench.Run(layers, FewRows, Length * factor, batch)),
            Weights = bench.Series(
                "weights", "weight", [1, 2, 4], factor =>
                bench.Run(layers * factor, FewRows, Length, FewTokens / Length)),
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (BenchFolder model in models.Values) model.Dispose();
        Directory.Delete(root, recursive: true);
    }

    private GrowthSeries? Series(string grows, string one, int[] factors, Func<int, GrowthPoint> run) =>
        options.Grows.Contains(grows) ? GrowthSeries.Of(grows, one, [.. factors.Select(run)]) : null;

    private GrowthPoint Run(int layers, int rows, int length, int batch)
    {
        if (!models.TryGetValue(layers, out BenchFolder? model))
            models[layers] = model = BenchFolder.Draw(Config(layers), $"base-{layers}");
        string folder = Directory.CreateDirectory(Path.Combine(root, $"{++runs}")).FullName;
        var input = new LoadInput(model.Path, folder, rows, length, batch, options.Steps, threads: 1);
        GrowthPoint[] found =
            [.. Enumerable.Range(0, options.Rounds)
            .Select(_ => BenchProcess.Run<GrowthPoint>("bench", "growth", "--recipe", input.Recipe).Found)];
        Directory.Delete(folder, recursive: true);
        return found[0] with { PeakBytes = found.Min(point => point.PeakBytes),
            StepNanoseconds = found.Min(point => point.StepNanoseconds) };
    }

    // The embedded base's shape with another number of layers, and enough positions for the longest rows.
    private static JsonObject Config(int layers)
    {
        JsonObject config = ModelShapes.Config("base");
        config["num_hidden_layers"] = layers;
        config["max_position_embeddings"] = 1 << 20;
        return config;
    }
}

/// <summary>A least-squares line through points.</summary>
/// <param name="Slope">The cost of one more unit.</param>
/// <param name="Intercept">The cost at zero.</param>
/// <param name="LargestDeviation">The largest distance of a point from the line, as a share of the point's
/// value.</param>
internal sealed record GrowthLine(double Slope, double Intercept, double LargestDeviation)
{
    /// <summary>Fits a line.</summary>
    /// <param name="points">At least two points, not all at the same position, none of them 0.</param>
    public static GrowthLine Fit(IReadOnlyList<(double X, double Y)> points)
    {
        double meanX = points.Average(point => point.X), meanY = points.Average(point => point.Y);
        double slope = points.Sum(point => (point.X - meanX) * (point.Y - meanY)) / points.Sum(
            point => (point.X - meanX) * (point.X - meanX));
        double intercept = meanY - slope * meanX;
        return new GrowthLine(
            slope, intercept, points.Max(point => Math.Abs(point.Y - intercept - slope * point.X) / Math.Abs(point.Y)));
    }
}

/// <summary>How memory and time grow with each quantity of a run; null for quantities that were not
/// requested.</summary>
internal sealed record GrowthMeasurement
{
    /// <summary>Rows of the data.</summary>
    public GrowthSeries? Rows { get; init; }

    /// <summary>Tokens per step, through more rows of the same length.</summary>
    public GrowthSeries? Tokens { get; init; }

    /// <summary>Tokens per step, through longer rows.</summary>
    public GrowthSeries? Length { get; init; }

    /// <summary>Weights of the model, through more layers.</summary>
    public GrowthSeries? Weights { get; init; }

    /// <summary>The series that were measured.</summary>
    internal IEnumerable<GrowthSeries> All => new[] { Rows, Tokens, Length, Weights }.OfType<GrowthSeries>();
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

/// <summary>Draws the series as SVG files, with the runs as points and the fitted line: one file for memory and one for
/// time per series.</summary>
internal static class GrowthPlot
{
    private const double Width = 760, Height = 440;

    /// <summary>Writes <c>SERIES_memory.svg</c> and <c>SERIES_time.svg</c> for each series.</summary>
    /// <param name="found">The measurements.</param>
    /// <param name="folder">The folder; created if it does not exist.</param>
    public static void Write(GrowthMeasurement found, string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (GrowthSeries series in found.All)
        {
            Draw(series, "memory", "peak above the weights, MB", series.Memory,
                point => point.PeakAboveWeightsBytes, folder);
            Draw(series, "time", "processor time of a step, ms", series.Time, point => point.StepNanoseconds, folder);
        }
    }

    private static void Draw(
        GrowthSeries series, string what, string label, GrowthLine line, Func<GrowthPoint, double> value, string folder)
    {
        const double Million = 1e6; // bytes in an MB, and nanoseconds in a millisecond
        string title = FormattableString.Invariant(
            $"{label} by {series.Grows}; {100 * line.LargestDeviation:0.0} % from the line at most");
        var model = new PlotModel { Title = title, Background = OxyColors.White, TitleFontSize = 15, TitlePadding = 12,
            Padding = new OxyThickness(16) };
        model.Axes.Add(
            new LinearAxis { Position = AxisPosition.Bottom, Title = series.Grows, Minimum = 0, StringFormat = "#,0",
            MaximumPadding = 0.05 });
        model.Axes.Add(
            new LinearAxis { Position = AxisPosition.Left, Title = label, AxisTitleDistance = 14, Minimum = 0,
            MaximumPadding = 0.1, MajorGridlineStyle = LineStyle.Solid, MajorGridlineColor = OxyColors.LightGray });
        var points = new LineSeries { LineStyle = LineStyle.None, MarkerType = MarkerType.Circle, MarkerSize = 5,
            MarkerFill = OxyColor.Parse("#0072b2") };
        points.Points.AddRange(
            series.Points.Select(point => new DataPoint(series.Amount(point), value(point) / Million)));
        var through = new LineSeries { Color = OxyColor.Parse("#59636e"), LineStyle = LineStyle.Dash,
            StrokeThickness = 1.5 };
        through.Points.AddRange(
            new[] { 0, points.Points[^1].X }.Select(
                x => new DataPoint(x, (line.Intercept + line.Slope * x) / Million)));
        model.Series.Add(through);
        model.Series.Add(points);
        string description =
            string.Join("; ",
            points.Points.Select(point => FormattableString.Invariant($"{point.X:#,0}: {point.Y:0.0}")));
        string svg = Accessible(SvgExporter.ExportToString(model, Width, Height, isDocument: true), title, description);
        AtomicFile.Write(
            Path.Combine(folder, $"{series.Grows}_{what}.svg"), stream => stream.Write(Encoding.UTF8.GetBytes(svg)));
    }

    // A title and a description for readers who cannot see the picture.
    private static string Accessible(string svg, string title, string description)
    {
        XDocument document = XDocument.Parse(svg);
        XNamespace space = "http://www.w3.org/2000/svg";
        document.Root!.SetAttributeValue("role", "img");
        document.Root.SetAttributeValue("viewBox", FormattableString.Invariant($"0 0 {Width} {Height}"));
        document.Root.AddFirst(new XElement(space + "title", title), new XElement(space + "desc", description));
        return document.ToString();
    }
}

/// <summary>A short training run in its own process.</summary>
/// <param name="Rows">Rows of the data.</param>
/// <param name="Tokens">Tokens per step.</param>
/// <param name="Weights">Weights of the model, without the adapter's.</param>
/// <param name="PeakBytes">Peak memory of the process.</param>
/// <param name="StepNanoseconds">Processor time of the fastest step on one thread, which other programs affect
/// least.</param>
internal sealed record GrowthPoint(int Rows, long Tokens, long Weights, long PeakBytes, double StepNanoseconds)
{
    /// <summary>The peak minus the weights, which are float32 and memory-mapped.</summary>
    [JsonPropertyOrder(1)]
    public long PeakAboveWeightsBytes => PeakBytes - sizeof(float) * Weights;
}

/// <summary>Runs a recipe in this process and records the step times and the peak memory of the process.</summary>
internal sealed class GrowthRun : ITrainingObserver
{
    private readonly List<TimeSpan> used = []; // processor time of the whole process at the end of each step

    /// <summary>Runs the recipe and prints a <see cref="GrowthPoint"/> as a line of JSON.</summary>
    public static int Measure(string path)
    {
        using RecipeRun run = RecipeRun.Prepare(Recipe.Load(path, []));
        var observer = new GrowthRun();
        TrainingResult result = run.Train(observer);
        double fastest =
            observer.used.Zip(observer.used.Skip(1), (before, after) => (after - before).TotalNanoseconds).Min();
        var point = new GrowthPoint(run.Rows.Training, result.Tokens / result.Steps, run.Model.Network.ParameterCount,
            ProcessMemory.PeakBytes(), fastest);
        Console.WriteLine(JsonSerializer.Serialize(point, JsonOutput.Compact));
        return ExitCodes.Success;
    }

    public void Started(TrainingPlan plan)
    {
        // The recipe already defines the plan.
    }

    public void Stepped(TrainingStep step) => used.Add(Environment.CpuUsage.TotalTime);

    public void Evaluated(EvaluationResult evaluation)
    {
        // The recipe has no validation data.
    }

    public void Finished(TrainingResult result)
    {
        // The caller gets the result.
    }
}

/// <summary>Runs that differ in one quantity.</summary>
/// <param name="Grows">The quantity.</param>
/// <param name="One">The name of one unit, for display.</param>
/// <param name="Points">The runs, the smallest first.</param>
/// <param name="Memory">The peak above the weights, in bytes, over the quantity.</param>
/// <param name="Time">The step time, in nanoseconds, over the quantity.</param>
internal sealed record GrowthSeries(
    string Grows, string One, IReadOnlyList<GrowthPoint> Points, GrowthLine Memory, GrowthLine Time)
{
    /// <summary>The amount of the quantity in a run.</summary>
    public double Amount(GrowthPoint point) =>
        Grows switch { "rows" => point.Rows, "weights" => point.Weights, _ => point.Tokens };

    /// <summary>Fits the lines.</summary>
    public static GrowthSeries Of(string grows, string one, IReadOnlyList<GrowthPoint> points)
    {
        var series = new GrowthSeries(grows, one, points, new GrowthLine(0, 0, 0), new GrowthLine(0, 0, 0));
        GrowthLine Fit(Func<GrowthPoint, double> value) =>
            GrowthLine.Fit([.. points.Select(point => (series.Amount(point), value(point)))]);
        return series with { Memory = Fit(point => point.PeakAboveWeightsBytes),
            Time = Fit(point => point.StepNanoseconds) };
    }
}

/// <summary>Shows the series as tables: the runs and the fitted lines.</summary>
internal static class GrowthView
{
    public static void Show(GrowthMeasurement found)
    {
        var lines = new Table().Border(TableBorder.Simple).AddColumn("");
        foreach (string column in (string[])["per unit", "at zero", "largest deviation"])
            lines.AddColumn(new TableColumn(column).RightAligned());
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
        var table = new Table().Border(TableBorder.Simple).AddColumn(series.Grows);
        foreach (
            string column in (string[])["rows", "tokens per step", "weights", "peak MB", "above the weights",
                "step ms"])
            table.AddColumn(new TableColumn(column).RightAligned());
        foreach (GrowthPoint point in series.Points)
            table.AddRow("", Text($"{point.Rows:N0}"), Text($"{point.Tokens:N0}"), Text($"{point.Weights:N0}"),
                Text($"{point.PeakBytes / 1e6:0.0}"), Text($"{point.PeakAboveWeightsBytes / 1e6:0.0}"),
                Text($"{point.StepNanoseconds / 1e6:0.0}"));
        return table;
    }

    private static string Percent(GrowthLine line) => Text($"{100 * line.LargestDeviation:0.0} %");

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
