using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using LowRank.Cli.Common;
using LowRank.Cli.Sweep;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank sweep</c>.</summary>
internal sealed class SweepCommand : ICliCommand
{
    public string Example =>
        "lowrank sweep recipes/quickstart.yaml --grid adapter.rank=4,16 --grid training.learning_rate=1e-3,5e-3 " +
        "--set training.epochs=1 --output runs/sweep";

    public Command Build()
    {
        Argument<string> recipe = RecipeArguments.Recipe();
        Option<string[]> grid = RecipeArguments.CompletingKeys(new Option<string[]>("--grid")
        {
            Description =
                "A recipe key and the values to try: adapter.rank=4,8,16. May be repeated; every combination is run.",
            Required = true,
        });
        Option<string[]> set = RecipeArguments.Set("Change a recipe key for all runs. May be repeated.");
        var parallel = new Option<int>("--parallel")
        {
            Description = "Number of runs at a time. Each has its share of the cores and its own memory.",
            DefaultValueFactory = _ => 1,
        };
        var output = new Option<string?>("--output")
        {
            Description = "The folder for the runs. Default: the recipe's output.",
        };
        var metric = new Option<string>("--metric")
        {
            Description =
                "The metric that decides, as named in metrics.jsonl. The lowest value wins for a loss, an error or " +
                "perplexity, the highest for any other metric.",
            DefaultValueFactory = _ => "eval_loss",
        };
        return new Command("sweep",
            "Run a recipe with every combination of the given values and report the best. Run the same command again " +
            "to continue an interrupted sweep: finished runs are not repeated. Writes one folder per run, sweep.json " +
            "and sweep.svg.")
            { recipe, grid, set, parallel, output, metric }
            .Does(parsed =>
                Sweep(parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(grid), parsed.GetRequiredValue(set),
                parsed.GetValue(parallel), parsed.GetValue(output), parsed.GetRequiredValue(metric)),
                OptionUse.Always(grid, set, parallel, output, metric), OptionUse.AtLeast(parallel, 1));
    }

    private static int Sweep(string recipe, string[] grid, string[] set, int parallel, string? output, string metric)
    {
        IReadOnlyList<GridAxis> axes = GridAxis.ParseAll(grid);
        (SweepPlan plan, string folder) = SweepPlan.Make(recipe, set, axes, output, metric);
        Directory.CreateDirectory(folder);
        var state = new SweepState(folder, axes, metric);
        state.TakeUp(plan.Runs);
        int finished = plan.Runs.Count(run => run.State == "finished");
        foreach (SweepRun run in plan.Runs.Where(run => run.IsBegun)) state.Measure(run);
        state.Write(plan.Runs);
        Console.WriteLine(
            $"{plan.Runs.Count} runs in {folder}{(finished > 0 ? $", {finished} of them finished before" : "")}");
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            if (context.Signal == PosixSignal.SIGHUP) Terminal.LetGo();
            Console.Error.WriteLine("Active runs finish their step and save; no more runs are started.");
            stop.Cancel();
        }
        using (PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop))
        using (PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop))
        using (Terminal.IgnoresHangup() ? null : PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop))
            new SweepRunner(recipe, state, parallel).Run(plan.Runs, stop.Token);
        return Report(plan, state, folder, axes, metric);
    }

    private static int Report(
        SweepPlan plan, SweepState state, string folder, IReadOnlyList<GridAxis> axes, string metric)
    {
        IReadOnlyList<SweepRun> ranked = state.Ranked(plan.Runs);
        Screen.Write(SweepView.Table(axes, metric, ranked));
        SweepView.Write(Path.Combine(folder, "sweep.svg"), metric, ranked);
        if (ranked[0] is { Best: { } best } first)
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"Best: {string.Join(' ', axes.Zip(first.Values, (axis, value) => $"{axis.Key}={value}"))} " +
                    $"with {metric} {best:g5} after step {first.BestStep}, in {first.Folder}"));
        else Console.WriteLine($"No run has measured {metric}; expected a metric named in metrics.jsonl.");
        int left = plan.Runs.Count(run => run.State is "pending" or "stopped"),
            failed = plan.Runs.Count(run => run.State == "failed");
        if (failed > 0)
            Console.Error.WriteLine(
                $"{failed} of {plan.Runs.Count} runs failed; their .log files say why. Run the sweep again to retry " +
                "them.");
        if (left > 0)
            Console.Error.WriteLine($"{left} of {plan.Runs.Count} runs are left. Run the sweep again to continue.");
        return failed + left > 0 || ranked[0].Best is null ? ExitCodes.Failed : ExitCodes.Success;
    }
}
