using System.Globalization;
using LowRank.Adapters.Operations;
using LowRank.Cli.Commands;
using LowRank.Cli.Common;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Training;
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
        table.AddRow("held-out loss (nats per token)", $"{before.Loss:f3}", $"{after.Loss:f3}");
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

/// <summary>Shows how two adapters differ, for people and for programs.</summary>
internal static class DifferenceView
{
    public static IRenderable Table(AdapterDifference difference)
    {
        Table settings = new Table().Border(TableBorder.Simple).AddColumns("setting", "first", "second");
        foreach ((string key, string first, string second) in difference.Settings)
            settings.AddRow(
                Markup.Escape(Screen.Cell(key)), Markup.Escape(Screen.Cell(Short(first))),
                Markup.Escape(Screen.Cell(Short(second))));
        Table modules = new Table().Border(TableBorder.Simple)
            .AddColumns("module", "ranks", "norms", "difference", "cosine", "overlap");
        foreach (ModuleDifference module in difference.Modules)
            modules.AddRow(
                Markup.Escape(Screen.Cell(module.Path)), $"{Rank(module.FirstRank)}, {Rank(module.SecondRank)}",
                $"{module.FirstNorm:g3}, {module.SecondNorm:g3}",
                Number(module.Distance), Number(module.Cosine), Number(module.Overlap));
        return new Rows(difference.Settings.Count == 0 ? new Text("The settings are the same.") : settings, modules);
    }

    public static object Json(AdapterDifference difference) => new
    {
        settings = difference.Settings.Select(
            setting => new { key = setting.Key, first = setting.First, second = setting.Second }),
        modules = difference.Modules.Select(module => new
        {
            name = module.Path, ranks = new[] { module.FirstRank, module.SecondRank },
                norms = new[] { module.FirstNorm, module.SecondNorm },
            distance = module.Distance, cosine = module.Cosine, overlap = module.Overlap,
        }),
    };

    private static string Rank(int? rank) => rank is null ? "–" : $"{rank}";

    private static string Number(double? value) => value is null ? "–" : $"{value:g3}";

    private static string Short(string value) => value.Length <= 60 ? value : value[..60] + "…";
}

/// <summary>Shows how much of each change smaller pairs keep.</summary>
internal static class EnergyView
{
    public static void Show(
        IReadOnlyList<KeptEnergy> kept, string output, IReadOnlyList<string> otherChanges, bool json)
    {
        double whole = kept.Sum(module => module.Whole), share = whole == 0 ? 1
            : kept.Sum(module => module.Held) / whole;
        if (json)
        {
            JsonOutput.Write(new
            {
                output,
                energy_kept = share,
                other_changes = otherChanges,
                modules = kept.Select(
                    module => new { name = module.Path, rank_before = module.RankBefore, rank = module.Rank,
                    energy_kept = module.Fraction }),
            });
            return;
        }
        Table table = new Table().Border(TableBorder.Simple).AddColumns("module", "rank before", "rank", "energy kept");
        foreach (KeptEnergy module in kept)
            table.AddRow(Markup.Escape(module.Path), $"{module.RankBefore}", $"{module.Rank}", $"{module.Fraction:p2}");
        Screen.Write(table);
        Console.WriteLine($"{share:p2} of the energy of all changes is kept: {output}");
    }
}

/// <summary>A task's metrics in a line.</summary>
internal static class MetricText
{
    /// <summary>"   accuracy 0.9312   macro_f1 0.9288"; empty without metrics.</summary>
    public static string Of(EvaluationResult evaluation) =>
        string.Concat(
            evaluation.Metrics.Select(
                metric => $"   {metric.Key} {(metric.Value is { } value ? value.ToString("f4") : "undefined")}"));
}

/// <summary>A model's summary, for people and for programs.</summary>
internal static class ModelView
{
    public static IRenderable Table(ModelSummary model)
    {
        Grid grid = new Grid().AddColumns(2);
        grid.AddRow("model type", Markup.Escape(model.ModelType ?? "unknown (no config.json)"));
        grid.AddRow("parameters", $"{model.Parameters:n0}");
        grid.AddRow("layers", model.Layers is { } layers ? $"{layers}" : "unknown");
        grid.AddRow("dtype",
            Markup.Escape(model.DataTypes.Count == 1 ? model.DataTypes[0].Key
            : string.Join(", ", model.DataTypes.Select(type => $"{type.Key} ({type.Value:n0})"))));
        grid.AddRow("bytes", $"{model.Bytes:n0}");
        grid.AddRow("tensors", $"{model.Tensors} in {model.Files} {(model.Files == 1 ? "file" : "files")}");
        return grid;
    }

    public static object Json(ModelSummary model) => new
    {
        kind = "model",
        model_type = model.ModelType,
        parameters = model.Parameters,
        layers = model.Layers,
        dtype = model.DataTypes.Count > 0 ? model.DataTypes[0].Key : null,
        dtypes = model.DataTypes.ToDictionary(type => type.Key, type => type.Value),
        bytes = model.Bytes,
        tensors = model.Tensors,
        files = model.Files,
    };
}

/// <summary>Formats durations for people.</summary>
internal static class Durations
{
    /// <summary>0:07, 12:30 or 1:02:03.</summary>
    public static string Show(TimeSpan time)
    {
        long seconds = (long)Math.Round(time.TotalSeconds);
        return seconds < 3600
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}:{seconds % 60:d2}")
            : string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600}:{seconds / 60 % 60:d2}:{seconds % 60:d2}");
    }

    /// <summary>The remaining time at the pace so far.</summary>
    public static TimeSpan Left(TimeSpan elapsed, long step, long steps) => step == 0 ? TimeSpan.Zero
        : elapsed / step * (steps - step);
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
