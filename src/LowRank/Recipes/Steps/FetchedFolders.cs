using LowRank.Data.Rows;
using LowRank.Hub;

namespace LowRank.Recipes.Steps;

/// <summary>The folders that a recipe names, fetched from the Hub where they are names.</summary>
/// <param name="Model">The base's.</param>
/// <param name="Start">Of the adapter that training goes on from; null for none.</param>
/// <param name="BaseName">The base as an adapter's config names it: by its name on the Hub where it has one, so that
/// the adapter works elsewhere.</param>
internal sealed record FetchedFolders(string Model, string? Start, string? BaseName)
{
    /// <summary>Fetches them; null, and nothing is fetched, for a run whose data is not there.</summary>
    /// <exception cref="InputException">There is no such folder or repository.</exception>
    /// <exception cref="HubException">The Hub could not be reached.</exception>
    public static FetchedFolders? Fetch(Recipe recipe, IHubProgress? progress, HubOptions? hub = null)
    {
        bool isLocal = HubRepository.TryParse(recipe.Model) is null || Directory.Exists(recipe.Model);
        if (!isLocal && MissingData(recipe.Data).Count > 0) return null;
        string model = FetchModel(recipe, progress, hub);
        string? start = recipe.Training.InitAdapter is { } adapter
            ? HubFolder.Open(adapter, HubSelection.Adapter, hub, progress) : null;
        return new FetchedFolders(
            model, start, model == recipe.Model ? null : HubRepository.TryParse(recipe.Model)?.Id);
    }

    /// <summary>Fetches the base alone.</summary>
    public static string FetchModel(Recipe recipe, IHubProgress? progress, HubOptions? hub = null) =>
        HubFolder.Open(recipe.Model, HubSelection.Model, hub, progress);

    /// <summary>Data files that are not there, a sentence each.</summary>
    public static IReadOnlyList<string> MissingData(DataSection data) =>
        RowFiles.Missing([.. data.Train, .. data.Validation]);
}
