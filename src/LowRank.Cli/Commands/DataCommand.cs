using System.CommandLine;
using LowRank.Cli.Views;
using LowRank.Recipes;
using LowRank.Recipes.Review;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank data</c>.</summary>
internal sealed class DataCommand : ICliCommand
{
    public string Example => "lowrank data recipes/quickstart.yaml";

    public Command Build()
    {
        var recipe = new Argument<string>("recipe") { Description = "The recipe, a YAML file." };
        var set = new Option<string[]>("--set") { Description = "Change a key of the recipe: section.key=value. May be repeated.", DefaultValueFactory = _ => [] };
        var examples = new Option<int>("--examples") { Description = "How many rows to show of each part.", DefaultValueFactory = _ => 3 };
        var rows = new Option<long?>("--rows") { Description = "Look at the first rows of each part only." };
        var json = new Option<bool>("--json")
        {
            Description = "Print a JSON object: training (a list of parts), validation, leaks, notes; each part has name, rows, wrong_rows, problems, tokens, learned_tokens, max_length, cut_rows, "
                + "cut_tokens, cut_learned_tokens, never_learned, never_learned_places, duplicates, near_duplicates, median_length, percentile95, longest_row, lengths, examples, notes, is_partial.",
        };
        return new Command("data", "Show what a language model will see of a recipe's data: rows with the learned part marked, lengths, what is cut off, rows that cannot be used or teach nothing, duplicates, and held-out rows that training shows. Nothing is written; exit code 2 where rows cannot be used.")
            { recipe, set, examples, rows, json }
            .Does(parsed => Review(Recipe.Load(parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(set)), parsed.GetValue(examples), parsed.GetValue(rows), parsed.GetValue(json)),
                OptionUse.Always(set, examples, rows, json), OptionUse.AtLeast(examples, 0), OptionUse.AtLeast(rows, 1));
    }

    private static int Review(Recipe recipe, int examples, long? rows, bool json)
    {
        DataReview review = DataReviewer.Review(recipe, RecipeRun.ModelFolder(recipe, new DownloadProgress()), examples, rows ?? long.MaxValue);
        if (json) DataView.Json(review);
        else new DataView(Screen.Drawn, DataView.IsColoured).Show(review);
        bool isRefused = review.WrongRows > 0 && recipe.Data.OnBadRow == "error";
        return isRefused ? ExitCodes.BadInput : ExitCodes.Success;
    }
}
