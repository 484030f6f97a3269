using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LowRank.Extensions.AI;

/// <summary>Begins to load a program's models when the program starts, which does not wait for them.</summary>
/// <param name="models">The models.</param>
/// <param name="loggers">Hear what failed; null for nobody.</param>
internal sealed class ModelLoader(IEnumerable<HostedModel> models, ILoggerFactory? loggers = null) : BackgroundService
{
    private static readonly Action<ILogger, string, Exception> Failed = LoggerMessage.Define<string>(
        LogLevel.Error, new EventId(1, "LoadingFailed"), "{Model} could not be loaded; the next call tries again.")!;

    /// <inheritdoc/>
    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(models.Select(model => Load(model, stoppingToken)));

    // A program may start before its model: calls wait for it, and the health check tells.
    private async Task Load(HostedModel model, CancellationToken stopping)
    {
        try
        {
            await model.OpenAsync(stopping).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The program ends.
        }
        catch (Exception e)
        {
            if (loggers is not null) Failed(loggers.CreateLogger(nameof(LowRank)), model.Name, e);
        }
    }
}
