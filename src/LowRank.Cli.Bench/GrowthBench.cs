using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace LowRank.Cli.Bench;

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
