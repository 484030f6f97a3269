using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.Cli.Commands;
using LowRank.Pages;

namespace LowRank.Tools.Tests;

/// <summary>docs/performance.md says what was measured, and what was measured keeps what is promised.</summary>
public sealed partial class PerformancePageTests
{
    private static IReadOnlyDictionary<string, JsonObject> Measured => PerformancePage.Load(RepositoryFiles.Root);

    [Fact]
    public void The_page_has_the_measured_numbers()
    {
        string text = RepositoryFiles.Read(PerformancePage.Path);
        Assert.True(Mark().Count(text) > 10, "the scan is broken");
        Assert.DoesNotMatch(@"\| [0-9.]{7,} \|", text); // bytes or operations in place of GB or GFLOP
        Assert.Equal(PerformancePage.Fill(text, Measured, GpuTable.Load(RepositoryFiles.Root)), text);
        IReadOnlyDictionary<string, JsonObject> changed = Measured;
        changed["amd-avx512/optimizer"]["step_over_copy"] = 7.0;
        Assert.NotEqual(PerformancePage.Fill(text, changed), text);
        string commands = RepositoryFiles.Read(PerformancePage.CommandsPath);
        Assert.Equal(PerformancePage.Fill(commands, Measured), commands);
        Assert.All(Measurements.All,
            measurement => Assert.Contains(measurement.Command, commands, StringComparison.Ordinal));
    }

    [Fact]
    public void The_table_of_a_gpu_shows_what_was_measured_and_what_failed()
    {
        JsonObject Object(string json) => JsonNode.Parse(json)!.AsObject();
        var measured = new Dictionary<string, JsonObject>
        {
            ["gpu_1b_tf32"] = Object("""
                {"machine": "a machine", "commit": "0123456789", "tokens_per_second": 20000.4, "share_of_limit": 0.5,
                 "device_memory_bytes": 12340000000}
                """),
            ["gpu_1b_tf32_peft"] = Object("""{"tokens_per_second": 10000}"""),
            ["gpu_8b_float32"] = Object("""{"machine": "a", "commit": "b", "failed": "out of memory"}"""),
        };
        string text = PerformancePage.Fill("a <!-- gpu -->old<!-- /gpu --> b", Measured, measured);
        Assert.Contains("| 1B | TF32 | 20000 | 50% | 12.3 | 10000 | 2.00 |", text, StringComparison.Ordinal);
        Assert.Contains("| 8B | float32 | failed: out of memory |", text, StringComparison.Ordinal);
        Assert.Contains("a machine, commit 0123456789", text, StringComparison.Ordinal);
        Assert.Contains("Not measured yet", PerformancePage.Fill(text, Measured), StringComparison.Ordinal);
    }

    [Fact]
    public void Each_measurement_says_command_machine_and_commit()
    {
        Measurement[] known = [.. Measurements.All, .. Measurements.Former];
        // Whoever measures one of these takes it from the list.
        string[] unmeasured =
            ["train_bfloat16", "train_bfloat16_llama"];
        Assert.Equal(known.Select(measurement => measurement.Name).Except(unmeasured).Order(StringComparer.Ordinal),
            Measured.Keys.Select(NameOf).Distinct().Order(StringComparer.Ordinal));
        Assert.All(Measured, file =>
        {
            (string path, JsonObject measured) = file;
            Measurement measurement = known.Single(one => one.Name == NameOf(path));
            // The files of a GPU lie in the folder itself, the others in that of a kind of processor.
            Assert.Equal(measurement.NeedsGpu, path == measurement.Name);
            Assert.Equal(measurement.Command, measured["command"]!.GetValue<string>());
            Assert.Contains("cores", measured["machine"]!.GetValue<string>(), StringComparison.Ordinal);
            Assert.Matches("^[0-9a-f]{10}$", measured["commit"]!.GetValue<string>());
            if (measurement.Limit is { } limit) Assert.Equal(limit.Vectors, measured["vectors"]!.GetValue<string>());
        });
    }

    [Fact]
    public void Everything_that_is_measured_is_shown()
    {
        string text = RepositoryFiles.Read(PerformancePage.Path) + RepositoryFiles.Read(PerformancePage.CommandsPath);
        string[] tables = [.. PerformanceTable.All
            .Where(table => text.Contains($"<!-- table: {table.Name} -->", StringComparison.Ordinal))
            .SelectMany(table => table.Files(Measured)).Distinct()];
        Assert.All(Measured.Keys.Where(path => !tables.Contains(path)),
            path => Assert.Matches($"<!-- (json|parts|shapes): {path} ", text));
        Assert.All(PerformanceTable.All,
            table => Assert.Contains($"<!-- table: {table.Name} -->", text, StringComparison.Ordinal));
        string[] benchmarks = [.. new LowRank.Cli.Bench.BenchCommand().Build().Subcommands
            .Select(command => command.Name)];
        Assert.True(benchmarks.Length > 5, "the scan is broken");
        Assert.All(benchmarks, name => Assert.Matches($"(?m)^    lowrank bench {name} .*# ", text));
    }

