using System.CommandLine;
using LowRank.Cli.Commands;

namespace LowRank.Cli.Bench.Growth;

/// <summary><c>lowrank bench growth</c>: how the peak of memory and the time of a step grow with the data, with a step's tokens and with the model.</summary>
internal sealed class GrowthBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new GrowthOptions();
        var grows = new Argument<string[]>("what") { Description = $"What grows: any of {string.Join(", ", GrowthOptions.Known)}; all when left out.", Arity = ArgumentArity.ZeroOrMore };
        var rows = new Option<int>("--rows") { Description = "Rows of the smallest data, of 64 tokens each; measured at 1, 4 and 16 times as many.", DefaultValueFactory = _ => defaults.Rows };
        var tokens = new Option<int>("--tokens") { Description = "Tokens of the smallest step; measured at 1, 2, 4 and 8 times as many, by more rows and by longer ones.", DefaultValueFactory = _ => defaults.Tokens };
        var layers = new Option<int>("--layers") { Description = "Layers of the model; weights are measured at 1, 2 and 4 times as many.", DefaultValueFactory = _ => defaults.Layers };
        var steps = new Option<int>("--steps") { Description = "Steps of each run; the fastest after the first counts.", DefaultValueFactory = _ => defaults.Steps };
        var rounds = new Option<int>("--rounds") { Description = "Processes for each run; the fastest step and the lowest peak count.", DefaultValueFactory = _ => defaults.Rounds };
        var plot = new Option<string?>("--plot") { Description = "Write a picture of each series into this folder, as SVG." };
        var json = new Option<bool>("--json") { Description = "Print JSON: each series with its points, and the lines fitted to memory (bytes above the weights) and time (nanoseconds of one processor a step)." };
        var recipe = new Option<string?>("--recipe") { Description = "Run this recipe in this process, and print its peak and its fastest step as one line of JSON.", Hidden = true };
        return new Command("growth", "How peak memory and the time of a step grow, and how near to a line: the embedded base's shape with random weights, each run a process of its own with one thread.")
            { grows, rows, tokens, layers, steps, rounds, plot, json, recipe }
            .Does(parsed => parsed.GetValue(recipe) is { } path ? GrowthRun.Measure(path) : Run(new GrowthOptions
            {
                Grows = parsed.GetValue(grows) is { Length: > 0 } named ? named : GrowthOptions.Known,
                Rows = parsed.GetValue(rows),
                Tokens = parsed.GetValue(tokens),
                Layers = parsed.GetValue(layers),
                Steps = parsed.GetValue(steps),
                Rounds = parsed.GetValue(rounds),
            }, parsed.GetValue(plot), parsed.GetValue(json)),
                OptionUse.Always(layers, steps, rounds, plot, json, recipe),
                OptionUse.Unless(rows, parsed => Grows(parsed, "rows") ? null : "has no effect where rows are not what grows"),
                OptionUse.Unless(tokens, parsed => Grows(parsed, "tokens", "length") ? null : "has no effect where neither tokens nor length is what grows"));

        // A name that is unknown may have been meant as any: the options say so together with what else is wrong.
        bool Grows(ParseResult parsed, params string[] any) =>
            parsed.GetValue(grows) is not { Length: > 0 } named || named.Any(name => any.Contains(name) || !GrowthOptions.Known.Contains(name));
    }

    private static int Run(GrowthOptions options, string? plot, bool json)
    {
        GrowthMeasurement found = GrowthBench.Run(options);
        if (plot is not null) GrowthPlot.Write(found, plot);
        if (json) JsonOutput.WriteMeasured(found);
        else GrowthView.Show(found);
        return ExitCodes.Success;
    }
}
