using System.Globalization;
using LowRank.Adapters;
using LowRank.Pages.Reports;

namespace LowRank.Pages;

/// <summary>The numbers in the pages' texts.</summary>
internal static class PageValues
{
    private const double EqualLoss = 0.6; // a held-out loss that both methods reach at low rates

    /// <summary>The numbers by name: <c>RUN.loss</c>, <c>RUN.facts</c>, <c>RUN.own</c>, <c>RUN.weights</c> and
    /// <c>RUN.size</c> of each run, and values derived from several runs.</summary>
    public static IReadOnlyDictionary<string, string> Of(Results results)
    {
        RunResult lora = Show.Best(results, Runs.LoraRates.Select(rate => Runs.Lora(16, rate))),
            full = Show.Best(results, Runs.FullRates.Select(Runs.Full));
        List<double> seeds = [.. Runs.Seeds.Select(spec => results.Run(spec.Name).HeldOutLoss!.Value)];
        List<double> seedFacts = [.. Runs.Seeds.Select(spec => results.Run(spec.Name).FactShare)];
        double loraRate = RateOf(results, EqualLoss, Runs.LoraRates.Select(rate => Runs.Lora(16, rate))),
            fullRate = RateOf(results, EqualLoss, Runs.FullRates.Select(Runs.Full));
        var values = new Dictionary<string, string>
        {
            ["machine"] = results.Machine,
            ["date"] = results.Date,
            ["steps"] = $"{results.Steps}",
            ["batch"] = $"{results.BatchSize}",
            ["rows"] = $"{results.HeldOutRows}",
            ["tokens"] = Show.Weights(results.HeldOutTokens),
            ["fact-rows"] = $"{results.FactRows}",
            ["facts"] = $"{results.Untrained!.Facts}",
            ["own-tokens"] = Show.Weights(results.BaseTextTokens),
            ["base-weights"] = Show.Weights(results.BaseWeights),
            ["trained-rows"] = $"{results.Steps * results.BatchSize}",
            ["rate.lora"] = Show.Rate(lora.LearningRate),
            ["rate.full"] = Show.Rate(full.LearningRate),
            ["rate.ratio"] = $"{lora.LearningRate / full.LearningRate:0.#}",
            ["rate.shift"] = $"{loraRate / fullRate:0}",
            ["rate.equal"] = $"{EqualLoss:0.0}",
            ["rate.lora-loss"] = Show.Loss(lora.HeldOutLoss),
            ["rate.full-loss"] = Show.Loss(full.HeldOutLoss),
            ["seeds.spread"] = $"{seeds.Max() - seeds.Min():0.000}",
            ["seeds.facts"] = $"{(seedFacts.Max() - seedFacts.Min()) * 100:0.0}",
            ["lora-share"] = Show.Percent((double)results.Run("lora-r16").TrainedWeights / results.BaseWeights),
        };
        foreach (RunResult run in results.Runs.Append(results.Untrained)) Add(values, run, results.Untrained);
        AddWays(values, results);
        foreach (LatencyResult time in results.Latencies)
        {
            values[$"latency-r{time.Rank}.slots"] =
                $"{(time.UnmergedMilliseconds / time.BaseMilliseconds - 1) * 100:0}";
            values[$"latency-r{time.Rank}.merged"] =
                $"{(time.MergedMilliseconds / time.BaseMilliseconds - 1) * 100:+0.0;−0.0;0.0}";
            values["latency.repeats"] = $"{time.Repeats}";
            values["latency.tokens"] = $"{time.Tokens}";
        }
        return values;
    }

    // For each method the mean over its seeds, and the cost of a step relative to LoRA's.
    private static void AddWays(Dictionary<string, string> values, Results results)
    {
        foreach (Experiment way in Experiments.All)
        {
            IReadOnlyList<RunResult> runs = Experiments.BestOfSeeds(way, results);
            values[$"way.{way.Method}.loss"] = $"{runs.Average(run => run.HeldOutLoss!.Value):0.000}";
            values[$"way.{way.Method}.facts"] = Show.Percent(runs.Average(run => run.FactShare));
            values[$"way.{way.Method}.own"] = Show.Loss(runs.Average(run => run.BaseTextLoss));
            values[$"way.{way.Method}.rate"] = Show.Rate(runs[0].LearningRate);
            values[$"way.{way.Method}.weights"] = Show.Weights(runs[0].TrainedWeights);
            values[$"way.{way.Method}.size"] = Show.Bytes(runs[0].SavedBytes);
        }
        if (results.Costs.FirstOrDefault(cost => cost.Method == "lora") is not { } reference) return;
        values["costs.seconds"] = $"{reference.ProcessorSecondsPerStep:0.00}";
        values["costs.rounds"] = $"{reference.Rounds}";
        foreach (CostResult cost in results.Costs)
        {
            values[$"way.{cost.Method}.time"] =
                $"{cost.ProcessorSecondsPerStep / reference.ProcessorSecondsPerStep:0.00}";
            values[$"way.{cost.Method}.memory"] = $"{cost.MemoryBytes / 1e6:0} MB";
        }
    }

