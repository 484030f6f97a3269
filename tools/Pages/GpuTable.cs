using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Pages;

/// <summary>The table of what <c>bench/gpu</c> measured, whatever of it is there.</summary>
public static class GpuTable
{
    /// <summary>The folder of the measurements.</summary>
    public const string Folder = PerformancePage.Folder + "gpu/";

    private const string Missing = "—";
    private const string Peft = "_peft";

    private static readonly (string Kind, string Says)[] Kinds =
    [
        ("float32", "float32"), ("tf32", "TF32"), ("bfloat16", "`compute_dtype: bfloat16`"),
        ("nf4", "`base_dtype: nf4` and bfloat16 products"), ("checkpointing", "bfloat16, `gradient_checkpointing`"),
    ];

    /// <summary>Reads the measurements.</summary>
    /// <param name="repository">The repository's folder.</param>
    /// <returns>The objects by file name, without extension; none if nothing was measured.</returns>
    public static IReadOnlyDictionary<string, JsonObject> Load(string repository)
    {
        string folder = Path.Combine(repository, Folder);
        return !Directory.Exists(folder) ? new Dictionary<string, JsonObject>()
            : Directory.GetFiles(folder, "*.json").Order(StringComparer.Ordinal).ToDictionary(
                path => Path.GetFileNameWithoutExtension(path), path =>
                JsonNode.Parse(File.ReadAllText(path))!.AsObject());
    }

    /// <summary>The table, or a sentence if nothing was measured.</summary>
    /// <param name="measured">The measurements by file.</param>
    public static string Render(IReadOnlyDictionary<string, JsonObject> measured)
    {
        if (measured.Count == 0) return "Not measured yet: no machine with a GPU has run `bench/gpu`.\n";
        JsonObject first = measured.Values.First();
        var table = new StringBuilder(
            $"Machine: {first["machine"]!.GetValue<string>()}, commit {first["commit"]!.GetValue<string>()}.\n\n" +
            "| llama shape | numbers | tokens per second | share of the limit | memory of the GPU, GB | PEFT, tokens " +
            "per second | times PEFT |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |\n");
        foreach (string size in (string[])["1b", "8b"])
            foreach ((string kind, string says) in Kinds)
                if (measured.TryGetValue($"gpu_{size}_{kind}", out JsonObject? own))
                    table.Append(Row(size, says, own, measured.GetValueOrDefault($"gpu_{size}_{kind}{Peft}")));
        return table.ToString();
    }

    private static string Row(string size, string says, JsonObject own, JsonObject? peft)
    {
        string head = $"| {size.ToUpperInvariant()} | {says} |";
        if (own["failed"] is { } reason)
            return $"{head} failed: {reason.GetValue<string>().Replace('|', '/')} | | | | |\n";
        double? rate = Number(own, "tokens_per_second"), theirs = Number(peft, "tokens_per_second");
        return string.Create(CultureInfo.InvariantCulture,
            $"{head} {rate:0} | {Number(own, "share_of_limit"):0%} | " +
            $"{Text(Number(own, "device_memory_bytes") / 1e9, "0.0")} | {Text(theirs, "0")} | " +
            $"{Text(rate / theirs, "0.00")} |\n");
    }

    private static double? Number(JsonObject? found, string key) => found?[key]?.GetValue<double>();

    private static string Text(double? value, string format) =>
        value?.ToString(format, CultureInfo.InvariantCulture) ?? Missing;
}
