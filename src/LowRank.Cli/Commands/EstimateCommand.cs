using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Recipes;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank estimate</c>.</summary>
internal sealed class EstimateCommand : ICliCommand
{
    public string Example => "lowrank estimate recipes/quickstart.yaml";

    public Command Build()
    {
        Argument<string> recipe = RecipeArguments.Recipe();
        Option<string[]> set = RecipeArguments.Set();
        var seconds = new Option<double>("--seconds")
        {
            Description = "How many seconds to measure each method, for at most 30 micro-batches.",
            DefaultValueFactory = _ => 20,
        };
        var only = new Option<string?>("--only")
        {
            Description = "recipe: estimate only the recipe; full: estimate only full training.",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: recipe and full_training, each with method, trained_parameters, " +
                "total_parameters, program_bytes, weight_bytes, adapter_bytes, gradient_bytes, optimizer_bytes, " +
                "activation_bytes, peak_bytes, steps_per_epoch, total_steps, epoch_seconds, evaluation_seconds, " +
                "probed_batches, not_probed.",
        };
        return new Command("estimate",
            "Estimate what a recipe will need: trained weights, memory by part, and the time per epoch from a short " +
            "trial, compared with full training. Writes no files.")
            { recipe, set, seconds, only, json }
            .Does(parsed =>
                Estimate(parsed.CommandResult.Command, parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(set),
                parsed.GetValue(seconds), parsed.GetValue(only), parsed.GetValue(json)),
                OptionUse.Always(set, seconds, only, json),
                OptionUse.Values(only, value => value is null or "recipe" or "full", "recipe or full"),
                OptionUse.Values(seconds, value => value is > 0 and <= 86_400, "more than 0 and at most 86400, a day"));
    }

    private static void Estimate(
        Command command, string path, string[] overrides, double seconds, string? only, bool json)
    {
        Recipe given = Recipe.Load(path, overrides);
        bool isFull = given.Adapter.Method is null;
        if (only == "full" && !isFull) given = given.AsFullTraining();
        TrainingEstimate estimate;
        using (RecipeRun run = RecipeRun.Prepare(given, new DownloadProgress()))
        {
            run.Word(CommandWording.Of(command));
            TrainingView.ShowNotes(run);
            estimate = run.Estimate(TimeSpan.FromSeconds(seconds));
        }
        // A separate process, because memory that the first trial held would count for the second.
        TrainingEstimate? full = only is null && !isFull ? InNewProcess(path, overrides, seconds) : null;
        if (json) JsonOutput.Write(EstimateView.Json(estimate, full));
        else EstimateView.Show(given, estimate, full);
    }

    private static TrainingEstimate InNewProcess(string path, string[] overrides, double seconds)
    {
        ProcessStartInfo start = ThisProgram.Start([
            "estimate", path, "--only", "full", "--json", "--seconds", $"{seconds}",
            .. overrides.SelectMany(value => (string[])["--set", value]),
        ]);
        start.RedirectStandardError = true;
        FinishedProcess process = FinishedProcess.Run(start);
        if (process.ExitCode != 0)
            throw new InputException(
                $"Full training could not be estimated: {process.Errors.Trim()} Use --only recipe to skip it.");
        using JsonDocument document = JsonDocument.Parse(process.Output);
        return EstimateView.Read(document.RootElement.GetProperty("recipe"));
    }
}
