using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using LowRank.Server.Observability;
using LowRank.Server.Requests;
using LowRank.Serving;

namespace LowRank.Server.Writing;

/// <summary>The texts that a request asks the engine for: for each of its prompts one or more.</summary>
/// <remarks>Who leaves early ends the work.</remarks>
internal sealed class TextRun : IAsyncDisposable
{
    private readonly List<ServedText> texts = [];
    private readonly int count;
    private readonly Activity? activity;
    private readonly List<string> ends = [];
    private readonly Call call;
    private readonly string operation, model;
    private readonly long started = Stopwatch.GetTimestamp();
    private long began;

    private TextRun(Call call, string operation, string model, ServingRequest first)
    {
        (this.call, this.operation, this.model, count) = (call, operation, model, first.Count);
        activity = ServerTracing.Start(operation, model, first);
    }

    /// <summary>How long the first prompt's request waited, was read and was written.</summary>
    public ServingTimes Times => texts[0].Times;

    /// <summary>How long it has taken so far.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(started);

    /// <summary>What it took so far.</summary>
    public ServingUsage Usage => new(
        texts.Sum(text => text.Usage.PromptTokens), texts.Sum(text => text.Usage.CachedTokens),
        texts.Sum(text => text.Usage.NewTokens));

    /// <summary>What it took, which the log of the request says, too.</summary>
    public ServingUsage Took()
    {
        ServingUsage used = Usage;
        call.Took = (model, used.PromptTokens, used.NewTokens);
        return used;
    }

    /// <summary>Asks for the texts.</summary>
    /// <param name="call">The client's request; when its client leaves, the work ends.</param>
    /// <param name="operation">What is done, by OpenTelemetry's words: chat or text_completion.</param>
    /// <param name="model">The name that was asked for.</param>
    /// <param name="requests">A request per prompt.</param>
    /// <exception cref="ServingException">The engine does not take them now.</exception>
    /// <exception cref="InputException">They cannot be used.</exception>
    public static async Task<TextRun> StartAsync(
        Call call, string operation, string model, IReadOnlyList<ServingRequest> requests)
    {
        ServingEngine engine = call.Served.RequireEngine(null);
        var run = new TextRun(call, operation, model, requests[0]);
        try
        {
            foreach (ServingRequest request in requests)
                run.texts.Add(await engine.SubmitAsync(request, call.Left).ConfigureAwait(false));
            return run;
        }
        catch (Exception failure)
        {
            ServerTracing.Failed(run.activity, failure);
            await run.DisposeAsync().ConfigureAwait(false);
            if (failure is not ServingException { Refusal: ServingRefusal.PromptTooLong } full) throw;
            throw ApiException.Invalid(full.Message, PromptField(call.Fields), ApiException.PromptTooLong);
        }
    }

    private static string PromptField(RequestFields fields) => fields.Has("messages") ? "messages"
        : fields.Has("input") ? "input" : "prompt";

    /// <summary>The tokens of a prompt, if they were asked for.</summary>
    public IReadOnlyList<ScoredToken> PromptTokens(int prompt) => texts[prompt].PromptTokens;

    /// <summary>The pieces of all texts as they come; to be read once.</summary>
    /// <param name="cancellation">Ends the work.</param>
    public async IAsyncEnumerable<ServedPiece> Pieces([EnumeratorCancellation] CancellationToken cancellation)
    {
        IAsyncEnumerable<ServedPiece> all = texts.Count == 1 ? texts[0] : Merged(cancellation);
        await foreach (ServedPiece piece in all.WithCancellation(cancellation).ConfigureAwait(false))
        {
            Saw(piece);
            yield return piece;
        }
    }

    /// <summary>The whole texts, in their order.</summary>
    /// <param name="cancellation">Ends the work.</param>
    public async Task<IReadOnlyList<ServedPiece>> Whole(CancellationToken cancellation)
    {
        List<ServedPiece> whole = [];
        foreach ((int prompt, ServedText text) in texts.Index())
            foreach (ServedPiece piece in await text.CollectAsync(cancellation).ConfigureAwait(false))
            {
                Saw(piece);
                whole.Add(piece with { Index = prompt * count + piece.Index });
            }
        return whole;
    }

    /// <summary>Why a text ended, in OpenAI's words.</summary>
    public static string Reason(ServedEnd? end) => end == ServedEnd.Length ? "length" : "stop";

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        foreach (ServedText text in texts) text.Leave();
        ServerTracing.End(activity, Usage, ends);
        if (texts.Count > 0) call.Meter.Wrote(operation, model, started, began, Usage.NewTokens);
        return ValueTask.CompletedTask;
    }

    private void Saw(ServedPiece piece)
    {
        if (began == 0) began = Stopwatch.GetTimestamp();
        if (piece.End is { } end) ends.Add(Reason(end));
    }

    private async IAsyncEnumerable<ServedPiece> Merged([EnumeratorCancellation] CancellationToken cancellation)
    {
        var merged = Channel.CreateUnbounded<ServedPiece>(new() { SingleReader = true });
        async Task Copy(int prompt, ServedText text)
        {
            await foreach (ServedPiece piece in text.WithCancellation(cancellation).ConfigureAwait(false))
                merged.Writer.TryWrite(piece with { Index = prompt * count + piece.Index });
        }
        Task[] copies = [.. texts.Index().Select(text => Copy(text.Index, text.Item))];
        _ = Task.WhenAll(copies).ContinueWith(done => merged.Writer.TryComplete(done.Exception?.InnerException),
            CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        await foreach (ServedPiece piece in merged.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
            yield return piece;
    }
}
