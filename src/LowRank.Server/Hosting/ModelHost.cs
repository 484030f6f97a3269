using LowRank.Server.Requests;
using Microsoft.Extensions.Logging;

namespace LowRank.Server;

/// <summary>A model that is being loaded, is there, or is about to go.</summary>
internal sealed class ModelHost : IAsyncDisposable
{
    private readonly ServerOptions options;
    private readonly CancellationTokenSource closing = new();
    private volatile ServedModel? served;
    private volatile bool isClosing;

    /// <summary>Begins to load the model.</summary>
    public ModelHost(ServerOptions options)
    {
        this.options = options;
        Loading = Task.Run(Load);
    }

    /// <summary>Ends when the model is there, with the reason if it cannot be.</summary>
    public Task Loading { get; }

    /// <summary>The model; null while it is not there.</summary>
    public ServedModel? Served => isClosing ? null : served;

    /// <summary>How the server is, in a word.</summary>
    public string State => isClosing ? "stopping" : Loading.IsFaulted || Loading.IsCanceled ? "failed"
        : served is null ? "loading" : "ok";

    /// <summary>The model.</summary>
    /// <exception cref="ApiException">It is not there yet, or not any more.</exception>
    public ServedModel Require() => Served ?? throw (State switch
    {
        "loading" => ApiException.Unavailable("The model is being loaded.", "loading"),
        "failed" => ApiException.Unavailable("The model could not be loaded.", "failed"),
        _ => ApiException.Unavailable("The server is stopping.", "stopping"),
    });

    /// <summary>Takes no more requests.</summary>
    public void Close() => isClosing = true;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        isClosing = true;
        await closing.CancelAsync().ConfigureAwait(false);
        await Loading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // whoever started the server was told
        if (served is not null) await served.DisposeAsync().ConfigureAwait(false);
        closing.Dispose();
    }

    private async Task Load()
    {
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        served = await ServedModel.LoadAsync(options, closing.Token).ConfigureAwait(false);
        options.Logger.Ready(
            Math.Round(System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalSeconds, 3), options.Name,
            options.Adapters.Count);
    }
}
