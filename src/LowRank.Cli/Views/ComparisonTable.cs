using System.Globalization;
using LowRank.Recipes;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>Shows the model before and after training, side by side.</summary>
internal static class ComparisonTable
{
    public static IRenderable Of(RunFigures figures, Comparison comparison)
    {
        ComparisonSide before = comparison.Before, after = comparison.After;
        Table table = new Table().Border(TableBorder.Rounded).Expand().AddColumns("", "before", "after");
        bool isOfPreferences = after.Metrics.ContainsKey("rewards/chosen");
        table.AddRow($"held-out loss{(isOfPreferences ? "" : " (nats per token)")}", $"{before.Loss:f3}",
            $"{after.Loss:f3}");
        if (after.Facts > 0) table.AddRow("facts stated correctly", Share(before), Share(after));
        foreach ((string name, double value) in after.Metrics)
            table.AddRow(Label(name), $"{before.Metrics[name]:f2}", $"{value:f2}");
        table.AddRow("trained weights", "", figures.TrainedShare);
        table.AddRow("size on disk", "", figures.Size);
        table.AddRow("training time, peak memory", "", $"{Durations.Show(figures.Elapsed)}, {figures.Memory}");
        for (int i = 0; i < comparison.Prompts.Count; i++)
        {
            table.AddEmptyRow();
            // Generated texts and data may contain brackets, which are markup here, and control characters.
            table.AddRow(new Text(Clean(comparison.Prompts[i])), new Text(Clean(before.Texts[i])),
                new Text(Clean(after.Texts[i])));
        }
        return table;
    }

    private static string Label(string metric) => metric switch
    {
        "bleu_e2e" => "BLEU (as the E2E challenge counts)",
        "bleu_13a" => "BLEU (sacrebleu, 13a)",
        "rouge_l" => "ROUGE-L",
        "chrf" => "chrF",
        var other => other,
    };

    private static string Share(ComparisonSide side) =>
        $"{100.0 * side.FactsStated / side.Facts:f1} % ({side.FactsStated} of {side.Facts})";

    private static string Clean(string text) =>
        string.Concat(text.Trim().Select(c => char.IsControl(c) && c != '\n' ? '\uFFFD' : c));
}

/// <summary>What a run cost.</summary>
/// <param name="Trained">Number of trained weights.</param>
/// <param name="Total">Number of weights of the model and of what was trained beside it.</param>
/// <param name="Bytes">Size of what was saved.</param>
/// <param name="Elapsed">Time spent in steps.</param>
/// <param name="PeakMemoryBytes">Peak memory of the process.</param>
internal sealed record RunFigures(long Trained, long Total, long Bytes, TimeSpan Elapsed, long PeakMemoryBytes)
{
    public string TrainedShare =>
        string.Create(CultureInfo.InvariantCulture, $"{Trained:n0} of {Total:n0} ({100.0 * Trained / Total:f2} %)");

    public string Size => string.Create(CultureInfo.InvariantCulture, $"{Bytes / 1e6:f2} MB");

    public string Memory => string.Create(CultureInfo.InvariantCulture, $"{PeakMemoryBytes / 1e9:f2} GB");
}
