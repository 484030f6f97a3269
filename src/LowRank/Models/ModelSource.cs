using LowRank.Hub;
using LowRank.Models.Gguf;

namespace LowRank.Models;

/// <summary>Where a model comes from: a folder, a GGUF file, or the Hugging Face Hub.</summary>
public static class ModelSource
{
    /// <summary>The folder of a model: an existing folder, the folder in the user's cache for a GGUF file, or the
    /// repository of that name, downloaded (<see cref="HubFolder.OpenAsync"/>).</summary>
    /// <param name="name">A folder, a GGUF file, or <c>org/name[@revision]</c>.</param>
    /// <param name="options">The Hub's settings; null for those of the environment.</param>
    /// <param name="progress">Receives the progress of a download; may be null.</param>
    /// <exception cref="InputException">There is no such model, or the file holds none that can be opened.</exception>
    /// <exception cref="HubException">The Hub could not be reached, and the cache lacks the files.</exception>
    public static string Open(string name, HubOptions? options = null, IHubProgress? progress = null) =>
        GgufFolders.Resolve(IsFile(name) ? name : HubFolder.Open(name, HubSelection.Model, options, progress));

    /// <inheritdoc cref="Open"/>
    /// <param name="name">A folder, a GGUF file, or <c>org/name[@revision]</c>.</param>
    /// <param name="options">The Hub's settings; null for those of the environment.</param>
    /// <param name="progress">Receives the progress of a download; may be null.</param>
    /// <param name="cancellationToken">Cancels a download.</param>
    public static async Task<string> OpenAsync(
        string name, HubOptions? options = null, IHubProgress? progress = null,
        CancellationToken cancellationToken = default) =>
        GgufFolders.Resolve(IsFile(name) ? name
            : await HubFolder.OpenAsync(name, HubSelection.Model, options, progress, cancellationToken)
                .ConfigureAwait(false));

    /// <summary>Whether a name is a GGUF file that exists.</summary>
    public static bool IsFile(string name) => IO.Gguf.GgufFile.IsNamed(name) && File.Exists(name);
}
