using System.Globalization;
using System.Text.Json.Nodes;

namespace LowRank.Pages;

/// <summary>The figures of docs/performance.md that are drawn from the measurements of <c>lowrank bench
/// serve</c>.</summary>
public static class ServeFigures
{
    /// <summary>The file of requests that arrive at random, without extension.</summary>
    public const string Load = "amd-avx2/serve_load";

    /// <summary>The files of texts that are written together, by the format of the weights.</summary>
    public static IReadOnlyDictionary<string, string> Batches { get; } = new Dictionary<string, string>
    {
        ["float32"] = "amd-avx2/serve", ["int8"] = "amd-avx2/serve_int8",
    };

    /// <summary>The figures by file name; none of what was not measured.</summary>
    /// <param name="measured">The measurements by file.</param>
    public static IReadOnlyDictionary<string, string> Draw(IReadOnlyDictionary<string, JsonObject> measured)
    {
        var figures = new Dictionary<string, string>();
        ChartSeries[] together = [.. Batches.Where(format => measured.ContainsKey(format.Value))
            .SelectMany(format => Together(format.Key, measured[format.Value]))];
        if (together.Length > 0)
            figures["serve_batches.svg"] =
                Figure("Tokens per second by texts that are written together", "texts", "tokens per second", together);
        if (measured.TryGetValue(Load, out JsonObject? load))
            figures["serve_load.svg"] = Figure("Time to the first token under load", "requests per second",
                "milliseconds", [Arrivals(load, "median", "first_token_median_seconds"),
                    Arrivals(load, "p99", "first_token_p99_seconds")]);
        return figures;
    }

    private static IEnumerable<ChartSeries> Together(string format, JsonObject measured)
    {
        yield return new ChartSeries(format, [.. measured["batches"]!.AsArray()
            .Select(batch => Point(Of(batch!["texts"]), Of(batch["tokens_per_second"])))]);
        yield return new ChartSeries(format + ", an adapter each",
            [Point(Of(measured["adapters"]), Of(measured["adapters_tokens_per_second"]))], IsJoined: false);
    }

    private static ChartSeries Arrivals(JsonObject measured, string name, string key) => new(name,
        [.. measured["loads"]!.AsArray()
            .Select(load => Point(Of(load!["requests_per_second"]), 1e3 * Of(load[key])))]);

    private static string Figure(string title, string across, string up, IReadOnlyList<ChartSeries> series)
    {
        IEnumerable<string> said = series.Select(one => $"{one.Name}: " + string.Join(", ", one.Points.Select(point =>
            string.Create(CultureInfo.InvariantCulture, $"{point.Label} at {point.X:0.##}"))));
        double[] wide = [.. series.SelectMany(one => one.Points).Select(point => point.X)],
            high = [.. series.SelectMany(one => one.Points).Select(point => point.Y)];
        return SvgChart.Lines(title, $"{string.Join("; ", said)}.", ChartAxis.Around(across, wide, fromZero: true),
            ChartAxis.Around(up, high, fromZero: true), series);
    }

    private static ChartPoint Point(double x, double y) =>
        new(x, y, string.Create(CultureInfo.InvariantCulture, $"{y:#,0}"));

    private static double Of(JsonNode? value) => value!.GetValue<double>();
}
