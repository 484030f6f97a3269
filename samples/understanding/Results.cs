using System.Text.Json;

namespace LowRank.Samples.Understanding;

/// <summary>What all runs measured; a file that is written after every run, so that nothing is lost.</summary>
internal sealed class Results
{
    private static readonly JsonSerializerOptions Options = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private string path = "";

    /// <summary>The machine that the runs were made on.</summary>
    public string Machine { get; set; } = "";

    /// <summary>The day of the last run.</summary>
    public string Date { get; set; } = "";

    /// <summary>The runs by group and name.</summary>
    public SortedDictionary<string, RunResult> Runs { get; set; } = new(StringComparer.Ordinal);

    /// <summary>Milliseconds a token of the adapter unmerged and merged, by round; both of a round one after the other.</summary>
    public List<double[]> Latency { get; set; } = [];

    public static Results Load(string path)
    {
        Results results = File.Exists(path) ? JsonSerializer.Deserialize<Results>(File.ReadAllText(path), Options)! : new Results();
        results.path = path;
        return results;
    }

    public void Save()
    {
        Machine = $"{Environment.ProcessorCount} cores, {Processor()}";
        Date = DateTime.UtcNow.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, JsonSerializer.Serialize(this, Options) + "\n");
    }

    private static string Processor()
    {
        if (!File.Exists("/proc/cpuinfo")) return "unknown processor";
        string? flags = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("flags", StringComparison.Ordinal));
        return flags is null ? "unknown processor" : flags.Contains("avx512f") ? "AVX-512" : flags.Contains("avx2") ? "AVX2" : "no AVX2";
    }
}
