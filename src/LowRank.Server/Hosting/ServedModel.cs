using LowRank.Adapters;
using LowRank.Models;
using LowRank.Server.Requests;
using LowRank.Serving;
using LowRank.Tokenizers;

namespace LowRank.Server;

/// <summary>The model that a server has loaded, with its adapters.</summary>
/// <remarks>A base that continues texts is served by an engine, which batches requests of different adapters; of
/// others, and of the adapters of other tasks, the model itself computes one request after the other.</remarks>
internal sealed class ServedModel : IAsyncDisposable
{
    private const string Writing = "causal_lm";

    private readonly ServerOptions options;
    private readonly SemaphoreSlim changing = new(1);
    private readonly Dictionary<string, LoadedAdapter> switched = new(StringComparer.Ordinal);
    private volatile IReadOnlyList<ServedCard> cards = [];

    private ServedModel(ServerOptions options, LanguageModel model, ServingEngine? engine)
    {
        (this.options, Model, Engine) = (options, model, engine);
        Work = new BoundedWork(options.Serving.MaxQueuedRequests, options.Serving.MaxQueuedTokens);
    }

    public LanguageModel Model { get; }

    /// <summary>Writes texts; null for a model that writes none.</summary>
    public ServingEngine? Engine { get; }

    /// <summary>What the model computes itself: embeddings, labels.</summary>
    public BoundedWork Work { get; }

    /// <summary>The base's name in requests.</summary>
    public string Name => options.Name;

    /// <summary>When it was loaded, in seconds since 1970.</summary>
    public long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Most tokens of a text.</summary>
    public int Context => Engine?.Context ?? Model.ContextLength;

    /// <summary>The adapters.</summary>
    public IReadOnlyList<ServedCard> Adapters => Engine is null ? cards
        : [.. Engine.Adapters.Select(adapter => new ServedCard(adapter.Name, adapter.Folder))];

