namespace LowRank.Recipes;

// What a resumed run goes on with.
public sealed partial class RecipeRun
{
    /// <summary>What is asked for otherwise than by the run in the output folder, which a resumed run would go on with,
    /// a sentence each.</summary>
    public IReadOnlyList<string> ChangesSinceStart() =>
        Path.Combine(Recipe.Output, "recipe.yaml") is var path && File.Exists(path)
        ? RecipeChanges.Between(SmallFile.ReadText(path), Recipe.ToYaml())
        : [];
}
