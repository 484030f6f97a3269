using System.CommandLine;
using System.Runtime.InteropServices;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Recipes;
using LowRank.Training;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank train</c>.</summary>
internal sealed class TrainCommand : ICliCommand
{
    public string Example => "lowrank train recipes/quickstart.yaml --set training.epochs=1 --set output=runs/short";

    public Command Build()
    {
        var recipe = new Argument<string>("recipe") { Description = "The recipe, a YAML file." };
        var set = new Option<string[]>(
            "--set") { Description = "Change a key of the recipe: section.key=value. May be repeated.",
            DefaultValueFactory = _ => [] };
        var resume = new Option<bool>(
            "--resume") { Description =
            "Go on from the newest checkpoint in the output folder (one is written every 10 minutes or as " +
            "training.save_every says, and a run that is stopped or has used its budget leaves one)." };
        var supervised = new Option<bool>(
            "--supervised") { Description =
            "End as by SIGTERM when the standard input comes to its end: for a program that starts runs and may be " +
            "killed, as lowrank sweep.", Hidden = true };
        return new Command(
            "train", "Train an adapter, or every weight, as a recipe says. Writes OUTPUT/adapter (or " +
            "OUTPUT/model), OUTPUT/best, recipe.yaml and metrics.jsonl. SIGINT, SIGTERM and SIGHUP finish the step " +
            "and save (exit codes 130, 143 and 129); a second one stops at once. While the disk is full the run " +
            "waits, and goes on once there is space.") { recipe, set, resume, supervised }
            .Does(parsed =>
            {
                if (parsed.GetValue(supervised)) Termination.AskAtEndOfInput();
                return Train(parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(set), parsed.GetValue(resume));
            }, OptionUse.Always(set, resume, supervised));
    }

    private static int Train(string path, string[] overrides, bool resume)
    {
        Recipe recipe = Recipe.Load(path, overrides);
        RunFolder.RequireFree(recipe.Output); // before the work of opening the model
        using RecipeRun run = RecipeRun.Prepare(recipe, new DownloadProgress());
        var view = new TrainingView(run);
        view.ShowNotes(resume);
        ComparisonSide? before = view.MeasureBefore(resume);
        TrainingResult result;
        PosixSignal? signal;
        // Before and after, a signal ends the process as usual: there is nothing that has to be saved.
        using (var stop = new StopSignals())
        {
            result = TrainingView.Follow(observer => run.Train(observer, resume, stop.Token));
            signal = stop.Received;
        }
        if (run.EarlierRun is { } earlier)
            Console.Error.WriteLine($"note: the earlier run in {recipe.Output} is kept as {earlier}");
        if (signal is { } given)
        {
            Console.Error.WriteLine(result.Ending == RunEnding.Cancelled
                ? $"Stopped after step {result.Steps}; the weights so far are in {result.SavedFolder}. Go on with: " +
                $"{ResumeLine(path, overrides)}"
                : $"The run had ended with step {result.Steps} already; its weights are in {result.SavedFolder}.");
            return given switch { PosixSignal.SIGTERM => ExitCodes.Terminated, PosixSignal.SIGHUP => ExitCodes.HungUp,
                _ => ExitCodes.Interrupted };
        }
        view.ShowResult(result, before, before is null ? null : view.Measure("after"));
        return ExitCodes.Success;
    }

    private static string ResumeLine(string path, string[] overrides) =>
        string.Join(' ',
            (string[])["lowrank train", Quoted(path),
            .. overrides.Select(change => "--set " + Quoted(change)), "--resume"]);

    // As a POSIX shell reads it.
    private static string Quoted(string word) => word.All(c => char.IsAsciiLetterOrDigit(c) || "/._-=:,+@".Contains(c))
        && word.Length > 0 ? word : $"'{word.Replace("'", "'\\''")}'";
}