    [Fact]
    public void Figures_are_drawn_from_what_was_measured_and_shown_with_words()
    {
        IReadOnlyDictionary<string, string> figures = PerformancePage.Figures(Measured);
        foreach ((string file, string svg) in figures)
        {
            Assert.Equal(svg, RepositoryFiles.Read(PerformancePage.Folder + file));
            Assert.DoesNotContain("NaN", svg, StringComparison.Ordinal);
        }
        Assert.Equal(figures.Keys.Order(), Image().Matches(RepositoryFiles.Read(PerformancePage.Path))
            .Select(image => image.Groups["file"].Value).Order());
        JsonObject changed = Measured[GrowthFigures.File];
        changed["rows"]!["points"]![0]!["peak_above_weights_bytes"] = 1.0;
        Assert.NotEqual(figures["growth_rows.svg"], GrowthFigures.Draw(changed)["growth_rows.svg"]);
    }

    [Fact]
    public void What_is_served_is_drawn_where_it_was_measured()
    {
        JsonObject Object(string json) => JsonNode.Parse(json)!.AsObject();
        IReadOnlyDictionary<string, string> figures = ServeFigures.Draw(new Dictionary<string, JsonObject>
        {
            ["amd-avx2/serve_int8"] = Object("""
                {"batches": [{"texts": 1, "tokens_per_second": 100}, {"texts": 8, "tokens_per_second": 321}],
                 "adapters": 8, "adapters_tokens_per_second": 300}
                """),
            [ServeFigures.Load] = Object("""
                {"loads": [
                  {"requests_per_second": 1, "first_token_median_seconds": 0.2, "first_token_p99_seconds": 1.5},
                  {"requests_per_second": 2, "first_token_median_seconds": 0.3, "first_token_p99_seconds": 2}]}
                """),
        });
        Assert.Contains("int8: 100 at 1, 321 at 8; int8, an adapter each: 300 at 8", figures["serve_batches.svg"],
            StringComparison.Ordinal);
        Assert.Contains("p99: 1,500 at 1, 2,000 at 2", figures["serve_load.svg"], StringComparison.Ordinal);
        Assert.Empty(ServeFigures.Draw(new Dictionary<string, JsonObject>()));
    }

    [Fact]
    public void Memory_and_time_that_were_measured_grow_as_the_page_says()
    {
        JsonObject growth = Measured[GrowthFigures.File];
        double Line(string series, string what, string value) => growth[series]![what]![value]!.GetValue<double>();
        Assert.InRange(Line("rows", "memory", "slope"), 0, 64 * 64); // 64 bytes for each of a row's 64 tokens
        foreach ((string series, string what) in new[] { ("tokens", "memory"), ("length", "memory"), ("tokens", "time"),
            ("weights", "memory"), ("weights", "time") })
            Assert.InRange(Line(series, what, "largest_deviation"), 0, 0.1);
    }

    [Fact]
    public void A_kind_of_machine_that_is_measured_gets_its_column_by_its_files()
    {
        Dictionary<string, JsonObject> measured = new(Measured);
        PerformanceTable table = PerformanceTable.All.Single(table => table.Name == "headlines");
        string Column(string title)
        {
            string[][] lines = [.. table.Markdown(measured).Split('\n')
                .Select(line => line.Split('|', StringSplitOptions.TrimEntries))];
            int place = Array.IndexOf(lines[0], title);
            return place < 0 ? "none" : string.Join(' ', lines.Skip(2).Where(line => line.Length > place)
                .Select(line => line[place]));
        }
        Assert.Equal("none", Column("arm64-128-bits"));
        Assert.DoesNotContain("42%", Column("Intel, AMX"), StringComparison.Ordinal);
        measured["arm64-128-bits/train"] = new JsonObject { ["share_of_limit"] = 0.41 };
        measured["intel-amx/train"] = new JsonObject { ["share_of_limit"] = 0.42 };
        measured["amd-avx2/peft_gpt2"] = new JsonObject { ["of_beside"] = 3.14 };
        Assert.Contains("41%", Column("arm64-128-bits"), StringComparison.Ordinal);
        Assert.Contains("42%", Column("Intel, AMX"), StringComparison.Ordinal);
        Assert.StartsWith("3.14", Column("AMD Zen 3, AVX2"), StringComparison.Ordinal);
        // where PEFT was timed alone: 774 tokens per second against 158
        Assert.StartsWith("4.91", Column("AMD Zen 5, AVX-512"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_mark_that_was_not_measured_is_refused_by_name()
    {
        Assert.Contains(
            "nothing.json",
            Assert.Throws<InputException>(
                () => PerformancePage.Fill("<!-- json: nothing a -->1<!-- /json -->", Measured)).Message);
        Assert.Contains(
            "step_over_copy",
            Assert.Throws<InputException>(
                () => PerformancePage.Fill(
                    "<!-- json: amd-avx512/optimizer step_under_copy -->1<!-- /json -->", Measured)).Message);
    }

    private static string NameOf(string path) => path.Split('/')[^1];

    [GeneratedRegex(@"!\[[^\]]+\]\(figures/performance/(?<file>[^)]+)\)", RegexOptions.ExplicitCapture)]
    private static partial Regex Image();

    [GeneratedRegex("<!-- json: ")]
    private static partial Regex Mark();
}
