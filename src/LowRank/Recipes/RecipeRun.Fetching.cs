using LowRank.Adapters;
using LowRank.Hub;

namespace LowRank.Recipes;

// What the recipe names on the Hub.
public sealed partial class RecipeRun
{
    private string modelFolder = "";  // the recipe's, or where the cache holds it
    private string? initFolder;
    private bool fetched;

    // Nothing is fetched for a run whose data is not there.
    private void FetchByName(IHubProgress? progress)
    {
        bool isLocal = HubRepository.TryParse(Recipe.Model) is null || Directory.Exists(Recipe.Model);
        if (!isLocal && MissingData(Recipe.Data).Count > 0) return;
        modelFolder = HubFolder.Open(Recipe.Model, HubSelection.Model, progress: progress);
        initFolder = Recipe.Training.InitAdapter is { } adapter
            ? HubFolder.Open(adapter, HubSelection.Adapter, progress: progress) : null;
        fetched = true;
    }

    /// <summary>The model's folder, fetched where the recipe gives a name.</summary>
    public static string ModelFolder(Recipe recipe, IHubProgress? progress = null) =>
        HubFolder.Open(recipe.Model, HubSelection.Model, progress: progress);

    private LoraConfig Configured()
    {
        LoraConfig config = RecipeOptions.Config(Recipe.Adapter) with { BaseModel = BaseName() };
        return vocabulary?.Train(config, Model.Network) ?? config;
    }

    // The base as an adapter's config names it: by its name on the Hub where it has one, so that the adapter works
    // elsewhere.
    private string? BaseName() => modelFolder == Recipe.Model ? null : HubRepository.TryParse(Recipe.Model)?.Id;
}
