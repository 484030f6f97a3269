using System.Globalization;
using LowRank.Cli.Common;
using Spectre.Console;

namespace LowRank.Cli.Bench.Train;

/// <summary>Shows a measurement of training steps as a table or as JSON.</summary>
internal static class TrainBenchView
{
    /// <summary>Shows the measurements of each shape.</summary>
    public static void Show(IReadOnlyList<TrainMeasurement> found, bool json)
    {
        if (json) MeasuredJson.Write(Json(found));
        else
            foreach (TrainMeasurement measured in found) Screen.Write(Table(measured));
    }

    /// <summary>The object that <c>--json</c> prints: the measurement of the one shape, or one for each, by its
    /// name.</summary>
    public static object Json(IReadOnlyList<TrainMeasurement> found) => found.Count == 1 ? Measured(found[0])
        : found.ToDictionary(measured => measured.Options.Shape, Measured);

    private static Table Table(TrainMeasurement found)
    {
        Table table = Screen.TableOf(found.Options.Shape, "");
        void Row(string name, FormattableString value) =>
            table.AddRow(name, Markup.Escape(value.ToString(CultureInfo.InvariantCulture)));
        Row("tokens per second", $"{found.TokensPerSecond:f0}");
        Row("share of the limit", $"{100 * found.ShareOfLimit:f1} %");
        Row("limit: the step's own products alone", $"{found.GemmFlopsPerSecond / 1e9:f1} GFLOP/s");
        Row("a product of 2048 × 2048", $"{found.SquareFlopsPerSecond / 1e9:f1} GFLOP/s");
        Row("operations per token", $"{found.FlopsPerToken / 1e6:f1} MFLOP");
        StepCost cost = found.Cost;
        Row("share of frozen weights, pairs, attention", $"{100 * cost.Frozen / cost.Total:f1} %, {100 * cost.Pairs
            / cost.Total:f1} %, {100 * cost.Attention / cost.Total:f1} %");
        Row("weights of the base", $"{found.WeightBytes / 1e6:f0} MB");
        Row("peak memory above the weights", $"{found.PeakBytes / 1e6:f0} MB");
        Row("total peak memory", $"{(found.PeakBytes + found.WeightBytes) / 1e6:f0} MB");
        if (found.DeviceBytes is { } used) Row("peak memory of the GPU", $"{used / 1e6:f0} MB");
        Row("managed memory allocated per step", $"{found.ManagedBytes / 1e3:f0} kB");
        Row("trained weights", $"{found.TrainedParameters:n0}");
        Row("a step (fastest; median)", $"{found.StepSeconds:f3} s; {found.MedianSeconds:f3} s");
        Row("its products with frozen weights alone", $"{found.ProductSeconds:f3} s");
        foreach ((string part, double seconds) in found.Parts) Row("  " + part, $"{seconds:f3} s");
        if (found.OfFloat32 is not null) Row("times float32", $"{found.OfFloat32:f2}");
        if (found.Beside is { } other)
        {
            Row($"{other.Name}: tokens per second", $"{other.TokensPerSecond:f0}");
            Row($"times {other.Name}", $"{found.OfBeside:f2}");
            Row($"total peak memory of {other.Name}", $"{other.PeakBytes / 1e6:f0} MB");
        }
        return table;
    }

    private static object Measured(TrainMeasurement found) => new
    {
        tokens_per_second = found.TokensPerSecond,
        share_of_limit = found.ShareOfLimit,
        gemm_flops_per_second = found.GemmFlopsPerSecond,
        flops_per_token = found.FlopsPerToken,
        peak_memory_bytes = found.PeakBytes,
        device_memory_bytes = found.DeviceBytes,
        weights_bytes = found.WeightBytes,
        step_seconds = found.StepSeconds,
        median_step_seconds = found.MedianSeconds,
        product_seconds = found.ProductSeconds,
        square_flops_per_second = found.SquareFlopsPerSecond,
        trained_parameters = found.TrainedParameters,
        managed_bytes_per_step = found.ManagedBytes,
        shape = found.Options.Shape,
        compute_dtype = found.Options.ComputeDtype,
        of_float32 = found.OfFloat32,
        beside = found.Beside?.Printed,
        of_beside = found.OfBeside,
        parts = found.Parts.ToDictionary(part => part.Part, part => part.Seconds),
    };
}
