using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary><c>lowrank bench growth</c>. What it finds is held by <c>GrowthTests</c> of the speed tests, which measure
/// alone.</summary>
public sealed class GrowthBenchTests
{
    [Fact]
    public void Runs_are_measured_and_drawn_for_what_is_asked_for()
    {
        using var folder = new TemporaryFolder();
        using JsonDocument json = JsonDocument.Parse(
            CommandLine.Run("bench", "growth", "rows", "--rows", "64", "--layers", "1", "--steps", "2", "--plot",
            folder["plots"], "--json").Succeeded().Output);
        JsonElement rows = json.RootElement.GetProperty("rows");
        Assert.Equal([64, 256, 1024], Values(rows, "rows"));
        Assert.All(Values(rows, "peak_bytes"), bytes => Assert.True(bytes > 1e6));
        Assert.All(Values(rows, "step_nanoseconds"), time => Assert.True(time > 0));
        Assert.True(rows.GetProperty("memory").GetProperty("largest_deviation").GetDouble() >= 0);
        Assert.Equal(["rows_memory.svg", "rows_time.svg"], Directory.GetFiles(folder["plots"])
            .Select(Path.GetFileName).Order());
        Assert.False(json.RootElement.TryGetProperty("weights", out JsonElement weights)
            && weights.ValueKind != JsonValueKind.Null);
    }

    [Fact]
    public void What_cannot_be_measured_is_refused_all_at_once()
    {
        CommandResult refused = CommandLine.Run("bench", "growth", "columns", "--tokens", "100", "--steps", "1");
        Assert.Equal(2, refused.ExitCode);
        foreach (string said in new[] { "\"columns\"", "--tokens is 100", "--steps is 1" })
            Assert.Contains(said, refused.Error);
    }

    private static double[] Values(JsonElement series, string name) =>
        [.. series.GetProperty("points").EnumerateArray().Select(point => point.GetProperty(name).GetDouble())];
}
