using LowRank.Adapters;
using LowRank.Models;
using LowRank.Server.Requests;
using LowRank.Serving;
using LowRank.Tasks;
using LowRank.Tokenizers;

namespace LowRank.Server;

/// <summary>The model that a server has loaded, with its adapters.</summary>
/// <remarks>A base that continues texts has an engine, which batches requests of different adapters. Vectors and labels
/// are computed by the model itself, one request after the other: beside the engine they take their turn between two of
/// its steps.</remarks>
internal sealed class ServedModel : IAsyncDisposable
{
    private readonly ServerOptions options;
    private readonly SemaphoreSlim changing = new(1);
    private volatile IReadOnlyList<SwitchedAdapter> switched = [];

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

    /// <summary>The adapters: those that write texts, then those for other tasks.</summary>
    public IReadOnlyList<ServedCard> Adapters =>
    [
        .. (Engine?.Adapters ?? []).Select(adapter => new ServedCard(adapter.Name, adapter.Folder)),
        .. switched.Select(adapter => new ServedCard(adapter.Name, adapter.Folder)),
    ];

    /// <summary>Opens the model and reads its adapters.</summary>
    /// <exception cref="InputException">They cannot be used.</exception>
    public static async Task<ServedModel> LoadAsync(ServerOptions options, CancellationToken cancellation)
    {
        LanguageModel model = await LanguageModel.LoadAsync(
            IO.EmbeddedFiles.Resolve(options.Model), options.Opening, null, cancellation).ConfigureAwait(false);
        ServingEngine? engine = null;
        try
        {
            if (model.BaseTask == TaskOptions.SequenceToSequence.Name)
                throw new InputException(
                    $"{options.Model} turns one text into another ({model.BaseTask}), and no route does. Expected a " +
                    "model that continues texts, or an encoder for vectors and labels.");
            if (model.WritesTexts)
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
    /// <param name="adapter">The adapter to write with; null for the base alone.</param>
    /// <exception cref="ApiException">The model, or the adapter, writes no texts.</exception>
    public ServingEngine RequireEngine(string? adapter)
    {
        const string Code = "no_text_model";
        if (Engine is null)
            throw ApiException.Invalid(
                $"{Name} writes no texts; it serves /v1/embeddings, /v1/rerank, /v1/score and /v1/classify.", "model",
                    Code);
        return Find(adapter) is { } other
            ? throw ApiException.Invalid($"{other.Name} writes no texts: it was trained for {other.Loaded.Task}.",
                "model", Code) : Engine;
    }

    /// <summary>The tokenizer for an adapter's prompts, or for the base's.</summary>
    public Tokenizer TokenizerOf(string? adapter) =>
        (Find(adapter) is null ? Engine?.TokenizerOf(adapter) : null) ?? Model.Tokenizer
        ?? throw ApiException.Invalid($"{Name} has no tokenizer, which texts need.", "model");

    /// <summary>The adapter that a request's <c>model</c> means; null for the base alone.</summary>
    /// <exception cref="ApiException">There is no such name.</exception>
    public string? AdapterOf(string? model) => model is null || model == Name ? null
        : Adapters.Any(adapter => adapter.Name == model) ? model : throw ApiException.UnknownModel(
            RequestFields.Shortened(model));

    /// <summary>The task of an adapter that the model itself computes with, or of the base.</summary>
    /// <exception cref="ApiException">The adapter writes texts, or is gone.</exception>
    public string TaskOf(string? adapter) => Switched(adapter)?.Loaded.Task ?? Model.BaseTask;

    private SwitchedAdapter? Switched(string? adapter) => adapter is null ? null : Find(adapter)
        ?? throw (Writes(adapter) ? ApiException.Invalid(
            $"{adapter} was trained to write texts. Vectors and labels are the base's, or those of an adapter for " +
            "them.", "model", "unsupported_model") : ApiException.UnknownModel(adapter));

    /// <summary>Whether an adapter writes texts.</summary>
    public bool Writes(string name) => Engine?.Adapters.Any(adapter => adapter.Name == name) == true;

    /// <summary>Whether a task's answers are labels or scores.</summary>
    public static bool GivesLabels(string task) =>
        task == TaskOptions.SequenceClassification.Name || task == TaskOptions.TokenClassification.Name
        || task == TaskOptions.Reward.Name;

    /// <summary>Reads an adapter.</summary>
    /// <exception cref="ApiException">The name is taken.</exception>
    /// <exception cref="InputException">The adapter cannot be used.</exception>
    public async Task AddAsync(NamedAdapter adapter, bool replace, CancellationToken cancellation)
    {
        string name = adapter.Name, folder = Path.GetFullPath(adapter.Folder);
        await changing.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (name == Name || (!replace && Adapters.Any(other => other.Name == name)))
                throw ApiException.Invalid($"The name {name} is taken.", "lora_name", "adapter_exists");
            string task = TaskOpening.From(
                Model.Folder, folder, null, new BaseForm(options.Opening.BaseDtype)).Kind.Name;
            SwitchedAdapter? before = Find(name);
            if (Engine is not null && task == TaskOptions.CausalLanguageModel.Name)
                await Engine.AddAdapterAsync(name, folder, replace, cancellation).ConfigureAwait(false);
            else
            {
                LoadedAdapter loaded = await Switch(folder, task, cancellation).ConfigureAwait(false);
                switched = [.. switched.Where(other => other != before), new SwitchedAdapter(name, folder, loaded)];
                if (Writes(name)) await Engine!.RemoveAdapterAsync(name, CancellationToken.None).ConfigureAwait(false);
            }
            if (before is not null) await Drop(before).ConfigureAwait(false);
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
        await changing.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (Find(name) is { } other) await Drop(other).ConfigureAwait(false);
            else if (Writes(name)) await Engine!.RemoveAdapterAsync(name, cancellation).ConfigureAwait(false);
            else throw ApiException.NotFound($"There is no adapter `{name}`.", "lora_name", "adapter_not_found");
        }
        finally
        {
            changing.Release();
        }
    }

    /// <summary>Computes with the model and an adapter; what waits is bounded.</summary>
    /// <param name="adapter">The adapter's name; null for the base alone.</param>
    /// <param name="tokens">How much it is.</param>
    /// <param name="work">What is computed; gets the task of the adapter, or of the base.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="ApiException">The adapter writes texts.</exception>
    public Task<T> With<T>(string? adapter, long tokens, Func<string, Task<T>> work, CancellationToken cancellation)
    {
        Switched(adapter); // refuses before it waits
        return Work.Do(tokens, async () =>
        {
            // The adapter that has the name now; it stays until the work is done.
            LoadedAdapter? loaded = Switched(adapter)?.Loaded;
            await Model.UseAdapterAsync(loaded, cancellation).ConfigureAwait(false);
            return await work(loaded?.Task ?? Model.BaseTask).ConfigureAwait(false);
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

    private SwitchedAdapter? Find(string? name) =>
        name is null ? null : switched.FirstOrDefault(adapter => adapter.Name == name);

    // Its base is opened with the head that the task needs, unless it is open so already.
    private async Task<LoadedAdapter> Switch(string folder, string task, CancellationToken cancellation)
    {
        if (!GivesLabels(task) && task != TaskOptions.Embedding.Name)
            throw new InputException(
                $"The adapter {folder} was trained for {task}, and no route of {Name} serves that. " +
                "Expected one for labels or embeddings, or for texts where the base writes them.");
        return await Work.Do(0, async () =>
        {
            LoadedAdapter loaded = await Model.LoadAdapterAsync(folder, cancellation).ConfigureAwait(false);
            int rank = AdapterStore.RankOf(loaded.Engine);
            if (options.Serving.MaxRank is not { } most || rank <= most) return loaded;
            await Model.RemoveAdapterAsync(loaded, CancellationToken.None).ConfigureAwait(false);
            throw new InputException(
                $"The adapter {folder} has rank {rank}, and at most {most} is served. Train it with a lower rank, " +
                "or start the server with a higher limit.");
        }, cancellation).ConfigureAwait(false);
    }

    // Who computes with it now goes on: between its choice and its use the model would take the base instead.
    private async Task Drop(SwitchedAdapter adapter)
    {
        switched = [.. switched.Where(other => other != adapter)];
        await Work.Between(async () =>
        {
            await Model.RemoveAdapterAsync(adapter.Loaded, CancellationToken.None).ConfigureAwait(false);
            return adapter;
        }, CancellationToken.None).ConfigureAwait(false);
    }
}

/// <summary>An adapter as /v1/models shows it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Folder">Its folder.</param>
internal sealed record ServedCard(string Name, string Folder);

/// <summary>An adapter for vectors or labels, which the model itself computes with.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Folder">Its folder.</param>
/// <param name="Loaded">Itself.</param>
internal sealed record SwitchedAdapter(string Name, string Folder, LoadedAdapter Loaded);
