using System.Globalization;
using LowRank.Cli.Common;
using Spectre.Console;

namespace LowRank.Cli.Bench.Serve;

/// <summary>Shows measurements of serving as tables or as JSON.</summary>
internal static class ServeView
{
    /// <summary>Shows the measurements of each shape.</summary>
    public static void Show(IReadOnlyList<IReadOnlyList<ServeMeasurement>> shapes, bool json)
    {
        if (json) MeasuredJson.Write(Json(shapes));
        else
            foreach (IReadOnlyList<ServeMeasurement> shape in shapes) Screen.Write(Table(shape));
    }

    /// <summary>The object that <c>--json</c> prints: the measurement of the one shape and format, or one for each, by
    /// shape and by format.</summary>
    public static object Json(IReadOnlyList<IReadOnlyList<ServeMeasurement>> shapes) =>
        shapes.Count == 1 ? Formats(shapes[0])
        : shapes.ToDictionary(shape => shape[0].Options.Shape, Formats);

    private static object Formats(IReadOnlyList<ServeMeasurement> shape) => shape.Count == 1 ? Measured(shape[0])
        : shape.ToDictionary(measured => measured.Format, Measured);

    private static Table Table(IReadOnlyList<ServeMeasurement> shape)
    {
        ServeOptions options = shape[0].Options;
        Table table = Screen.TableOf(options.Shape, shape.Select(measured => measured.Format));
        foreach ((string name, Func<ServeMeasurement, FormattableString?> value) in Rows(options))
        {
            FormattableString?[] values = [.. shape.Select(value)];
            if (values.Any(found => found is not null))
                table.AddRow([Markup.Escape(name),
                    .. values.Select(found => Markup.Escape(found?.ToString(CultureInfo.InvariantCulture) ?? ""))]);
        }
        return table;
    }

    private static IEnumerable<(string Name, Func<ServeMeasurement, FormattableString?> Value)> Rows(
        ServeOptions options)
    {
        static FormattableString? Share(double? share) => share is null ? null
            : (FormattableString)$"{100 * share:f1} %";
        static FormattableString? Times(double? times) => times is null ? null : (FormattableString)$"{times:f2}";
        int adapters = options.Adapters;
        return
        [
            ("one text: tokens per second", found => $"{found.TokensPerSecond:f1}"),
            ("  cost of the engine", found => Share(found.EngineCost)),
            ($"  cost of an unmerged adapter of rank {options.Rank}", found => Share(found.AdapterCost)),
            ("  times llama-bench", found => Times(found.OfOther)),
            ("its prompt: tokens per second", found => $"{found.PromptTokensPerSecond:f0}"),
            ("  cost of the adapter", found => Share(found.PromptAdapterCost)),
            ("  times llama-bench", found => Times(found.PromptOfOther)),
            .. options.Batch.Index().Select(batch => (
                FormattableString.Invariant($"{batch.Item} texts: tokens per second"),
                (Func<ServeMeasurement, FormattableString?>)(found =>
                    $"{ServeMeasurement.Rate(found.Batches[batch.Index]):f1}"))),
            ($"{adapters} texts, {adapters} adapters: tokens per second",
                found => $"{found.MixedTokensPerSecond:f1}"),
            ("  cost of the adapters", found => Share(found.MixedCost)),
            ("  times llama-server", found => Times(found.OfServer)),
            ("  with their prompts, times llama-server", found => Times(found.WholeOfServer)),
            ("first token of a prompt that comes again, of a new one's",
                found => Share(Median.OfQuotients(found.RepeatedWaits, found.FirstWaits))),
            ("a text that quotes its prompt: prompt lookup, times without", found => Times(found.LookupSpeedup)),
            ("  tokens per step", found => Times(found.TokensPerStep)),
            .. options.Load.Index().SelectMany(load => Load(load.Index, load.Item)),
        ];
    }

    private static IEnumerable<(string, Func<ServeMeasurement, FormattableString?>)> Load(int index, double share)
    {
        string Milliseconds(ServeMeasurement found, Func<ServeLoad, IReadOnlyList<double>> values) => string.Create(
            CultureInfo.InvariantCulture,
            $"{1e3 * ServeLoad.Quantile(values(found.Loads[index]), 0.5):f0}; " +
            $"{1e3 * ServeLoad.Quantile(values(found.Loads[index]), 0.99):f0}");
        yield return (FormattableString.Invariant($"load {share}: requests per second"),
            found => $"{found.Loads[index].RequestsPerSecond:f2}");
        yield return ("  first token, ms (median; p99)", found => $"{Milliseconds(found, load => load.Waits)}");
        yield return ("  between tokens, ms (median; p99)", found => $"{Milliseconds(found, load => load.Between)}");
    }

    private static object Measured(ServeMeasurement found) => new
    {
        tokens_per_second = found.TokensPerSecond,
        engine_cost = found.EngineCost,
        adapter_cost = found.AdapterCost,
        prompt_tokens_per_second = found.PromptTokensPerSecond,
        prompt_adapter_cost = found.PromptAdapterCost,
        batches = found.Options.Batch.Zip(found.Batches, (texts, rounds) => new
        {
            texts,
            tokens_per_second = ServeMeasurement.Rate(rounds),
        }),
        adapters_tokens_per_second = found.MixedTokensPerSecond,
        adapters_whole_tokens_per_second = found.MixedWholeTokensPerSecond,
        adapters_cost = found.MixedCost,
        first_token_seconds = Median.Of([.. found.FirstWaits]),
        repeated_first_token_seconds = Median.Of([.. found.RepeatedWaits]),
        repeated_of_first = Median.OfQuotients(found.RepeatedWaits, found.FirstWaits),
        lookup_speedup = found.LookupSpeedup,
        lookup_tokens_per_step = found.TokensPerStep,
        loads = found.Loads.Select(load => new
        {
            share = load.Share,
            requests_per_second = load.RequestsPerSecond,
            first_token_median_seconds = ServeLoad.Quantile(load.Waits, 0.5),
            first_token_p99_seconds = ServeLoad.Quantile(load.Waits, 0.99),
            between_tokens_median_seconds = ServeLoad.Quantile(load.Between, 0.5),
            between_tokens_p99_seconds = ServeLoad.Quantile(load.Between, 0.99),
        }),
        llama_bench = found.Other is not { } other ? null : new
        {
            type = other.Type,
            build = other.Build,
            tokens_per_second = Median.Of([.. other.Generated]),
            prompt_tokens_per_second = Median.Of([.. other.Prompts]),
            of_llama_bench = found.OfOther,
            prompt_of_llama_bench = found.PromptOfOther,
        },
        llama_server = found.Server is not { } server ? null : new
        {
            type = server.Type,
            adapters_tokens_per_second = ServeMeasurement.Rate(server.Mixed),
            adapters_whole_tokens_per_second = Median.Of([.. server.Mixed.Select(run => run.WholeTokensPerSecond)]),
            base_tokens_per_second = ServeMeasurement.Rate(server.Plain),
            of_llama_server = found.OfServer,
            whole_of_llama_server = found.WholeOfServer,
        },
        shape = found.Options.Shape,
        base_dtype = found.Format,
        base_head = found.Options.BaseHead,
        compute_dtype = found.Options.ComputeDtype,
        adapters = found.Options.Adapters,
        rank = found.Options.Rank,
        targets = found.Options.Targets,
        prompt = found.Options.Prompt,
        new_tokens = found.Options.New,
        requests = found.Options.Requests,
        rounds = found.Options.Rounds,
        threads = TorchSharp.torch.get_num_threads(),
    };
}