    // The lowest rate at which the loss falls to a value, interpolated linearly between the logarithms of measured
    // rates.
    private static double RateOf(Results results, double loss, IEnumerable<RunSpec> specs)
    {
        RunResult[] runs = [.. specs.Select(spec => results.Run(spec.Name))];
        int after = Array.FindIndex(runs, run => run.HeldOutLoss <= loss);
        if (after < 1)
            throw new InputException(
                $"No two rates lie on both sides of the loss {loss}; expected one above and one below it. Measure " +
                "more rates.");
        double high = Math.Log(runs[after - 1].HeldOutLoss!.Value), low = Math.Log(runs[after].HeldOutLoss!.Value);
        double share = (high - Math.Log(loss)) / (high - low);
        return runs[after - 1].LearningRate * Math.Pow(runs[after].LearningRate / runs[after - 1].LearningRate, share);
    }

    private static void Add(Dictionary<string, string> values, RunResult run, RunResult before)
    {
        values[$"{run.Name}.loss"] = Show.Loss(run.HeldOutLoss);
        values[$"{run.Name}.facts"] = Show.Percent(run.FactShare);
        values[$"{run.Name}.own"] = Show.Loss(run.BaseTextLoss);
        values[$"{run.Name}.forgot"] = Show.Change(before.BaseTextLoss, run.BaseTextLoss);
        values[$"{run.Name}.weights"] = Show.Weights(run.TrainedWeights);
        values[$"{run.Name}.size"] = Show.Bytes(run.SavedBytes);
    }
}

/// <summary>The facts about a method from the code: its paper, its file, the recipe keys it accepts, its own
/// options.</summary>
internal static class MethodFacts
{
    /// <summary>The facts in Markdown.</summary>
    /// <exception cref="InputException">There is no such method.</exception>
    public static string Of(string name)
    {
        IAdapterMethod method = AdapterMethods.Get(name);
        AdapterConfig config = method.Configure(new LoraConfig());
        string defaults = string.Join(", ", Defaults(method));
        return $"**{method.Title}** ({Link(method.Paper)}). {method.Summary}\n\nFile: `peft_type` " +
            $"{config.PeftType}. Defaults: {defaults}. Keys: {KeysOf(method)}.\n" +
            (method.Options.Count == 0 ? "No options of its own.\n"
                : "\n" + Reports.Show.Table(
                    ["option", "default", "what it does"], method.Options.Select(Row), isText: true));
    }

    private static IEnumerable<string> Defaults(IAdapterMethod method)
    {
        if (method.Keys.Contains("rank")) yield return $"rank {method.DefaultRank}";
        if (method.Keys.Contains("alpha")) yield return $"alpha {method.DefaultAlpha}";
        yield return $"learning rate {Reports.Show.Rate(method.DefaultLearningRate)}";
    }

    // The page lists the pairs' common keys at the top; a method that accepts all of them lists only its other keys.
    private static string KeysOf(IAdapterMethod method)
    {
        if (method.Keys.Count == 0) return "none but `method` and `method_options`";
        string[] missing = [.. AdapterMethods.PairKeys.Except(method.Keys)],
            besides = [.. method.Keys.Except(AdapterMethods.PairKeys)];
        if (missing.Length > 2) return Keys(method.Keys);
        return "the [pairs' keys](#keys)" + (missing.Length == 0 ? "" : $" without {Keys(missing)}")
            + (besides.Length == 0 ? "" : $", and {Keys(besides)}");
    }

    private static IReadOnlyList<string> Row(MethodOption option) =>
        [$"`{option.Name}`", $"`{Value(option.Default)}`", option.Doc + Limits(option)];

    private static string Limits(MethodOption option)
    {
        if (option.Choices is { } choices) return $" ({string.Join(", ", choices.Select(choice => $"`{choice}`"))})";
        if (option.Type != typeof(int) && option.Type != typeof(double)) return "";
        bool open = option.Most is double.PositiveInfinity or int.MaxValue;
        return open ? $" (at least {Value(option.Least)})" : $" ({Value(option.Least)} to {Value(option.Most)})";
    }

    private static string Value(object? value) => value switch
    {
        null => "none",
        bool flag => flag ? "true" : "false",
        double number when number is > 0 and < 1e-3 => number.ToString("0.#e-0", CultureInfo.InvariantCulture),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string Keys(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"`{name}`"));

    private static string Link(string paper) => paper.StartsWith("arXiv ", StringComparison.Ordinal)
        ? $"[{paper}](https://arxiv.org/abs/{paper["arXiv ".Length..]})" : $"[{paper}](https://{paper})";
}
