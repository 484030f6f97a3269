using System.Globalization;
using System.Text.RegularExpressions;
using LowRank.Recipes;
using LowRank.Tests.Models;
using LowRank.Tests.Training;

namespace LowRank.Tests;

/// <summary>Programs run under their users' cultures; files and what is computed do not depend on them.</summary>
public sealed partial class CultureTests : IDisposable
{
    private readonly TinyModel tiny = new();
    private readonly TemporaryFolder folder = new();

    public CultureTests()
    {
        tiny.Save();
        File.WriteAllText(
            folder["rows.jsonl"],
            string.Concat(Enumerable.Range(0, 10)
                .Select(row => $"{{\"input_ids\": [{row}, 2, 3, 4], \"labels\": [-100, 2, 3, 4]}}\n")));
    }

    public void Dispose()
    {
        tiny.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void A_run_writes_the_same_files_under_a_culture_with_other_numbers()
    {
        SortedDictionary<string, string> usual = Run(CultureInfo.InvariantCulture),
            other = Run(OtherNumbers());
        Assert.Contains("adapter/adapter_model.safetensors", usual.Keys);
        Assert.Contains(usual.Values, text => text.Contains("0.05", StringComparison.Ordinal));
        Assert.Equal(usual.Keys, other.Keys);
        Assert.All(usual, file => Assert.Equal(file.Value, other[file.Key]));
    }

    private SortedDictionary<string, string> Run(CultureInfo culture)
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = culture;
            string output = folder["out"];
            if (Directory.Exists(output)) Directory.Delete(output, recursive: true);
            using RecipeRun run = RecipeRun.Prepare(Recipe.Parse(
                $$"""
                model: {{tiny.Path}}
                data: {train: rows.jsonl, validation: rows.jsonl}
                adapter: {rank: 2, alpha: 3.5, dropout: 0.05, target_modules: [q_proj]}
                training: {steps: 4, batch_size: 2, threads: 1, learning_rate: 0.0125, save_every: 2}
                comparison: {generations: 0}
                output: out
                """, folder.Path));
            run.MeasureBefore(resume: false);
            run.Train(new Recorder());
            
            return new(Directory.EnumerateFiles(output, "*", SearchOption.AllDirectories)
                .Where(file => !Path.GetFileName(file).StartsWith('.')).ToDictionary(
                file => Path.GetRelativePath(output, file).Replace('\\', '/'),
                file => Timing().Replace(File.ReadAllText(file), "")), StringComparer.Ordinal);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    // As in Sweden: a decimal comma, and a minus sign that is no hyphen.
    private static CultureInfo OtherNumbers()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        culture.NumberFormat.NumberGroupSeparator = ".";
        culture.NumberFormat.NegativeSign = "−";
        return culture;
    }

    // What differs from run to run: times, memory, and the hashes of files that hold them.
    [GeneratedRegex(
        @"""([a-z_]*seconds|tokens_per_second|started|ended|updated|[a-z_]*memory[a-z_]*|bytes|sha256)"": ?[^,\n]+")]
    private static partial Regex Timing();
}
