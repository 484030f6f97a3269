using System.Text.Json;

namespace LowRank.SpeedTests;

/// <summary>What <c>lowrank bench growth</c> promises of memory, by small runs.</summary>
[Collection(MeasuredCollection.Name)]
public sealed class GrowthTests(MeasuredMachine machine)
{
    // The collector waits for as many new bytes as the processor has cache before it looks at them: up to a hundred MB,
    // which say nothing of the program.
    // hexadecimal: 4 MB
    private static readonly Dictionary<string, string> Collected = new() { ["DOTNET_GCgen0size"] = "400000" };

    [Fact]
    public void Memory_is_flat_in_data_and_linear_in_tokens()
    {
        machine.SkipWhenDisturbed();
        SeenAgain.Fail(() =>
        {
            using JsonDocument json = JsonDocument.Parse(
                CommandLine.RunWith(Collected, "bench", "growth", "rows", "tokens", "--rows", "256", "--tokens", "512",
                "--layers", "2", "--steps", "2", "--json").Succeeded().Output);
            return Wrong(json.RootElement);
        });
    }

    private static string? Wrong(JsonElement found)
    {
        // A row of 64 tokens is a kilobyte or two in memory; what the garbage collector leaves lying comes on top.
        double[] byRows = Peaks(found, "rows"), byTokens = Peaks(found, "tokens");
        double flat = byRows[2] - byRows[0];
        if (flat is < -24e6 or > (4096 * 4096) + 24e6)
            return $"4096 rows take {flat / 1e6:0.0} MB more than 256, expected 40.8 at most";
        JsonElement line = found.GetProperty("tokens").GetProperty("memory");
        double each = line.GetProperty("slope").GetDouble(), deviation = line.GetProperty("largest_deviation")
            .GetDouble(), whole = byTokens[3] - byTokens[0];
        double second = (byTokens[3] - byTokens[2]) / 2048 / each; // a second half that costs what the first did
        if (deviation > 0.15) return $"memory by tokens is {deviation:0.00} from a line, expected 0.15 at most";
        if (whole <= 64e6)
            return $"4096 tokens take {whole / 1e6:0.0} MB more than 512, too few to be seen in the memory";
        return second is < 0.6 or > 1.5
            ? $"the second half of the tokens takes {second:0.00} times what a line has, expected 0.6 to 1.5" : null;
    }

    private static double[] Peaks(JsonElement found, string series) =>
        [.. found.GetProperty(series).GetProperty("points").EnumerateArray()
        .Select(point => point.GetProperty("peak_bytes").GetDouble())];
}
