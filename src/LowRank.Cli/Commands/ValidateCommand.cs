using System.CommandLine;
using System.Globalization;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Recipes;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank validate</c>.</summary>
internal sealed class ValidateCommand : ICliCommand
{
    public string Example => "lowrank validate recipes/quickstart.yaml";

    public Command Build()
    {
        Argument<string> recipe = RecipeArguments.Recipe();
        Option<string[]> set = RecipeArguments.Set();
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: valid, problems, notes, advice, and if valid also model, output, train_rows, " +
                "validation_rows, trained_parameters, total_parameters, total_steps, known_bytes.",
        };
        return new Command("validate",
            "Report every problem in a recipe before any work starts: keys and values, files and rows, the adapter's " +
            "layers, and whether it fits into free memory. Writes no files; exits with 2 if there is a problem.")
            { recipe, set, json }
            .Does(parsed =>
                Validate(parsed, parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(set), parsed.GetValue(json)),
                OptionUse.Always(set, json));
    }

    private static int Validate(ParseResult parsed, string path, string[] overrides, bool json)
    {
        Wording wording = CommandWording.Of(parsed.CommandResult.Command);
        RecipeRun run;
        try
        {
            run = RecipeRun.Prepare(Recipe.Load(path, overrides), new DownloadProgress());
        }
        catch (InputException e) when (json)
        {
            e.Word(wording);
            JsonOutput.Write(
                new { valid = false, problems = e.Problems, notes = Array.Empty<string>(),
                advice = Array.Empty<string>() });
            return ExitCodes.BadInput;
        }
        using (run)
        {
            run.Word(wording);
            TrainingEstimate sizes = run.Sizes();
            string[] problems = run.MemoryProblem(sizes) is { } problem ? [problem] : [];
            if (json) JsonOutput.Write(Json(run, sizes, problems));
            else Show(run, sizes, problems);
            return problems.Length == 0 ? ExitCodes.Success : ExitCodes.BadInput;
        }
    }

    private static object Json(RecipeRun run, TrainingEstimate sizes, string[] problems) => new
    {
        valid = problems.Length == 0,
        problems,
        notes = run.Notes,
        advice = run.Advice,
        model = run.Recipe.Model,
        output = run.Recipe.Output,
        train_rows = run.Rows.Training,
        validation_rows = run.Rows.Validation,
        trained_parameters = sizes.TrainedParameters,
        total_parameters = sizes.TotalParameters,
        total_steps = sizes.TotalSteps,
        known_bytes = sizes.PeakBytes,
    };

    private static void Show(RecipeRun run, TrainingEstimate sizes, string[] problems)
    {
        foreach (string note in run.Notes) Console.WriteLine("note: " + note);
        foreach (string advice in run.Advice) Console.WriteLine("advice: " + advice);
        foreach (string problem in problems)
            Console.Error.WriteLine($"error: {problem}. Use a smaller model, or train fewer weights.");
        if (problems.Length > 0) return;
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"The recipe is valid: {run.Rows.Training:n0} rows to train on, {run.Rows.Validation:n0} held out, " +
                $"{sizes.TotalSteps:n0} steps, ")
            + string.Create(
                CultureInfo.InvariantCulture,
                $"{sizes.TrainedParameters:n0} trained weights of {sizes.TotalParameters:n0}, " +
                $"{sizes.PeakBytes / 1e9:f2} GB plus the activations (lowrank estimate measures them)."));
    }
}
