using LowRank.Serving;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace LowRank.Extensions.AI;

/// <summary>Whether a program's models can be asked: healthy once they are loaded.</summary>
/// <param name="models">The models.</param>
internal sealed class ModelHealthCheck(IEnumerable<HostedModel> models) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        List<string> missing = [];
        Exception? failure = null;
        Dictionary<string, object> data = [];
        foreach (HostedModel model in models)
        {
            Task<LoadedModel>? loading = model.Loading;
            if (loading is { IsCompletedSuccessfully: true })
            {
                if (loading.Result.Engine is { } engine) Add(data, model.Name, engine.Statistics);
                continue;
            }
            failure ??= loading?.Exception?.InnerException;
            missing.Add(loading?.Exception?.InnerException is { } fault
                ? $"{model.Name} could not be loaded: {fault.Message}"
                : $"{model.Name} is {(loading is null ? "not loaded yet" : "being loaded")}.");
        }
        return Task.FromResult(missing.Count == 0 ? HealthCheckResult.Healthy(data: data)
            : new HealthCheckResult(context.Registration.FailureStatus, string.Join('\n', missing), failure, data));
    }

    private static void Add(Dictionary<string, object> data, string model, ServingStatistics statistics)
    {
        data[$"{model}.running"] = statistics.Running;
        data[$"{model}.waiting"] = statistics.Waiting;
        data[$"{model}.cache_usage"] = statistics.CacheUsage;
        data[$"{model}.loaded_adapters"] = statistics.LoadedAdapters;
    }
}
