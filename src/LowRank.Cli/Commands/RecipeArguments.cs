using System.CommandLine;
using System.CommandLine.Completions;
using LowRank.Recipes;

namespace LowRank.Cli.Commands;

/// <summary>What commands that read a recipe have in common.</summary>
internal static class RecipeArguments
{
    /// <summary>The recipe's file.</summary>
    public static Argument<string> Recipe() => new("recipe") { Description = "The recipe, a YAML file." };

    /// <summary>Changes of the recipe's keys.</summary>
    public static Option<string[]> Set(
        string description = "Change a recipe key: section.key=value. May be repeated.") =>
        CompletingKeys(new Option<string[]>("--set") { Description = description, DefaultValueFactory = _ => [] });

    /// <summary>The option, whose values a shell begins with a key.</summary>
    public static Option<string[]> CompletingKeys(Option<string[]> option)
    {
        option.CompletionSources.Add(context => RecipeSchema.Keys.Select(key => key + "=")
            .Where(key => key.StartsWith(context.WordToComplete, StringComparison.Ordinal))
            .Select(key => new CompletionItem(key)));
        return option;
    }
}
