using System.Globalization;
using LowRank.Cli.Views;
using Spectre.Console;

namespace LowRank.Cli.Bench.Generate;

/// <summary>A measurement of generation as a table or as JSON.</summary>
internal static class GenerateView
{
    public static void Show(GenerateMeasurement found, bool json)
    {
        if (json)
        {
            JsonOutput.WriteMeasured(Json(found));
            return;
        }
        Table table = new Table().Border(TableBorder.Simple).AddColumn("").AddColumn(new TableColumn("").RightAligned());
        void Row(string name, FormattableString value) => table.AddRow(name, Markup.Escape(value.ToString(CultureInfo.InvariantCulture)));
        int batch = found.Options.Batch;
        Row("one sequence: tokens a second", $"{found.One.TokensPerSecond:f1}");
        Row("share of the limit", $"{100 * found.ShareOfLimit:f1} %");
        Row("the limit: reading memory", $"{found.ReadBytesPerSecond / 1e9:f1} GB/s");
        Row("weights and cache that a token reads", $"{found.StepBytes / 1e6:f1} MB");
        Row($"{batch} sequences: tokens a second", $"{found.Many.TokensPerSecond:f1}");
        Row("times one sequence", $"{found.BatchSpeedup:f2}");
        Row("prompt: tokens a second", $"{found.Options.Prompt / found.One.PromptSeconds:f0}");
        Row("share of the limit", $"{100 * found.PromptShareOfLimit:f1} %");
        Row("the limit: the prompt's own products alone", $"{found.GemmFlopsPerSecond / 1e9:f1} GFLOP/s");
        Row("operations a token of the prompt", $"{found.PromptFlops / found.Options.Prompt / 1e6:f1} MFLOP");
        if (found.AdapterCost is { } cost)
        {
            Row($"cost of an unmerged adapter of rank {found.Options.Rank}: a step of one sequence", $"{100 * cost:f1} %");
            Row($"a step of {batch} sequences", $"{100 * found.ManyAdapterCost!.Value:f1} %");
            Row("a prompt", $"{100 * found.PromptAdapterCost!.Value:f1} %");
        }
        Row("a step of one sequence (fastest of a round; all steps' median)", $"{1e3 * found.One.StepSeconds:f2} ms; {1e3 * found.One.MedianStepSeconds:f2} ms");
        Row($"a step of {batch} sequences (fastest of a round; all steps' median)", $"{1e3 * found.Many.StepSeconds:f2} ms; {1e3 * found.Many.MedianStepSeconds:f2} ms");
        Row("weights of the base", $"{found.WeightBytes / 1e6:f0} MB");
        Row("peak memory above them", $"{found.PeakBytes / 1e6:f0} MB");
        Row("managed memory a step allocates", $"{found.One.ManagedBytes / 1e3:f0} kB");
        Screen.Write(table);
    }

    public static object Json(GenerateMeasurement found) => new
    {
        tokens_per_second = found.One.TokensPerSecond,
        share_of_limit = found.ShareOfLimit,
        read_bytes_per_second = found.ReadBytesPerSecond,
        bytes_per_token = found.StepBytes,
        batch_tokens_per_second = found.Many.TokensPerSecond,
        batch_share_of_limit = found.ManyShareOfLimit,
        batch_speedup = found.BatchSpeedup,
        prompt_tokens_per_second = found.Options.Prompt / found.One.PromptSeconds,
        prompt_share_of_limit = found.PromptShareOfLimit,
        gemm_flops_per_second = found.GemmFlopsPerSecond,
        flops_per_token = found.PromptFlops / found.Options.Prompt,
        step_seconds = found.One.StepSeconds,
        median_step_seconds = found.One.MedianStepSeconds,
        batch_step_seconds = found.Many.StepSeconds,
        batch_median_step_seconds = found.Many.MedianStepSeconds,
        adapter_cost = found.AdapterCost,
        batch_adapter_cost = found.ManyAdapterCost,
        prompt_adapter_cost = found.PromptAdapterCost,
        peak_memory_bytes = found.PeakBytes,
        weights_bytes = found.WeightBytes,
        managed_bytes_per_step = found.One.ManagedBytes,
        shape = found.Options.Shape,
        batch = found.Options.Batch,
        prompt = found.Options.Prompt,
        new_tokens = found.Options.New,
        rank = found.Options.Rank,
        threads = found.Threads,
        vector_width = found.VectorWidth,
    };
}
