using System.Globalization;
using System.Text.Json;
using LowRank.Cli.Common;
using LowRank.Recipes;
using Spectre.Console;

namespace LowRank.Cli.Views;

/// <summary>Shows what a run will need, compared with full training.</summary>
internal static class EstimateView
{
    private static readonly JsonSerializerOptions Format =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private static readonly (string Name, Func<TrainingEstimate, long?> Bytes)[] Parts =
    [
        ("program and libraries", estimate => estimate.ProgramBytes),
        ("weights of the base", estimate => estimate.WeightBytes),
        ("adapter", estimate => estimate.AdapterBytes),
        ("gradients", estimate => estimate.GradientBytes),
        ("optimizer (AdamW)", estimate => estimate.OptimizerBytes),
        ("activations, temporaries, data", estimate => estimate.ActivationBytes),
    ];

    public static void Show(Recipe recipe, TrainingEstimate estimate, TrainingEstimate? full)
    {
        TrainingEstimate[] columns = full is null ? [estimate] : [estimate, full];
        Table table = Screen.TableOf(
            "", columns.Select(column => column.Method == "full" ? "full training" : column.Method));
        void Row(string name, Func<TrainingEstimate, string> cell) =>
            table.AddRow([name, .. columns.Select(column => Markup.Escape(cell(column)))]);
        Row("trained weights", column =>
            Invariant(
                $"{column.TrainedParameters:n0} ({100.0 * column.TrainedParameters / column.TotalParameters:f2} %)"));
        foreach ((string name, Func<TrainingEstimate, long?> bytes) in Parts)
            Row("memory: " + name, column => bytes(column) is { } known ? Memory(known) : "not measured");
        Row("peak memory", column => (column.ActivationBytes is null ? "at least " : "")
            + Memory(column.PeakBytes));
        Row("time per epoch", column => column.Epoch is { } time ? Durations.Show(time) : "not measured");
        if (estimate.Evaluation > TimeSpan.Zero)
            Row("time per evaluation", column => column.Evaluation is { } time ? Durations.Show(time)
                : "not measured");
        Row("steps", column => Invariant($"{column.TotalSteps:n0}, {column.StepsPerEpoch:n0} per epoch"));
        Screen.Write(table);
        foreach (TrainingEstimate column in columns)
            if (column.NotProbed is { } reason)
                Console.WriteLine(
                    $"{(column.Method == "full" ? "Full training" : column.Method)} was not measured: {reason}.");
        if (recipe.Device != "cpu")
            Console.WriteLine($"Activations on {recipe.Device} are not measured, because the device does not report " +
                "its peak memory.");
        Console.WriteLine(Invariant($"Measured on {estimate.ProbedBatches} micro-batches; no files were written."));
    }

    public static object Json(TrainingEstimate estimate, TrainingEstimate? full) =>
        new { recipe = Json(estimate), full_training = full is null ? null : Json(full) };

    /// <summary>An estimate from its JSON.</summary>
    public static TrainingEstimate Read(JsonElement json) => json.Deserialize<TrainingEstimate>(Format)! with
    {
        Epoch = Time(json, "epoch_seconds"),
        Evaluation = Time(json, "evaluation_seconds"),
    };

    private static object Json(TrainingEstimate estimate) => new
    {
        method = estimate.Method,
        trained_parameters = estimate.TrainedParameters,
        total_parameters = estimate.TotalParameters,
        program_bytes = estimate.ProgramBytes,
        weight_bytes = estimate.WeightBytes,
        adapter_bytes = estimate.AdapterBytes,
        gradient_bytes = estimate.GradientBytes,
        optimizer_bytes = estimate.OptimizerBytes,
        activation_bytes = estimate.ActivationBytes,
        peak_bytes = estimate.PeakBytes,
        steps_per_epoch = estimate.StepsPerEpoch,
        total_steps = estimate.TotalSteps,
        epoch_seconds = estimate.Epoch?.TotalSeconds,
        evaluation_seconds = estimate.Evaluation?.TotalSeconds,
        probed_batches = estimate.ProbedBatches,
        not_probed = estimate.NotProbed,
    };

    private static TimeSpan? Time(JsonElement json, string name) =>
        json.GetProperty(name) is { ValueKind: JsonValueKind.Number } seconds
            ? TimeSpan.FromSeconds(seconds.GetDouble()) : null;

    private static string Memory(long bytes) => bytes >= 1e9 ? Invariant($"{bytes / 1e9:f2} GB")
        : Invariant($"{bytes / 1e6:f1} MB");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
