using System.Globalization;
using LowRank.Cli.Views;
using Spectre.Console;

namespace LowRank.Cli.Bench.Train;

/// <summary>A measurement of training steps as a table or as JSON.</summary>
internal static class TrainBenchView
{
    public static void Show(TrainMeasurement found, bool json)
    {
        if (json)
        {
            JsonOutput.WriteMeasured(Json(found));
            return;
        }
        Table table = new Table().Border(TableBorder.Simple).AddColumn("").AddColumn(new TableColumn("").RightAligned());
        void Row(string name, FormattableString value) => table.AddRow(name, Markup.Escape(value.ToString(CultureInfo.InvariantCulture)));
        Row("tokens a second", $"{found.TokensPerSecond:f0}");
        Row("share of the limit", $"{100 * found.ShareOfLimit:f1} %");
        Row("the limit: the step's own products alone", $"{found.GemmFlopsPerSecond / 1e9:f1} GFLOP/s");
        Row("a product of 2048 × 2048", $"{found.SquareFlopsPerSecond / 1e9:f1} GFLOP/s");
        Row("operations a token", $"{found.FlopsPerToken / 1e6:f1} MFLOP");
        Row("of frozen weights, pairs, attention", $"{100 * found.Cost.Frozen / found.Cost.Total:f1} %, {100 * found.Cost.Pairs / found.Cost.Total:f1} %, {100 * found.Cost.Attention / found.Cost.Total:f1} %");
        Row("weights of the base", $"{found.WeightBytes / 1e6:f0} MB");
        Row("peak memory above them", $"{found.PeakBytes / 1e6:f0} MB");
        Row("peak memory in all", $"{(found.PeakBytes + found.WeightBytes) / 1e6:f0} MB");
        Row("managed memory a step allocates", $"{found.ManagedBytes / 1e3:f0} kB");
        Row("trained weights", $"{found.TrainedParameters:n0}");
        Row("a step (fastest; median)", $"{found.StepSeconds:f3} s; {found.MedianSeconds:f3} s");
        Row("its products with frozen weights alone", $"{found.ProductSeconds:f3} s");
        foreach ((string part, double seconds) in found.Parts) Row("  " + part, $"{seconds:f3} s");
        Screen.Write(table);
    }

    public static object Json(TrainMeasurement found) => new
    {
        tokens_per_second = found.TokensPerSecond,
        share_of_limit = found.ShareOfLimit,
        gemm_flops_per_second = found.GemmFlopsPerSecond,
        flops_per_token = found.FlopsPerToken,
        peak_memory_bytes = found.PeakBytes,
        weights_bytes = found.WeightBytes,
        step_seconds = found.StepSeconds,
        median_step_seconds = found.MedianSeconds,
        product_seconds = found.ProductSeconds,
        square_flops_per_second = found.SquareFlopsPerSecond,
        trained_parameters = found.TrainedParameters,
        managed_bytes_per_step = found.ManagedBytes,
        parts = found.Parts.ToDictionary(part => part.Part, part => part.Seconds),
    };
}
