using System.Collections.Concurrent;
using System.Collections.Frozen;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Serving;
using LowRank.Tokenizers;

namespace LowRank;

/// <summary>Writes many texts at the same time on one base, each with an adapter of its own.</summary>
/// <remarks>Safe to call from any thread. The texts under way are computed together, a token each per step; texts join
/// and leave between steps. On a processor a text is the same, to the last bit of its logits, as the text that is
/// written alone. The engine uses the model's thread; calls of the model itself take their turn between two
/// steps.</remarks>
/// <example><code>
/// await using LanguageModel model = await LanguageModel.LoadAsync("models/base");
/// await using ServingEngine engine = await ServingEngine.StartAsync(model);
/// await engine.AddAdapterAsync("hotels", "runs/hotels/adapter");
/// ServedText text = await engine.SubmitAsync(new ServingRequest(engine.Encode("name: The Blue Lamp"))
///     { Adapters = [new AdapterChoice("hotels")] });
/// await foreach (ServedPiece piece in text) Console.Write(piece.Text);
/// </code></example>
public sealed class ServingEngine : IAsyncDisposable
{
    /// <summary>The name of its <see cref="System.Diagnostics.Metrics.Meter"/>.</summary>
    public const string MeterName = "LowRank.Serving";

    private readonly ServingOptions options;
    private readonly OpenedModel opened;
    private readonly Scheduler scheduler;
    private readonly AdapterStore store;
    private readonly ServingMetrics metrics;
    private readonly Timer idle; // runs while it writes nothing
    private readonly ConcurrentDictionary<ServingWork, bool> open = []; // requests that are not finished
    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock entrance = new(); // to the next two
    private long entering, enteringTokens;
    private bool isAwake; // on the model's thread alone, like the scheduler and the store
    private volatile bool isClosing;

    private ServingEngine(LanguageModel model, ServingOptions options, OpenedModel opened)
    {
        (Model, this.options, this.opened) = (model, options, opened);
        Decoder decoder = opened.RequireDecoder("Serving texts");
        decoder.RequireCausal();
        Tokenizer = opened.RequireTokenizer();
        (Context, int pages) = Size(decoder, options);
        metrics = new ServingMetrics(() => Statistics, this);
        store = new AdapterStore(opened.Model, opened.Opening, Tokenizer, options, Wake);
        scheduler = new Scheduler(decoder, options, store, pages, metrics, Ended);
        idle = new Timer(_ => Model.Thread.Post(_ => Rest(), refused: static () => { }));
    }

    /// <summary>The model.</summary>
    public LanguageModel Model { get; }

    /// <summary>Most tokens of a text, its prompt included.</summary>
    public int Context { get; }

    /// <summary>The base's tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The adapters, in the order they came, in memory or not.</summary>
    public IReadOnlyList<ServedAdapter> Adapters => [.. store.All.Select(one => one.Adapter)];

    /// <summary>What it does now, and did so far.</summary>
    public ServingStatistics Statistics
    {
        get
        {
            ServedAdapter[] loaded = [.. Adapters.Where(adapter => adapter.IsLoaded)];
            return new ServingStatistics(
                scheduler.Running, scheduler.Waiting + (int)Volatile.Read(ref entering), scheduler.Usage,
                scheduler.CacheBytes, scheduler.CacheQueries, scheduler.CacheHits, scheduler.PromptTokens,
                scheduler.NewTokens, scheduler.Steps, loaded.Length, loaded.Sum(adapter => adapter.Bytes), store.Loads);
        }
    }

    /// <summary>Starts an engine on a model that continues texts.</summary>
    /// <param name="model">The model; the engine does not own it, and is to be disposed of before it.</param>
    /// <param name="options">Its limits; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InputException">Options are out of range, or the model writes no texts token by
    /// token.</exception>
    public static Task<ServingEngine> StartAsync(
        LanguageModel model, ServingOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new ServingOptions();
        options.Validate();
        return model.Do(_ => new ServingEngine(model, options, model.OpenBase()), cancellationToken);
    }

