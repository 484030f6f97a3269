using System.Text.Json;
using LowRank.Quantization;
using LowRank.Recipes;
using LowRank.Training;

namespace LowRank.Cli.Bench.Quantized;

/// <summary>A recipe's run in this process, of which the held-out loss at the end is kept.</summary>
internal sealed class QuantizedRun : ITrainingObserver
{
    private double? loss;

    /// <summary>The recipe as it is run.</summary>
    /// <exception cref="InputException">It cannot be read, or evaluates nothing.</exception>
    public static Recipe Read(string path, string baseDtype, string output, IReadOnlyList<string> set)
    {
        Recipe recipe = Recipe.Load(path, [.. set, "comparison=null", $"base_dtype={baseDtype}", $"output={JsonSerializer.Serialize(output)}"]);
        return recipe.Data is { Validation.Count: 0, ValidationShare: 0 }
            ? throw new InputException($"{path} has neither data.validation nor data.validation_share, so that there is no held-out loss to compare. Name a recipe that has.")
            : recipe;
    }

    /// <summary>Runs the recipe and prints a <see cref="QuantizedOutcome"/> as a line of JSON.</summary>
    /// <exception cref="InputException">The recipe cannot run.</exception>
    public static int Measure(string path, string baseDtype, string output, IReadOnlyList<string> set)
    {
        using RecipeRun run = RecipeRun.Prepare(Read(path, baseDtype, output, set));
        var observer = new QuantizedRun();
        TrainingResult result = run.Train(observer);
        IReadOnlyCollection<PackedWeight> packed = [.. run.Model.Network.PackedWeights.Values];
        double bytes = packed.Count == 0 ? sizeof(float) : (double)packed.Sum(weight => weight.Bytes) / packed.Sum(weight => weight.ElementCount);
        double last = observer.loss ?? throw new InvalidOperationException("The run ended without an evaluation.");
        Console.WriteLine(JsonSerializer.Serialize(new QuantizedOutcome(last, result.Tokens / result.Elapsed.TotalSeconds, bytes), JsonOutput.Compact));
        return ExitCodes.Success;
    }

    public void Started(TrainingPlan plan)
    {
        // The plan is the recipe's.
    }

    public void Stepped(TrainingStep step)
    {
        // The result has their sum.
    }

    public void Evaluated(EvaluationResult evaluation) => loss = evaluation.Loss;

    public void Finished(TrainingResult result)
    {
        // The result is returned too.
    }
}
