using System.Globalization;
using System.Text.Json.Nodes;

namespace LowRank.Pages;

/// <summary>The figures of docs/performance.md, drawn from what <c>lowrank bench growth</c> measured: runs as marks,
/// the lines fitted to them.</summary>
public static class GrowthFigures
{
    /// <summary>The name of the file that they are drawn from, without the ending.</summary>
    public const string File = "growth";

    private const double Million = 1e6; // bytes in an MB, and nanoseconds in a millisecond

    /// <summary>The figures by file name.</summary>
    /// <param name="growth">What was measured.</param>
    public static IReadOnlyDictionary<string, string> Draw(JsonObject growth) => new Dictionary<string, string>
    {
        ["growth_rows.svg"] =
            Figure(growth, "Peak memory by rows of data", "rows of 64 tokens", "memory",
            [("rows", "rows", "peak above the weights")]),
        ["growth_tokens.svg"] = Figure(growth, "Peak memory by tokens of a step", "tokens of a step", "memory",
            [("tokens", "tokens", "more rows of 128"), ("length", "tokens", "longer rows")]),
        ["growth_time.svg"] =
            Figure(growth, "Time of a step by its tokens", "tokens of a step", "time",
            [("tokens", "tokens", "more rows of 128"), ("length", "tokens", "longer rows")]),
        ["growth_weights.svg"] =
            Figure(growth, "Time of a step by the model's weights", "million weights", "time",
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
            said.Add(
                $"{name}: " +
                $"{string.Join(", ", points.Select(point => string.Create(CultureInfo.InvariantCulture, $"{point.Label} at {point.X:#,0.##}")))}");
        }
        double[] wide = [.. series.SelectMany(one => one.Points).Select(point => point.X)],
            high = [.. series.SelectMany(one => one.Points).Select(point => point.Y)];
        return SvgChart.Lines(title, $"{string.Join("; ", said)}.", ChartAxis.Around(axis, wide, fromZero: true),
            ChartAxis.Around(what == "memory" ? "peak above the weights, MB" : "processor time of a step, ms", high,
                fromZero: true), series);
    }

    private static ChartPoint Point(JsonObject point, string amount, string what)
    {
        double value = Of(point[what == "memory" ? "peak_above_weights_bytes" : "step_nanoseconds"]) / Million;
        return new ChartPoint(
            Of(point[amount]) / Unit(amount), value,
            string.Create(CultureInfo.InvariantCulture, $"{value:#,0} {(what == "memory" ? "MB" : "ms")}"));
    }

    // From the first point to the last: nothing is known beyond them.
    private static List<ChartPoint> Line(JsonObject line, string amount, List<ChartPoint> points) =>
        [.. new[] { points[0].X, points[^1].X }
        .Select(x => new ChartPoint(x, (Of(line["intercept"]) + Of(line["slope"]) * x * Unit(amount)) / Million))];

    private static double Unit(string amount) => amount == "weights" ? Million : 1;

    private static double Of(JsonNode? value) => value!.GetValue<double>();
}