    /// <summary>Opens the model and reads its adapters.</summary>
    /// <exception cref="InputException">They cannot be used.</exception>
    public static async Task<ServedModel> LoadAsync(ServerOptions options, CancellationToken cancellation)
    {
        LanguageModel model = await LanguageModel.LoadAsync(
            IO.EmbeddedFiles.Resolve(options.Model), options.Opening, null, cancellation).ConfigureAwait(false);
        ServingEngine? engine = null;
        try
        {
            if (model.WritesTexts && !options.Adapters.Any(adapter => HasOtherTask(adapter.Folder)))
                engine = await ServingEngine.StartAsync(model, options.Serving, cancellation).ConfigureAwait(false);
            var served = new ServedModel(options, model, engine);
            foreach (NamedAdapter adapter in options.Adapters)
                await served.AddAsync(adapter, replace: false, cancellation).ConfigureAwait(false);
            return served;
        }
        catch
        {
            if (engine is not null) await engine.DisposeAsync().ConfigureAwait(false);
            await model.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The engine.</summary>
    /// <exception cref="ApiException">The model writes no texts.</exception>
    public ServingEngine RequireEngine() => Engine ?? throw ApiException.Invalid(
        $"{Name} writes no texts; it serves /v1/embeddings, /v1/rerank and /v1/classify.", "model", "no_text_model");

    /// <summary>The tokenizer for an adapter's prompts, or for the base's.</summary>
    public Tokenizer TokenizerOf(string? adapter) => Engine?.TokenizerOf(adapter) ?? Model.Tokenizer
        ?? throw ApiException.Invalid($"{Name} has no tokenizer, which texts need.", "model");

    /// <summary>The adapter that a request's <c>model</c> means; null for the base alone.</summary>
    /// <exception cref="ApiException">There is no such name.</exception>
    public string? AdapterOf(string? model) => model is null || model == Name ? null
        : Adapters.Any(adapter => adapter.Name == model) ? model : throw ApiException.UnknownModel(
            RequestFields.Shortened(model));

    /// <summary>Reads an adapter.</summary>
    /// <exception cref="ApiException">The name is taken.</exception>
    /// <exception cref="InputException">The adapter cannot be used.</exception>
    public async Task AddAsync(NamedAdapter adapter, bool replace, CancellationToken cancellation)
    {
        if (adapter.Name == Name || (!replace && Adapters.Any(other => other.Name == adapter.Name)))
            throw ApiException.Invalid($"The name {adapter.Name} is taken.", "lora_name", "adapter_exists");
        if (Engine is not null)
        {
            await Engine.AddAdapterAsync(adapter.Name, adapter.Folder, replace, cancellation).ConfigureAwait(false);
            return;
        }
        await changing.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            LoadedAdapter loaded = await Work.Do(0, () =>
                Model.LoadAdapterAsync(Path.GetFullPath(adapter.Folder), cancellation), cancellation)
                .ConfigureAwait(false);
            LoadedAdapter? before = switched.GetValueOrDefault(adapter.Name);
            switched[adapter.Name] = loaded;
            cards = [.. cards.Where(card => card.Name != adapter.Name), new ServedCard(adapter.Name, adapter.Folder)];
            if (before is not null) await Model.RemoveAdapterAsync(before, cancellation).ConfigureAwait(false);
        }
        finally
        {
            changing.Release();
        }
    }

    /// <summary>Removes an adapter.</summary>
    /// <exception cref="ApiException">There is no such name.</exception>
    public async Task RemoveAsync(string name, CancellationToken cancellation)
    {
        if (Adapters.All(adapter => adapter.Name != name))
            throw ApiException.NotFound($"There is no adapter `{name}`.", "lora_name", "adapter_not_found");
        if (Engine is not null)
        {
            await Engine.RemoveAdapterAsync(name, cancellation).ConfigureAwait(false);
            return;
        }
        await changing.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (!switched.Remove(name, out LoadedAdapter? removed)) return;
            cards = [.. cards.Where(card => card.Name != name)];
            await Work.Do(0, async () =>
            {
                await Model.RemoveAdapterAsync(removed, cancellation).ConfigureAwait(false);
                return true;
            }, cancellation).ConfigureAwait(false);
        }
        finally
        {
            changing.Release();
        }
    }

    /// <summary>Computes with the model and an adapter; what waits is bounded.</summary>
    /// <param name="adapter">The adapter's name; null for the base alone.</param>
    /// <param name="tokens">How much it is.</param>
    /// <param name="work">What is computed; gets the adapter's task, null for the base.</param>
    /// <param name="cancellation">Gives up.</param>
    public Task<T> With<T>(string? adapter, long tokens, Func<string?, Task<T>> work, CancellationToken cancellation)
    {
        if (Engine is not null && adapter is not null)
            throw ApiException.Invalid(
                $"{adapter} writes texts; embeddings are of the base alone.", "model", "unsupported_model");
        return Work.Do(tokens, async () =>
        {
            LoadedAdapter? used = adapter is null ? null : switched.GetValueOrDefault(adapter)
                ?? throw ApiException.UnknownModel(adapter);
            if (Engine is null) await Model.UseAdapterAsync(used, cancellation).ConfigureAwait(false);
            return await work(used?.Task).ConfigureAwait(false);
        }, cancellation);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Engine is not null) await Engine.DisposeAsync().ConfigureAwait(false);
        await Model.DisposeAsync().ConfigureAwait(false);
        changing.Dispose();
        Work.Dispose();
    }

    // An adapter for labels or vectors needs the base with another head, or without one.
    private static bool HasOtherTask(string folder) => AdapterTask.Load(folder) is { } task ? task.Task != Writing
        : AdapterTask.LoadHead(folder) is { Kind: not HeadKind.LanguageModel };
}

/// <summary>An adapter as /v1/models shows it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Folder">Its folder.</param>
internal sealed record ServedCard(string Name, string Folder);
