using System.Text.Json;

namespace LowRank.EndToEndTests;

/// <summary><c>lowrank bench growth</c>, and what it promises of memory.</summary>
public sealed class GrowthBenchTests
{
    [Fact]
    public void Memory_is_flat_in_data_and_linear_in_tokens()
    {
        using var folder = new TemporaryFolder();
        using JsonDocument json = JsonDocument.Parse(CommandLine.Run("bench", "growth", "rows", "tokens", "--rows", "256", "--tokens", "512", "--layers", "2", "--steps", "2",
            "--plot", folder["plots"], "--json").Succeeded().Output);
        JsonElement found = json.RootElement;
        Assert.Equal([256, 1024, 4096], Values(found, "rows", "rows"));
        Assert.Equal([512, 1024, 2048, 4096], Values(found, "tokens", "tokens"));

        // A row of 64 tokens is a kilobyte or two in memory; what the garbage collector leaves lying comes on top.
        double[] byRows = Values(found, "rows", "peak_bytes");
        Assert.InRange(byRows[2] - byRows[0], -24e6, 4096 * 4096 + 24e6);

        double[] byTokens = Values(found, "tokens", "peak_bytes");
        double each = Line(found, "slope");
        Assert.InRange(Line(found, "largest_deviation"), 0, 0.15);
        Assert.True(byTokens[3] - byTokens[0] > 64e6, "the tokens are too few to be seen in the memory");
        Assert.InRange((byTokens[3] - byTokens[2]) / 2048 / each, 0.6, 1.5); // a second half that costs what the first did

        Assert.Equal(["rows_memory.svg", "rows_time.svg", "tokens_memory.svg", "tokens_time.svg"], Directory.GetFiles(folder["plots"]).Select(Path.GetFileName).Order());
        Assert.False(found.TryGetProperty("weights", out JsonElement weights) && weights.ValueKind != JsonValueKind.Null);
    }

    [Fact]
    public void What_cannot_be_measured_is_refused_all_at_once()
    {
        CommandResult refused = CommandLine.Run("bench", "growth", "columns", "--tokens", "100", "--steps", "1");
        Assert.Equal(2, refused.ExitCode);
        foreach (string said in new[] { "\"columns\"", "--tokens is 100", "--steps is 1" }) Assert.Contains(said, refused.Error);
    }

    private static double[] Values(JsonElement found, string series, string name) =>
        [.. found.GetProperty(series).GetProperty("points").EnumerateArray().Select(point => point.GetProperty(name).GetDouble())];

    private static double Line(JsonElement found, string name) => found.GetProperty("tokens").GetProperty("memory").GetProperty(name).GetDouble();
}
