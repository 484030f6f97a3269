using LowRank.Adapters;

namespace LowRank;

/// <summary>An adapter of a <see cref="LanguageModel"/>: one of those that it can switch between.</summary>
public sealed class LoadedAdapter
{
    private readonly LanguageModel model;

    internal LoadedAdapter(LanguageModel model, string id, Tasks.TaskOpening opening, Adapter adapter) =>
        (this.model, Id, Opening, Engine) = (model, id, opening, adapter);

    /// <summary>The task that it was trained for, such as causal_lm.</summary>
    public string Task => Opening.Kind.Name;

    /// <summary>Its settings, as PEFT's <c>adapter_config.json</c> has them.</summary>
    public AdapterConfig Config => Engine.Config;

    internal string Id { get; }

    internal Tasks.TaskOpening Opening { get; }

    internal Adapter Engine { get; }

    /// <summary>Writes it as a folder that PEFT and every command of lowrank read. The folder appears whole or not at
    /// all.</summary>
    /// <param name="folder">The folder; one that exists is replaced if it holds an adapter.</param>
    /// <param name="cancellationToken">Gives up before it is begun.</param>
    /// <exception cref="ObjectDisposedException">The model was disposed of.</exception>
    /// <exception cref="ArgumentException">The adapter was removed from the model.</exception>
    /// <exception cref="InputException">The folder is not empty, and holds no adapter.</exception>
    /// <exception cref="RunStorageException">The folder cannot be written to.</exception>
    public Task SaveAsync(string folder, CancellationToken cancellationToken = default) =>
        model.SaveAsync(this, folder, cancellationToken);
}
