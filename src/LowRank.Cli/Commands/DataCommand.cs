using System.CommandLine;
using LowRank.Adapters;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Hub;
using LowRank.Recipes;
using LowRank.Recipes.Review;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank data</c>.</summary>
internal sealed class DataCommand : ICliCommand
{
    private readonly Argument<string?> recipe = new("recipe")
    {
        Description = "The recipe, a YAML file. Leave it out with --model and --data.",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private readonly Option<string[]> set = RecipeArguments.Set();
    private readonly Option<string?> model = new("--model")
    {
        Description = "Without a recipe: folder or name of the base model, whose tokenizer is used.",
    };
    private readonly Option<string?> adapter = new("--adapter")
    {
        Description = "Without a recipe: folder or name of an adapter. Rows are read as its training read them.",
    };
    private readonly DataOptions data = new("Without a recipe: data files, folders or patterns.");
    private readonly Option<int> examples = new("--examples")
    {
        Description = "Number of rows to show from each part.",
        DefaultValueFactory = _ => 3,
    };
    private readonly Option<long?> rows = new("--rows") { Description = "Read only this many rows of each part." };

    private readonly Option<bool> json = new("--json")
    {
        Description =
            "Print a JSON object: training (a list of parts), validation, leaks, notes; each part has name, rows, " +
            "wrong_rows, problems, tokens, learned_tokens, max_length, cut_rows, cut_tokens, cut_learned_tokens, " +
            "never_learned, never_learned_places, duplicates, near_duplicates, median_length, percentile95, " +
            "longest_row, lengths, examples, notes, is_partial.",
    };

    public string Example => "lowrank data recipes/quickstart.yaml";

    public Command Build()
    {
        var command = new Command("data",
            "Show what a language model will see of a recipe's data, or of rows read as an adapter's training read " +
            "them: rows with the learned part marked, lengths, what is cut off, rows that cannot be used or teach " +
            "nothing, duplicates, and held-out rows that also occur in training. Writes no files; exits with 2 if " +
            "some rows cannot be used.")
            { recipe, set, model, adapter, examples, rows, json };
        data.AddTo(command, isRequired: false, takesRecipe: false);
        return command.Does(parsed => Review(parsed),
        [
            OptionUse.Always(examples, rows, json),
            OptionUse.Unless(set, parsed => parsed.GetValue(recipe) is null ? "has no effect without a recipe" : null),
            OptionUse.Unless(model, WithRecipe), OptionUse.Unless(adapter, WithRecipe),
            OptionUse.Rule(Problems), .. data.Uses, OptionUse.AtLeast(examples, 0), OptionUse.AtLeast(rows, 1),
        ]);
    }

    private string? WithRecipe(ParseResult parsed) => parsed.GetValue(recipe) is null ? null
        : "has no effect with a recipe, which names its own";

    private IEnumerable<string> Problems(ParseResult parsed)
    {
        bool hasRecipe = parsed.GetValue(recipe) is not null, hasData = data.Paths(parsed).Length > 0;
        if (!hasRecipe && (!hasData || parsed.GetValue(model) is null))
            yield return "expected a recipe, or --model and --data";
        if (hasRecipe && hasData)
            yield return "--data has no effect with a recipe, which names its own data; change that with --set " +
                "data.train=FILE";
        if (hasRecipe && data.NamesColumns(parsed))
            yield return "--columns has no effect with a recipe, which has data.columns; change that with --set " +
                "data.columns={FIELD: COLUMN}";
    }

    private int Review(ParseResult parsed)
    {
        Recipe reviewed = parsed.GetValue(recipe) is { } path ? Recipe.Load(path, parsed.GetRequiredValue(set))
            : Rows(parsed);
        DataReview review = DataReviewer.Review(
            reviewed, RecipeRun.ModelFolder(reviewed, new DownloadProgress()), parsed.GetValue(examples),
            parsed.GetValue(rows) ?? long.MaxValue);
        if (parsed.GetValue(json)) DataView.Json(review);
        else new DataView(Screen.Drawn, DataView.IsColoured).Show(review);
        bool isRefused = review.WrongRows > 0 && reviewed.Data.OnBadRow == "error";
        return isRefused ? ExitCodes.BadInput : ExitCodes.Success;
    }

    // Reviews the rows as a recipe with the adapter's own data section would.
    private Recipe Rows(ParseResult parsed)
    {
        string? folder = parsed.GetValue(adapter) is { } given
            ? HubFolder.Open(given, HubSelection.Adapter, progress: new DownloadProgress()) : null;
        string from = folder ?? parsed.GetValue(model)!;
        AdapterData reading = data.Reading(parsed, Directory.Exists(from) ? AdapterData.Load(from) : null, from);
        return new Recipe
        {
            Model = parsed.GetValue(model)!,
            Data = DataSection.From(reading, data.Paths(parsed)),
            Training = new TrainingSection { InitAdapter = folder },
            Output = "",
        };
    }
}
