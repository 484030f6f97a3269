using LowRank.Adapters;
using LowRank.Adapters.Inspection;
using LowRank.Cli.Common;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>An adapter's summary, for people and for programs.</summary>
internal static class AdapterView
{
    public static IRenderable Table(AdapterSummary adapter, long? baseParameters)
    {
        AdapterConfig config = adapter.Config;
        Table modules = new Table().Border(TableBorder.Simple)
            .AddColumns("module", "rank", "scale", "shape", "norm", "effective rank", "singular values");
        foreach (ModuleSummary module in adapter.Modules)
            modules.AddRow(
                Markup.Escape(Screen.Cell(module.Path)),
                module.Rank == 0 && module.Delta is null ? "–" : $"{module.Rank}",
                $"{module.Scale:g4}",
                Shape(module),
                module.Delta is { } delta ? $"{delta.FrobeniusNorm:g4}" : "–",
                module.Delta is { } known ? $"{known.EffectiveRank:f2}" : "–",
                Bars(module.Delta));
        string share = baseParameters is { } total
            ? $" of {total + adapter.Parameters:n0} ({Percent(adapter, total):f4} %)"
            : "; no percentage, because the base model was not found";
        List<IRenderable> lines =
        [
            new Text($"{adapter.Label} adapter of {config.BaseModel ?? "an unnamed model"}"),
            .. adapter.Rank is { } rank ? new[] { new Text(
                $"rank {rank}{(adapter.Alpha is { } alpha ? $", alpha {alpha}" : "")}" +
                $"{(adapter.IsRankStabilized ? " (rank-stabilised)" : "")}, dropout {adapter.Dropout}, " +
                $"bias {Bias(adapter)}") } : [],
            .. adapter.HasTargets ? new[] { new Text($"targets: {Targets(config)}") } : [],
            .. config.ModulesToSave is { Count: > 0 } saved
                ? new[] { new Text($"trained in full: {string.Join(", ", saved)}") } : [],
            new Text($"trains {adapter.Parameters:n0} weights{share}; {adapter.Bytes / 1e6:f2} MB"),
            .. adapter.Modules.Count > 0 ? new IRenderable[] { modules } : [],
            .. adapter.RankFor(Most) is { } enough ? new[] { new Text(Suggestion(adapter, enough)) } : [],
        ];
        lines.AddRange(adapter.Notes.Select(note => new Text("note: " + note)));
        return new Rows(lines);
    }

    public static object Json(AdapterSummary adapter, long? baseParameters) => new
    {
        kind = "adapter",
        peft_type = adapter.Config.PeftType,
        base_model = adapter.Config.BaseModel,
        rank = adapter.Rank,
        alpha = adapter.Alpha?.Value,
        use_rslora = adapter.IsRankStabilized,
        dropout = adapter.Dropout.Value,
        bias = Bias(adapter),
        target_modules = (object?)adapter.Config.TargetModules?.Names ?? adapter.Config.TargetModules?.Text,
        trainable_parameters = adapter.Parameters,
        base_parameters = baseParameters,
        trainable_percent = baseParameters is { } total ? Percent(adapter, total) : (double?)null,
        bytes = adapter.Bytes,
        notes = adapter.Notes,
        suggested_rank = adapter.RankFor(Most),
        modules = adapter.Modules.Select(module => new
        {
            name = module.Path,
            rank = module.Rank,
            alpha = module.Alpha,
            scale = module.Scale,
            shape = new[] { module.OutputSize, module.InputSize },
            parameters = module.Parameters,
            norm = module.Delta?.FrobeniusNorm,
            spectral_norm = module.Delta?.SpectralNorm,
            effective_rank = module.Delta?.EffectiveRank,
            singular_values = module.Delta?.SingularValues,
            rank_99 = module.Delta?.RankFor(Most),
        }),
    };

    /// <summary>The share of Σσ² that a rank must hold.</summary>
    private const double Most = 0.99;

    private const int ShownValues = 16;

    private static string Shape(ModuleSummary module) =>
        module.InputSize == 0 ? $"{module.OutputSize}" : module.OutputSize == 0 ? $"× {module.InputSize}"
            : $"{module.OutputSize} × {module.InputSize}";

    // Draws the values as bars, the largest first, scaled to the largest.
    private static string Bars(DeltaSpectrum? delta)
    {
        const string Heights = "▁▂▃▄▅▆▇█";
        if (delta is null || delta.SpectralNorm == 0) return "";
        return string.Concat(
            delta.SingularValues.Take(ShownValues)
            .Select(value => Heights[(int)Math.Round(value / delta.SpectralNorm * (Heights.Length - 1))]))
            + (delta.SingularValues.Count > ShownValues ? "…" : "");
    }

    private static string Suggestion(AdapterSummary adapter, int enough)
    {
        int used = adapter.Modules.Max(module => module.Rank), median = Median(adapter);
        if (enough == 0) return "The adapter changes nothing yet.";
        return enough < used
            ? $"rank: {Most:p0} of every change fits into rank {enough} (median {median}): 'lowrank resize --rank " +
                $"{enough}' makes the adapter smaller, and a new run can use rank {enough}."
            : $"rank: the changes use all of rank {used} ({Most:p0} of every change needs rank {enough}, median " +
                $"{median}); if the model has not learned the task well yet, try a higher rank.";
    }

    private static int Median(AdapterSummary adapter)
    {
        int[] ranks = [.. adapter.Modules.Select(module => module.Delta?.RankFor(Most) ?? 0).Order()];
        return ranks[ranks.Length / 2];
    }

    // As in PEFT's print_trainable_parameters, a share of base and adapter together.
    private static double Percent(AdapterSummary adapter, long baseParameters) =>
        100.0 * adapter.Parameters / (baseParameters + adapter.Parameters);

    private static string Bias(AdapterSummary adapter) =>
        adapter.Bias switch { BiasTraining.All => "all", BiasTraining.Adapted => "lora_only", _ => "none" };

    private static string Targets(AdapterConfig config) => config.TargetModules is not { } targets
        ? "the model type's default"
        : targets.Names is { } names ? string.Join(", ", names) : targets.Text!;
}
