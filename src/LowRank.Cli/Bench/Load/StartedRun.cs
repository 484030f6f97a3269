using System.Diagnostics;
using System.Text.Json;
using LowRank.Recipes;
using LowRank.Training;

namespace LowRank.Cli.Bench.Load;

/// <summary>The start of a recipe's run in this process: what <c>lowrank train</c> does, with a watch on it.</summary>
internal sealed class StartedRun : ITrainingObserver
{
    private readonly List<(double At, TimeSpan Elapsed)> steps = [];
    private double started;

    /// <summary>Runs the recipe and prints <see cref="StartTimes"/> as a line of JSON.</summary>
    public static int Measure(string path)
    {
        double begin = SinceStart();
        Recipe recipe = Recipe.Load(path, []);
        double loaded = SinceStart();
        using RecipeRun run = RecipeRun.Prepare(recipe);
        double prepared = SinceStart();
        var observer = new StartedRun();
        run.Train(observer);
        StartPart[] parts =
        [
            new("program", begin),
            new("recipe", loaded - begin),
            .. run.Stages.Select(stage => new StartPart(stage.Name, stage.Elapsed.TotalSeconds)),
            new("optimizer and output folder", observer.started - prepared),
            new("first step", observer.steps[0].At - observer.started),
        ];
        double later = observer.steps.Zip(observer.steps.Skip(1), (before, after) => (after.Elapsed - before.Elapsed).TotalSeconds).Min();
        Console.WriteLine(JsonSerializer.Serialize(new StartTimes(parts, later, SinceStart()), JsonOutput.Compact));
        return ExitCodes.Success;
    }

    public void Started(TrainingPlan plan) => started = SinceStart();

    public void Stepped(TrainingStep step) => steps.Add((SinceStart(), step.Elapsed));

    public void Evaluated(EvaluationResult evaluation)
    {
        // The recipe has no validation data.
    }

    public void Finished(TrainingResult result)
    {
        // What follows the first steps is not the start.
    }

    private static double SinceStart()
    {
        using Process own = Process.GetCurrentProcess();
        return (DateTime.UtcNow - own.StartTime.ToUniversalTime()).TotalSeconds;
    }
}
