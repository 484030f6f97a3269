using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary>Reads a run's metrics.jsonl.</summary>
internal static class Metrics
{
    /// <summary>The steps in the order of their lines; every line is read, so a torn one fails.</summary>
    public static IReadOnlyList<int> Steps(string path) =>
        [.. File.ReadLines(path).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(line => !line.TryGetProperty("eval_loss", out _))
            .Select(line => line.GetProperty("step").GetInt32())];
}
