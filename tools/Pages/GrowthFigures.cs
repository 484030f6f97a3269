using System.Globalization;
using System.Text.Json.Nodes;

namespace LowRank.Pages;

/// <summary>The figures of docs/performance.md, drawn from the measurements of <c>lowrank bench growth</c>: runs as
/// marks, with fitted lines.</summary>
public static class GrowthFigures
{
    /// <summary>The file with the measurements, without extension.</summary>
    public const string File = "amd-avx512/growth";

    private const double Million = 1e6; // bytes in an MB, and nanoseconds in a millisecond

    /// <summary>The figures by file name.</summary>
    /// <param name="growth">The measurements.</param>
    public static IReadOnlyDictionary<string, string> Draw(JsonObject growth) => new Dictionary<string, string>
    {
        ["growth_rows.svg"] =
            Figure(growth, "Peak memory by rows of data", "rows of 64 tokens", "memory",
            [("rows", "rows", "peak above the weights")]),
        ["growth_tokens.svg"] = Figure(growth, "Peak memory by tokens per step", "tokens per step", "memory",
            [("tokens", "tokens", "more rows of 128"), ("length", "tokens", "longer rows")]),
        ["growth_time.svg"] =
            Figure(growth, "Step time by tokens per step", "tokens per step", "time",
            [("tokens", "tokens", "more rows of 128"), ("length", "tokens", "longer rows")]),
        ["growth_weights.svg"] =
            Figure(growth, "Step time by the model's weights", "million weights", "time",
            [("weights", "weights", "more layers")]),
    };

    private static string Figure(
        JsonObject growth, string title, string axis, string what,
        IReadOnlyList<(string Key, string Amount, string Name)> shown)
    {
        List<ChartSeries> series = [];
        List<string> said = [];
        foreach ((string key, string amount, string name) in shown)
        {
            JsonObject found = growth[key]!.AsObject();
            List<ChartPoint> points =
                [.. found["points"]!.AsArray().Select(point => Point(point!.AsObject(), amount, what))];
            double deviation = Of(found[what]!["largest_deviation"]);
            series.Add(
                new ChartSeries(string.Create(CultureInfo.InvariantCulture, $"line, {100 * deviation:0.#} % off"),
                Line(found[what]!.AsObject(), amount, points)));
            series.Add(new ChartSeries(name, points, IsJoined: false)); // upon the line
            IEnumerable<string> labels = points.Select(point =>
                string.Create(CultureInfo.InvariantCulture, $"{point.Label} at {point.X:#,0.##}"));
            said.Add($"{name}: {string.Join(", ", labels)}");
        }
        double[] wide = [.. series.SelectMany(one => one.Points).Select(point => point.X)],
            high = [.. series.SelectMany(one => one.Points).Select(point => point.Y)];
        return SvgChart.Lines(title, $"{string.Join("; ", said)}.", ChartAxis.Around(axis, wide, fromZero: true),
            ChartAxis.Around(what == "memory" ? "peak above the weights, MB" : "processor time per step, ms", high,
                fromZero: true), series);
    }

    private static ChartPoint Point(JsonObject point, string amount, string what)
    {
        double value = Of(point[what == "memory" ? "peak_above_weights_bytes" : "step_nanoseconds"]) / Million;
        return new ChartPoint(
            Of(point[amount]) / Unit(amount), value,
            string.Create(CultureInfo.InvariantCulture, $"{value:#,0} {(what == "memory" ? "MB" : "ms")}"));
    }

    // Draws the line only between the first and the last point.
    private static List<ChartPoint> Line(JsonObject line, string amount, List<ChartPoint> points) =>
        [.. new[] { points[0].X, points[^1].X }
        .Select(x => new ChartPoint(x, (Of(line["intercept"]) + Of(line["slope"]) * x * Unit(amount)) / Million))];

    private static double Unit(string amount) => amount == "weights" ? Million : 1;

    private static double Of(JsonNode? value) => value!.GetValue<double>();
}
