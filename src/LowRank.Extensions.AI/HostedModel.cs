using LowRank.Hub;
using LowRank.Models;
using LowRank.Tasks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LowRank.Extensions.AI;

/// <summary>A model of a program, loaded once: when the program starts, or by the first call.</summary>
/// <param name="name">The base's name.</param>
/// <param name="options">Gives the options, checked.</param>
/// <param name="loggers">Make the model's logger; null for none.</param>
internal sealed class HostedModel(string name, Func<LowRankOptions> options, ILoggerFactory? loggers)
    : IAsyncDisposable, IDisposable
{
    private readonly Lock changing = new();
    private readonly CancellationTokenSource closing = new();
    private Task<LoadedModel>? loading;

    /// <summary>The base's name.</summary>
    public string Name => name;

    /// <summary>The loading, under way or ended; null before it was asked for.</summary>
    public Task<LoadedModel>? Loading
    {
        get
        {
            lock (changing) return loading;
        }
    }

    /// <summary>The model, loaded now unless it is already. Where loading failed, it is tried again: the Hub may have
    /// been out of reach.</summary>
    /// <param name="cancellation">Ends the wait, not the loading, for which others may wait.</param>
    public Task<LoadedModel> OpenAsync(CancellationToken cancellation)
    {
        lock (changing)
        {
            ObjectDisposedException.ThrowIf(closing.IsCancellationRequested, typeof(LanguageModel));
            if (loading is null or { IsFaulted: true } or { IsCanceled: true })
                loading = Task.Run(() => LoadedModel.LoadAsync(options(), loggers, closing.Token), closing.Token);
            return loading.WaitAsync(cancellation);
        }
    }

    /// <summary>The engine, in a model that writes texts.</summary>
    /// <exception cref="InputException">It writes none.</exception>
    public async Task<ServingEngine> EngineAsync(CancellationToken cancellation) =>
        (await OpenAsync(cancellation).ConfigureAwait(false)).Engine ?? throw new InputException(
            $"{name} writes no texts. Use its embedding generator, or a model that continues texts.");

    /// <summary>Ends loading or the texts under way, and gives the memory back: the engine's first, then the
    /// model's.</summary>
    public async ValueTask DisposeAsync()
    {
        Task<LoadedModel>? last;
        lock (changing)
        {
            if (closing.IsCancellationRequested) return;
            closing.Cancel(); // no callback of ours takes the lock
            last = loading;
        }
        if (last is not null)
        {
            await ((Task)last).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (last.IsCompletedSuccessfully) await (await last.ConfigureAwait(false)).DisposeAsync()
                .ConfigureAwait(false);
        }
        closing.Dispose();
    }

    /// <summary>As <see cref="DisposeAsync"/>, for providers that are disposed of without waiting.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();
}

/// <summary>A model in memory, with what it is used for.</summary>
/// <param name="Model">The model.</param>
/// <param name="Engine">Writes texts; null for a model that writes none.</param>
/// <param name="Embedders">The adapters that embed, by name.</param>
internal sealed record LoadedModel(
    LanguageModel Model, ServingEngine? Engine, IReadOnlyDictionary<string, LoadedAdapter> Embedders)
    : IAsyncDisposable
{
    /// <summary>Opens the base and reads the adapters.</summary>
    /// <exception cref="InputException">The base cannot be used, or adapters cannot: all problems at once.</exception>
    /// <exception cref="HubException">The Hub could not be reached.</exception>
    public static async Task<LoadedModel> LoadAsync(
        LowRankOptions options, ILoggerFactory? loggers, CancellationToken cancellation)
    {
        LanguageModelOptions opening = options.Opening;
        if (loggers is not null && opening.Logger == NullLogger.Instance)
            opening = opening with { Logger = loggers.CreateLogger(nameof(LowRank)) };
        LanguageModel model = await LanguageModel.LoadAsync(
            IO.EmbeddedFiles.Resolve(options.Model), opening, null, cancellation).ConfigureAwait(false);
        ServingEngine? engine = null;
        try
        {
            if (model.WritesTexts)
                engine = await ServingEngine.StartAsync(model, options.Serving, cancellation).ConfigureAwait(false);
            return new LoadedModel(model, engine,
                await ReadAdapters(options, opening, model, engine, cancellation).ConfigureAwait(false));
        }
        catch
        {
            if (engine is not null) await engine.DisposeAsync().ConfigureAwait(false);
            await model.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Engine is not null) await Engine.DisposeAsync().ConfigureAwait(false);
        await Model.DisposeAsync().ConfigureAwait(false);
    }

    private static async Task<Dictionary<string, LoadedAdapter>> ReadAdapters(
        LowRankOptions options, LanguageModelOptions opening, LanguageModel model, ServingEngine? engine,
        CancellationToken cancellation)
    {
        Dictionary<string, LoadedAdapter> embedders = [];
        List<string> problems = [];
        foreach ((string adapter, string place) in options.Adapters)
            try
            {
                string folder = await HubFolder.OpenAsync(place, HubSelection.Adapter, opening.Hub,
                    new ReportedDownload(opening.Logger, null, cancellation), cancellation).ConfigureAwait(false);
                string task = TaskOpening.From(model.Folder, folder, null, new BaseForm(opening.BaseDtype)).Kind.Name;
                if (task == TaskOptions.Embedding.Name)
                    embedders.Add(adapter,
                        await model.LoadAdapterAsync(folder, cancellation).ConfigureAwait(false));
                else if (engine is not null && task == TaskOptions.CausalLanguageModel.Name)
                    await engine.AddAdapterAsync(adapter, folder, false, cancellation).ConfigureAwait(false);
                else
                    problems.Add(
                        $"{adapter} ({place}) is for {task}. Expected an adapter that writes texts or embeds them; " +
                        "use LanguageModel for other tasks.");
            }
            catch (InputException e)
            {
                problems.AddRange(e.Problems.Select(problem => $"{adapter} ({place}): {problem}"));
            }
        if (embedders.Count > 0) await model.UseAdapterAsync(null, cancellation).ConfigureAwait(false);
        return problems.Count == 0 ? embedders
            : throw new InputException($"Adapters cannot be used with {options.Model}:", problems);
    }
}
