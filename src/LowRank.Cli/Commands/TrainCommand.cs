using System.CommandLine;
using System.Runtime.InteropServices;
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
        var set = new Option<string[]>("--set") { Description = "Change a key of the recipe: section.key=value. May be repeated.", DefaultValueFactory = _ => [] };
        var resume = new Option<bool>("--resume") { Description = "Go on from the newest checkpoint in the output folder (needs training.save_every)." };
        return new Command("train", "Train an adapter, or every weight, as a recipe says. Writes OUTPUT/adapter (or OUTPUT/model), OUTPUT/best, recipe.yaml and metrics.jsonl.") { recipe, set, resume }
            .Does(parsed => Train(parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(set), parsed.GetValue(resume)));
    }

    private static int Train(string path, string[] overrides, bool resume)
    {
        Recipe recipe = Recipe.Load(path, overrides);
        RunFolder.RequireFree(recipe.Output); // before the work of opening the model
        using RecipeRun run = RecipeRun.Prepare(recipe, new DownloadProgress());
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true; // the step is finished and the weights saved before the process ends
            stop.Cancel();
        }
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        var view = new TrainingView(run);
        view.ShowNotes(resume);
        ComparisonSide? before = view.Measure("before");
        TrainingResult result = TrainingView.Follow(observer => run.Train(observer, resume, stop.Token));
        if (run.EarlierRun is { } earlier) Console.Error.WriteLine($"note: the earlier run in {recipe.Output} is kept as {earlier}");
        if (stop.IsCancellationRequested)
        {
            Console.Error.WriteLine($"Stopped after step {result.Steps}; the weights so far are in {result.SavedFolder}." +
                (recipe.Training.SaveEvery is null ? "" : " Run again with --resume to go on."));
            return ExitCodes.Failed;
        }
        view.ShowResult(result, before, before is null ? null : view.Measure("after"));
        return ExitCodes.Success;
    }
}
