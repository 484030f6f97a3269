using LowRank.Data.Rows;
using LowRank.Hub;
using LowRank.Models;

namespace LowRank.Recipes.Steps;

/// <summary>The folders that a recipe refers to, downloaded from the Hub if they are names.</summary>
/// <param name="Model">The base's folder.</param>
/// <param name="Start">The folder of the adapter that training continues from; null for none.</param>
/// <param name="BaseName">The base's name in an adapter's config: its name on the Hub if it has one, so that the
/// adapter also works elsewhere.</param>
internal sealed record FetchedFolders(string Model, string? Start, string? BaseName)
{
    /// <summary>Downloads them; null, without a download, for a run whose data is missing.</summary>
    /// <exception cref="InputException">There is no such folder or repository.</exception>
    /// <exception cref="HubException">The Hub could not be reached.</exception>
    public static FetchedFolders? Fetch(Recipe recipe, IHubProgress? progress, HubOptions? hub = null)
    {
        bool isLocal = HubRepository.TryParse(recipe.Model) is null || Directory.Exists(recipe.Model)
            || ModelSource.IsFile(recipe.Model);
        if (!isLocal && MissingData(recipe.Data).Count > 0) return null;
        string model = FetchModel(recipe, progress, hub);
        string? start = recipe.Training.InitAdapter is { } adapter
            ? HubFolder.Open(adapter, HubSelection.Adapter, hub, progress) : null;
        return new FetchedFolders(
            model, start, model == recipe.Model ? null : ModelSource.IsFile(recipe.Model) ? recipe.Model
                : HubRepository.TryParse(recipe.Model)?.Id);
    }

    /// <summary>Downloads only the base.</summary>
    public static string FetchModel(Recipe recipe, IHubProgress? progress, HubOptions? hub = null) =>
        ModelSource.Open(recipe.Model, hub, progress);

    /// <summary>Missing data files, one sentence each.</summary>
    public static IReadOnlyList<string> MissingData(DataSection data) =>
        RowFiles.Missing([.. data.Train, .. data.Validation]);
}
