using System.Text.Json;
using LowRank.Cli.Common;
using LowRank.Kernels;
using LowRank.Recipes;
using LowRank.Training;

namespace LowRank.Cli.Bench;

/// <summary>Runs a recipe in this process and records the step times and the peak memory of the process.</summary>
internal sealed class GrowthRun : ITrainingObserver
{
    private readonly List<TimeSpan> used = []; // processor time of the whole process at the end of each step

    /// <summary>Runs the recipe and prints a <see cref="GrowthPoint"/> as a line of JSON.</summary>
    public static int Measure(string path)
    {
        using RecipeRun run = RecipeRun.Prepare(Recipe.Load(path, []));
        var observer = new GrowthRun();
        TrainingResult result = run.Train(observer);
        double fastest =
            observer.used.Zip(observer.used.Skip(1), (before, after) => (after - before).TotalNanoseconds).Min();
        var point = new GrowthPoint(run.Rows.Training, result.Tokens / result.Steps, run.Model.Network.ParameterCount,
            ProcessMemory.PeakBytes(), fastest);
        Console.WriteLine(JsonSerializer.Serialize(point, JsonOutput.Compact));
        return ExitCodes.Success;
    }

    public void Started(TrainingPlan plan)
    {
        // The recipe already defines the plan.
    }

    public void Stepped(TrainingStep step) => used.Add(Environment.CpuUsage.TotalTime);

    public void Evaluated(EvaluationResult evaluation)
    {
        // The recipe has no validation data.
    }

    public void Finished(TrainingResult result)
    {
        // The caller gets the result.
    }
}