    /// <summary>The tokenizer for prompts of an adapter, with the adapter's chat template where it brings
    /// one.</summary>
    /// <param name="adapter">Its name; null for the base alone.</param>
    /// <exception cref="ServingException">There is no such adapter.</exception>
    public Tokenizer TokenizerOf(string? adapter)
    {
        if (adapter is null) return Tokenizer;
        foreach ((ServedAdapter one, Tokenizer? own) in store.All)
            if (one.Name == adapter) return own ?? Tokenizer;
        throw new ServingException(ServingRefusal.UnknownAdapter, $"There is no adapter \"{adapter}\".");
    }

    /// <summary>The tokens of a prompt, as the model was trained to see the beginning of a text.</summary>
    public int[] Encode(string prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        int[] ids = PromptEncoding.Prompt(Tokenizer, prompt);
        return ids.Length == 0 && opened.Model.Generation.BosTokenId is { } begin ? [begin] : ids;
    }

    /// <summary>Reads an adapter's folder, while others write.</summary>
    /// <param name="name">The name that requests will give.</param>
    /// <param name="folder">A PEFT folder, of this library, PEFT or others.</param>
    /// <param name="replace">Whether it takes the place of an adapter with this name: requests that come later use the
    /// new one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ServingException">The name is taken.</exception>
    /// <exception cref="InputException">It cannot be used with this base or in a batch beside others: all problems at
    /// once. Nothing has changed.</exception>
    public async Task<ServedAdapter> AddAdapterAsync(
        string name, string folder, bool replace = false, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        folder = Path.GetFullPath(folder);
        if (isClosing) throw Closed();
        // The model's thread finds the file in memory.
        AdapterContent content =
            await Task.Run(() => options.ReadAdapter(folder, cancellationToken), cancellationToken)
            .ConfigureAwait(false);
        AdapterEntry added = AdaptationRecipe.Wording().Do(() => store.Read(name, folder, content));
        return await Do(_ => store.Add(added, replace), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Removes an adapter. Texts under way that use it are finished; then its memory is free.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ServingException">There is no such adapter.</exception>
    public Task RemoveAdapterAsync(string name, CancellationToken cancellationToken = default) => Do(_ =>
    {
        store.Remove(name);
        return true;
    }, cancellationToken);

    /// <summary>Asks for a text.</summary>
    /// <param name="request">What to write.</param>
    /// <param name="cancellationToken">Ends the work, wherever it is.</param>
    /// <returns>The text, which is written while it is read.</returns>
    /// <exception cref="ServingException">The engine does not take it now, or does not know its adapter.</exception>
    /// <exception cref="InputException">The request cannot be used: all problems at once.</exception>
    public async Task<ServedText> SubmitAsync(ServingRequest request, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        request = request with { Prompt = [.. request.Prompt] }; // the caller may change a list of his own
        Check(request);
        Enter(request);
        try
        {
            // A constraint is compiled before the request waits, and on no thread that others wait for.
            TokenConstraint? constraint = request.Generation.Constraint is null ? null : await Task.Run(
                () => opened.Compile(request.Generation.Constraint), cancellationToken).ConfigureAwait(false);
            return await Do(_ => Begin(request, constraint, cancellationToken), cancellationToken)
                .ConfigureAwait(false);
        }
        finally
        {
            lock (entrance)
            {
                entering -= request.Count;
                enteringTokens -= TokensOf(request);
            }
        }
    }

    /// <summary>Takes no more requests, and finishes those that it has.</summary>
    /// <param name="cancellationToken">Ends the rest, too.</param>
    public async Task DrainAsync(CancellationToken cancellationToken = default)
    {
        isClosing = true;
        try
        {
            // On the thread that adds requests: none of them is missed.
            await Model.Do(_ => open.IsEmpty && drained.TrySetResult(), cancellationToken).ConfigureAwait(false);
            await drained.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            await DisposeAsync().ConfigureAwait(false);
            throw;
        }
        catch (ObjectDisposedException)
        {
            Abandon();
        }
    }

    /// <summary>Takes no more requests, and ends those that it has.</summary>
    public async ValueTask DisposeAsync()
    {
        isClosing = true;
        try
        {
            await Model.Do(_ =>
            {
                scheduler.FailAll(Closed());
                scheduler.Dispose();
                store.Dispose();
                return true;
            }, CancellationToken.None).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            Abandon(); // the model went first, and its memory with it
        }
        metrics.Dispose();
        await idle.DisposeAsync().ConfigureAwait(false);
    }

    private static ServingException Closed() => new(ServingRefusal.Closing, "The engine is closing.");

    // Most tokens of a text, and pages for keys and values.
    private static (int Context, int Pages) Size(Decoder decoder, ServingOptions options)
    {
        int longest = (int)Math.Min(decoder.Shape.ContextLength, decoder.LongestIndependentLength);
        if (options.Context > longest)
            throw new InputException(
                $"{nameof(ServingOptions)}.{nameof(ServingOptions.Context)} is {options.Context}, and the model's " +
                $"texts have at most {longest} tokens" + (longest == decoder.Shape.ContextLength ? "."
                : ": beyond, every position would turn by other angles, and be computed again."));
        int context = options.Context ?? longest;
        long page = decoder.NewPages(1).PageBytes,
            whole = (context + KeyValuePages.PageLength - 1L) / KeyValuePages.PageLength,
            bytes = options.CacheBytes ?? (long)Int128.Min((Int128)whole * options.MaxBatch * page,
                (ProcessMemory.AvailableBytes() ?? long.MaxValue) / 2);
        int pages = (int)Math.Min(int.MaxValue, bytes / page);
        if (pages < 1)
            throw new InputException(
                $"{bytes} bytes for keys and values hold no page of {KeyValuePages.PageLength} tokens, which takes " +
                $"{page}. Give {nameof(ServingOptions)}.{nameof(ServingOptions.CacheBytes)} more.");
        return ((int)Math.Min(context, (long)pages * KeyValuePages.PageLength), pages);
    }

    private void Check(ServingRequest request)
    {
        List<string> problems = [];
        if (request.Prompt.Count == 0) problems.Add("The prompt has no tokens; expected at least one");
        int wrong = request.Prompt.Index().FirstOrDefault(
            token => token.Item < 0 || token.Item >= opened.Model.Network.VocabularySize, (Index: -1, Item: 0)).Index;
        if (wrong >= 0)
            problems.Add($"The prompt has token {request.Prompt[wrong]} at position {wrong}; the vocabulary has " +
                $"{opened.Model.Network.VocabularySize}");
        if (request.Count < 1 || request.Count > options.MaxQueuedRequests)
            problems.Add($"The number of texts is {request.Count}, expected 1 to {options.MaxQueuedRequests}, as " +
                "many as may wait");
        if (request.LogProbs is < 0 or > MostLogProbs)
            problems.Add($"The number of likeliest tokens is {request.LogProbs}, expected 0 to {MostLogProbs}");
        if (request.Generation.StopStrings.Any(string.IsNullOrEmpty))
            problems.Add("A stop string is empty, and would end every text");
        foreach (AdapterChoice choice in request.Adapters.Where(choice => !double.IsFinite(choice.Scale)))
            problems.Add($"The scale of the adapter \"{choice.Name}\" is not finite");
        if (request.Adapters.GroupBy(choice => choice.Name).FirstOrDefault(same => same.Count() > 1) is { } twice)
            problems.Add($"The adapter \"{twice.Key}\" is named twice");
        int unknown = request.Generation.LogitBias.Keys.FirstOrDefault(
            token => token >= opened.Model.Network.VocabularySize, -1);
        if (unknown >= 0)
            problems.Add($"The logit bias has token {unknown}; the vocabulary has " +
                $"{opened.Model.Network.VocabularySize}");
        if (problems.Count > 0) throw new InputException("The request cannot be used:", problems);
        request.Generation.Validate();
        foreach (AdapterChoice choice in request.Adapters) _ = TokenizerOf(choice.Name); // says which is unknown
        if (request.Prompt.Count >= Context)
            throw new ServingException(ServingRefusal.PromptTooLong,
                $"The prompt has {request.Prompt.Count} tokens, and the context holds {Context}, what is written " +
                "included. Shorten it.");
    }

    // Takes a place in the queue.
    private void Enter(ServingRequest request)
    {
        if (isClosing) throw Closed();
        lock (entrance)
        {
            long texts = entering + scheduler.Waiting, tokens = enteringTokens + scheduler.WaitingTokens;
            if (texts + request.Count > options.MaxQueuedRequests
                || (texts > 0 && tokens + TokensOf(request) > options.MaxQueuedTokens))
                throw new ServingException(ServingRefusal.Busy,
                    $"{texts} texts with prompts of {tokens} tokens wait already. Ask again later.");
            entering += request.Count;
            enteringTokens += TokensOf(request);
        }
    }

    // Each of its texts has the prompt.
    private static long TokensOf(ServingRequest request) => (long)request.Count * request.Prompt.Count;

    // On the model's thread.
    private ServedText Begin(ServingRequest request, TokenConstraint? constraint, CancellationToken cancellation)
    {
        MixedAdapters adapters = store.Use(request.Adapters);
        ServingText[] texts;
        try
        {
            texts = Texts(request, adapters, constraint);
        }
        catch
        {
            store.Release(adapters, isPlaced: false);
            throw;
        }
        ServingWork work = texts[0].Work;
        open[work] = true;
        work.Output.LeaveWith(cancellation); // before it can be complete, which ends the registration
        foreach (ServingText text in texts) scheduler.Add(text);
        if (!isAwake) Post();
        return work.Output;
    }

    private ServingText[] Texts(ServingRequest request, MixedAdapters adapters, TokenConstraint? constraint)
    {
        Tokenizer tokenizer =
            adapters.Entries.Select(entry => entry.Tokenizer).FirstOrDefault(own => own is not null) ?? Tokenizer;
        var work = new ServingWork(request, adapters, tokenizer,
            (request.IgnoresEndOfText ? request.Generation.StopTokenIds
                : request.Generation.StopTokenIds.Concat(opened.StopTokens)).ToFrozenSet(),
            Math.Min(request.Generation.MaxNewTokens, Context - request.Prompt.Count), constraint, Wake);
        return [.. Enumerable.Range(0, request.Count).Select(index => new ServingText(work, index))];
    }

    // There may be something to do again: on any thread.
    private void Wake() => Model.Thread.Post(_ =>
    {
        if (!isAwake && scheduler.Waiting > 0) Post();
    }, Abandon);

    // A step after another, each behind what other callers have asked of the model meanwhile.
    private void Post()
    {
        if (!isAwake) idle.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        isAwake = true;
        Model.Thread.Post(_ =>
        {
            try
            {
                if (opened.Base.Active.Count > 0) opened.Base.Activate(); // other calls may have left an adapter in use
                scheduler.Step();
            }
            catch (Exception failure)
            {
                scheduler.FailAll(failure); // told to all who wait; later requests begin anew
            }
            if (scheduler.HasWork)
            {
                Post();
                return;
            }
            isAwake = false;
            if (!isClosing) idle.Change(options.IdleTime, Timeout.InfiniteTimeSpan);
        }, Abandon);
    }

    private void Rest()
    {
        if (!isAwake && !isClosing) scheduler.Rest();
    }

    private void Ended(ServingText text)
    {
        if (text.Work.Open > 0) return;
        store.Release(text.Work.Adapters, text.Work.IsPlaced);
        text.Work.Output.Complete();
        open.TryRemove(text.Work, out _);
        if (isClosing && open.IsEmpty) drained.TrySetResult();
    }

    // The model was closed: nobody writes any more.
    private void Abandon()
    {
        isClosing = true;
        foreach (ServingWork work in open.Keys) work.Output.Complete(Closed());
        open.Clear();
        drained.TrySetResult();
    }

    private async Task<T> Do<T>(Func<CancellationToken, T> work, CancellationToken cancellation)
    {
        if (isClosing) throw Closed();
        return await Model.Do(token =>
        {
            if (isClosing) throw Closed();
            return work(token);
        }, cancellation).ConfigureAwait(false);
    }

    private const int MostLogProbs = 20;
}
