using LowRank.Recipes;
using LowRank.Training;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>The model before and after training, side by side.</summary>
internal static class ComparisonTable
{
    public static IRenderable Of(RecipeRun run, TrainingResult result, Comparison comparison)
    {
        ComparisonSide before = comparison.Before, after = comparison.After;
        long trained = run.Adapter?.ParameterCount ?? run.Model.Decoder.ParameterCount;
        long total = run.Model.Decoder.ParameterCount + (run.Adapter?.ParameterCount ?? 0);
        Table table = new Table().Border(TableBorder.Rounded).Expand().AddColumns("", "before", "after");
        table.AddRow("held-out loss (nats a token)", $"{before.Loss:f3}", $"{after.Loss:f3}");
        if (after.Facts > 0) table.AddRow("facts stated correctly", Share(before), Share(after));
        table.AddRow("trained weights", "", $"{trained:n0} of {total:n0} ({100.0 * trained / total:f2} %)");
        table.AddRow("size on disk", "", $"{Bytes(result.SavedFolder) / 1e6:f2} MB");
        table.AddRow("training time, peak memory", "", $"{result.Elapsed.TotalSeconds:f0} s, {result.PeakMemoryBytes / 1e9:f2} GB");
        for (int i = 0; i < comparison.Prompts.Count; i++)
        {
            table.AddEmptyRow();
            table.AddRow(Markup.Escape(comparison.Prompts[i].Trim()), Markup.Escape(before.Texts[i]), Markup.Escape(after.Texts[i]));
        }
        return table;
    }

    private static string Share(ComparisonSide side) => $"{100.0 * side.FactsStated / side.Facts:f1} % ({side.FactsStated} of {side.Facts})";

    private static long Bytes(string folder) => new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);
}
