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
        Argument<string> recipe = RecipeArguments.Recipe();
        Option<string[]> set = RecipeArguments.Set();
        var resume = new Option<bool>("--resume")
        {
            Description =
                "Resume from the newest checkpoint in the output folder. Checkpoints are written every 10 minutes or " +
                "as training.save_every says, and when a run is stopped or its budget is used up.",
        };
        var supervised = new Option<bool>("--supervised")
        {
            Description =
                "Stop as on SIGTERM when standard input ends. For programs that start runs and may be killed, such " +
                "as lowrank sweep.",
            Hidden = true,
        };
        return new Command("train",
            "Train an adapter, or every weight, as a recipe says. Writes OUTPUT/adapter (or OUTPUT/model), " +
            "OUTPUT/best, recipe.yaml and metrics.jsonl. On SIGINT, SIGTERM or SIGHUP the run finishes its step and " +
            "saves (exit codes 130, 143 and 129); a second signal stops it at once. If the disk is full, the run " +
            "waits until there is space.")
            { recipe, set, resume, supervised }
            .Does(parsed =>
            {
                if (parsed.GetValue(supervised)) Termination.AskAtEndOfInput();
                return Train(parsed.CommandResult.Command, parsed.GetRequiredValue(recipe),
                    parsed.GetRequiredValue(set), parsed.GetValue(resume));
            }, OptionUse.Always(set, resume, supervised));
    }

    private static int Train(Command command, string path, string[] overrides, bool resume)
    {
        Recipe recipe = RecipeRun.Load(path, overrides);
        RunFolder.RequireFree(recipe.Output); // checked before opening the model, which takes time
        using RecipeRun run = RecipeRun.Prepare(recipe, new DownloadProgress());
        run.Word(CommandWording.Of(command));
        var view = new TrainingView(run);
        view.ShowNotes(resume);
        view.ComputeReference();
        ComparisonSide? before = view.MeasureBefore(resume);
        TrainingResult result;
        PosixSignal? signal;
        // Before and after the run, a signal ends the process as usual, because there is nothing to save.
        using (var stop = new StopSignals())
        {
            result = TrainingView.Follow(observer => run.Train(observer, resume, stop.Token));
            signal = stop.Received;
        }
        if (run.EarlierRun is { } earlier)
            Console.Error.WriteLine($"note: the earlier run in {recipe.Output} was moved to {earlier}");
        if (signal is { } given)
        {
            Console.Error.WriteLine(result.Ending == RunEnding.Cancelled
                ? $"Stopped after step {result.Steps}; the weights so far are in {result.SavedFolder}. Resume with: " +
                $"{ResumeLine(path, overrides)}"
                : $"The run had already ended at step {result.Steps}; its weights are in {result.SavedFolder}.");
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

    // Quotes a word for a POSIX shell.
    private static string Quoted(string word) => word.All(c => char.IsAsciiLetterOrDigit(c) || "/._-=:,+@".Contains(c))
        && word.Length > 0 ? word : $"'{word.Replace("'", "'\\''")}'";
}
