using System.Globalization;
using LowRank.Cli.Common;
using Spectre.Console;

namespace LowRank.Cli.Bench.Generate;

/// <summary>Shows measurements of generation as tables or as JSON.</summary>
internal static class GenerateView
{
    /// <summary>Shows the measurements of each shape.</summary>
    public static void Show(IReadOnlyList<IReadOnlyList<GenerateMeasurement>> shapes, bool json)
    {
        if (json) MeasuredJson.Write(Json(shapes));
        else
            foreach (IReadOnlyList<GenerateMeasurement> shape in shapes) Screen.Write(Table(shape));
    }

    /// <summary>The object that <c>--json</c> prints: the measurement of the one shape and format, or one for each, by
    /// shape and by format.</summary>
    public static object Json(IReadOnlyList<IReadOnlyList<GenerateMeasurement>> shapes) =>
        shapes.Count == 1 ? Formats(shapes[0])
        : shapes.ToDictionary(shape => shape[0].Options.Shape, Formats);

    private static object Formats(IReadOnlyList<GenerateMeasurement> shape) => shape.Count == 1 ? Measured(shape[0])
        : shape.ToDictionary(measured => measured.Format, Measured);

    private static Table Table(IReadOnlyList<GenerateMeasurement> shape)
    {
        GenerateOptions options = shape[0].Options;
        Table table = Screen.TableOf(options.Shape, shape.Select(measured => measured.Format));
        foreach ((string name, Func<GenerateMeasurement, FormattableString?> value) in Rows(options))
        {
            FormattableString?[] values = [.. shape.Select(value)];
            if (values.Any(found => found is not null))
                table.AddRow([Markup.Escape(name),
                    .. values.Select(found => Markup.Escape(found?.ToString(CultureInfo.InvariantCulture) ?? ""))]);
        }
        return table;
    }

    private static (string Name, Func<GenerateMeasurement, FormattableString?> Value)[] Rows(GenerateOptions options)
    {
        int batch = options.Batch;
        static FormattableString? Share(double? share) => share is null ? null
            : (FormattableString)$"{100 * share:f1} %";
        static FormattableString? Times(double? times) => times is null ? null
            : (FormattableString)$"{times:f2}";
        return
        [
            ("one sequence: tokens per second", found => $"{found.One.TokensPerSecond:f1}"),
            ("  share of the limit", found => Share(found.ShareOfLimit)),
            ("  limit: memory read rate", found => $"{found.ReadBytesPerSecond / 1e9:f1} GB/s"),
            ("  weights and cache read per token", found => $"{found.StepBytes / 1e6:f1} MB"),
            ("  times float32", found => Times(found.OfFloat32)),
            ("  times llama.cpp", found => Times(found.OfOther)),
            ($"{batch} sequences: tokens per second", found => $"{found.Many.TokensPerSecond:f1}"),
            ("  times one sequence", found => Times(found.BatchSpeedup)),
            ("  times float32", found => Times(found.ManyOfFloat32)),
            ("prompt: tokens per second", found => $"{options.Prompt / found.One.PromptSeconds:f0}"),
            ("  share of the limit", found => Share(found.PromptShareOfLimit)),
            ("  limit: the prompt's own products alone, in float32",
                found => $"{found.GemmFlopsPerSecond / 1e9:f1} GFLOP/s"),
            ("  operations per token of the prompt", found => $"{found.PromptFlops / options.Prompt / 1e6:f1} MFLOP"),
            ("  times float32", found => Times(found.PromptOfFloat32)),
            ("  times llama.cpp", found => Times(found.PromptOfOther)),
            ($"cost of an unmerged adapter of rank {options.Rank}: a step of one sequence",
                found => Share(found.AdapterCost)),
            ($"  a step of {batch} sequences", found => Share(found.ManyAdapterCost)),
            ("  a prompt", found => Share(found.PromptAdapterCost)),
            ("a step of one sequence, ms (fastest of a round; median of all steps)",
                found => $"{1e3 * found.One.StepSeconds:f2}; {1e3 * found.One.MedianStepSeconds:f2}"),
            ($"a step of {batch} sequences, ms (fastest of a round; median of all steps)",
                found => $"{1e3 * found.Many.StepSeconds:f2}; {1e3 * found.Many.MedianStepSeconds:f2}"),
            ("weights of the base", found => $"{found.WeightBytes / 1e6:f0} MB"),
            ("peak memory above the weights",
                found => found.PeakBytes is null ? null : (FormattableString)$"{found.PeakBytes / 1e6:f0} MB"),
            ("managed memory allocated per step", found => $"{found.One.ManagedBytes / 1e3:f0} kB"),
        ];
    }

    private static object Measured(GenerateMeasurement found) => new
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
        mean_tokens_per_second = Median.Of([.. found.One.Means.Select(seconds => 1 / seconds)]),
        batch_step_seconds = found.Many.StepSeconds,
        batch_median_step_seconds = found.Many.MedianStepSeconds,
        adapter_cost = found.AdapterCost,
        batch_adapter_cost = found.ManyAdapterCost,
        prompt_adapter_cost = found.PromptAdapterCost,
        of_float32 = found.OfFloat32,
        batch_of_float32 = found.ManyOfFloat32,
        prompt_of_float32 = found.PromptOfFloat32,
        llama_cpp = found.Other is not { } other ? null : new
        {
            type = other.Type,
            build = other.Build,
            tokens_per_second = Median.Of([.. other.Generated]),
            prompt_tokens_per_second = Median.Of([.. other.Prompts]),
            of_llama_cpp = found.OfOther,
            prompt_of_llama_cpp = found.PromptOfOther,
        },
        peak_memory_bytes = found.PeakBytes,
        weights_bytes = found.WeightBytes,
        managed_bytes_per_step = found.One.ManagedBytes,
        shape = found.Options.Shape,
        base_dtype = found.Format,
        base_head = found.Options.BaseHead,
        compute_dtype = found.Options.ComputeDtype,
        batch = found.Options.Batch,
        prompt = found.Options.Prompt,
        new_tokens = found.Options.New,
        rank = found.Options.Rank,
        threads = found.Threads,
        vector_width = found.VectorWidth,
    };
}
