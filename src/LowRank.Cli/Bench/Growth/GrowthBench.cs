using System.Text.Json.Nodes;
using LowRank.Cli.Bench.Load;

namespace LowRank.Cli.Bench.Growth;

/// <summary>Measures runs that differ in one thing, each as <c>lowrank train</c> runs it in a process of its own.</summary>
internal sealed class GrowthBench : IDisposable
{
    private const int DataLength = 64, FewRows = 64, FewTokens = 1024;

    private readonly GrowthOptions options;
    private readonly string root = Directory.CreateTempSubdirectory("lowrank-growth-").FullName;
    private readonly Dictionary<int, BenchFolder> models = [];
    private int runs;

    private GrowthBench(GrowthOptions options) => this.options = options;

    /// <summary>Measures.</summary>
    /// <exception cref="InputException">The options name what cannot be measured.</exception>
    public static GrowthMeasurement Run(GrowthOptions options)
    {
        options.Check();
        using var bench = new GrowthBench(options);
        const int Length = GrowthOptions.RowLength;
        int layers = options.Layers, batch = options.Tokens / Length;
        return new GrowthMeasurement
        {
            Rows = bench.Series("rows", "row", [1, 4, 16], factor => bench.Run(layers, options.Rows * factor, DataLength, 4)),
            Tokens = bench.Series("tokens", "token", [1, 2, 4, 8], factor => bench.Run(layers, Math.Max(FewRows, batch * factor), Length, batch * factor)),
            Length = bench.Series("length", "token", [1, 2, 4, 8], factor => bench.Run(layers, FewRows, Length * factor, batch)),
            Weights = bench.Series("weights", "weight", [1, 2, 4], factor => bench.Run(layers * factor, FewRows, Length, FewTokens / Length)),
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
        if (!models.TryGetValue(layers, out BenchFolder? model)) models[layers] = model = BenchFolder.Draw(Config(layers), $"base-{layers}");
        string folder = Directory.CreateDirectory(Path.Combine(root, $"{++runs}")).FullName;
        var input = new LoadInput(model.Path, folder, rows, length, batch, options.Steps, threads: 1);
        GrowthPoint[] found = [.. Enumerable.Range(0, options.Rounds).Select(_ => BenchProcess.Run<GrowthPoint>("bench", "growth", "--recipe", input.Recipe).Found)];
        Directory.Delete(folder, recursive: true);
        return found[0] with { PeakBytes = found.Min(point => point.PeakBytes), StepNanoseconds = found.Min(point => point.StepNanoseconds) };
    }

    // The embedded base's shape with other layers, and positions for the longest rows.
    private static JsonObject Config(int layers)
    {
        JsonObject config = ModelShapes.Config("base");
        config["num_hidden_layers"] = layers;
        config["max_position_embeddings"] = 1 << 20;
        return config;
    }
}
