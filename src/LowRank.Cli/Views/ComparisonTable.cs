using LowRank.Recipes;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>The model before and after training, side by side.</summary>
internal static class ComparisonTable
{
    public static IRenderable Of(RunFigures figures, Comparison comparison)
    {
        ComparisonSide before = comparison.Before, after = comparison.After;
        Table table = new Table().Border(TableBorder.Rounded).Expand().AddColumns("", "before", "after");
        table.AddRow("held-out loss (nats a token)", $"{before.Loss:f3}", $"{after.Loss:f3}");
        if (after.Facts > 0) table.AddRow("facts stated correctly", Share(before), Share(after));
        foreach ((string name, double value) in after.Metrics) table.AddRow(Label(name), $"{before.Metrics[name]:f2}", $"{value:f2}");
        table.AddRow("trained weights", "", figures.TrainedShare);
        table.AddRow("size on disk", "", figures.Size);
        table.AddRow("training time, peak memory", "", $"{Durations.Show(figures.Elapsed)}, {figures.Memory}");
        for (int i = 0; i < comparison.Prompts.Count; i++)
        {
            table.AddEmptyRow();
            // Generated texts and data may hold brackets, which are markup here, and control characters.
            table.AddRow(new Text(Clean(comparison.Prompts[i])), new Text(Clean(before.Texts[i])), new Text(Clean(after.Texts[i])));
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

    private static string Share(ComparisonSide side) => $"{100.0 * side.FactsStated / side.Facts:f1} % ({side.FactsStated} of {side.Facts})";

    private static string Clean(string text) => string.Concat(text.Trim().Select(c => char.IsControl(c) && c != '\n' ? '\uFFFD' : c));
}
