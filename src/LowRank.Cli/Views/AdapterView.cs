using LowRank.Adapters;
using LowRank.Adapters.Inspection;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>An adapter's summary, for people and for programs.</summary>
internal static class AdapterView
{
    public static IRenderable Table(AdapterSummary adapter, long? baseParameters)
    {
        LoraConfig config = adapter.Config;
        Table modules = new Table().Border(TableBorder.Simple)
            .AddColumns("module", "rank", "scale", "shape", "norm", "effective rank");
        foreach (ModuleSummary module in adapter.Modules)
            modules.AddRow(Markup.Escape(module.Path), $"{module.Rank}", $"{module.Scale:g4}", $"{module.OutputSize} × {module.InputSize}",
                $"{module.Delta.FrobeniusNorm:g4}", $"{module.Delta.EffectiveRank:f2}");
        string share = baseParameters is { } total ? $" of {total + adapter.Parameters:n0} ({Percent(adapter, total):f4} %)" : "; the base model is not here, so no percentage";
        List<IRenderable> lines =
        [
            new Text($"LoRA adapter of {config.BaseModel ?? "an unnamed model"}"),
            new Text($"rank {config.Rank}, alpha {config.Alpha}{(config.UseRankStabilizedScale ? " (rank-stabilised)" : "")}, dropout {config.Dropout}, bias {Bias(config)}"),
            new Text($"targets: {Targets(config)}"),
            .. config.ModulesToSave is { Count: > 0 } saved ? new[] { new Text($"trained whole: {string.Join(", ", saved)}") } : [],
            new Text($"trains {adapter.Parameters:n0} weights{share}; {adapter.Bytes / 1e6:f2} MB"),
            modules,
        ];
        lines.AddRange(adapter.Notes.Select(note => new Text("note: " + note)));
        return new Rows(lines);
    }

    public static object Json(AdapterSummary adapter, long? baseParameters) => new
    {
        kind = "adapter",
        base_model = adapter.Config.BaseModel,
        rank = adapter.Config.Rank,
        alpha = adapter.Config.Alpha.Value,
        use_rslora = adapter.Config.UseRankStabilizedScale,
        dropout = adapter.Config.Dropout.Value,
        bias = Bias(adapter.Config),
        target_modules = (object?)adapter.Config.TargetModules?.Names ?? adapter.Config.TargetModules?.Text,
        trainable_parameters = adapter.Parameters,
        base_parameters = baseParameters,
        trainable_percent = baseParameters is { } total ? Percent(adapter, total) : (double?)null,
        bytes = adapter.Bytes,
        notes = adapter.Notes,
        modules = adapter.Modules.Select(module => new
        {
            name = module.Path,
            rank = module.Rank,
            alpha = module.Alpha,
            scale = module.Scale,
            shape = new[] { module.OutputSize, module.InputSize },
            parameters = module.Parameters,
            norm = module.Delta.FrobeniusNorm,
            spectral_norm = module.Delta.SpectralNorm,
            effective_rank = module.Delta.EffectiveRank,
        }),
    };

    // As PEFT's print_trainable_parameters: the share of base and adapter together.
    private static double Percent(AdapterSummary adapter, long baseParameters) => 100.0 * adapter.Parameters / (baseParameters + adapter.Parameters);

    private static string Bias(LoraConfig config) => config.Bias switch { BiasTraining.All => "all", BiasTraining.Adapted => "lora_only", _ => "none" };

    private static string Targets(LoraConfig config) => config.TargetModules is not { } targets ? "the model type's default"
        : targets.Names is { } names ? string.Join(", ", names) : targets.Text!;
}
