using System.Diagnostics;
using LowRank.Serving;

namespace LowRank.Server.Observability;

/// <summary>The spans of requests for texts, by OpenTelemetry's names for generative models. No prompt and no text is
/// in them.</summary>
internal static class ServerTracing
{
    /// <summary>The name to listen to.</summary>
    public const string SourceName = "LowRank.Serving";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>Begins a span; null where nobody listens.</summary>
    public static Activity? Start(string operation, string model, ServingRequest request)
    {
        if (Source.StartActivity($"{operation} {model}", ActivityKind.Server) is not { } activity) return null;
        activity.SetTag("gen_ai.operation.name", operation);
        activity.SetTag("gen_ai.provider.name", "lowrank");
        activity.SetTag("gen_ai.request.model", model);
        activity.SetTag("gen_ai.request.max_tokens", request.Generation.MaxNewTokens);
        activity.SetTag("gen_ai.request.temperature", request.Generation.Temperature);
        activity.SetTag("gen_ai.request.top_p", request.Generation.TopP);
        if (request.Generation.TopK > 0) activity.SetTag("gen_ai.request.top_k", request.Generation.TopK);
        activity.SetTag("gen_ai.request.frequency_penalty", request.Generation.FrequencyPenalty);
        activity.SetTag("gen_ai.request.presence_penalty", request.Generation.PresencePenalty);
        activity.SetTag("gen_ai.request.seed", request.Generation.Seed);
        if (request.Count > 1) activity.SetTag("gen_ai.request.choice.count", request.Count);
        activity.SetTag("gen_ai.response.model", model);
        return activity;
    }

    /// <summary>Marks a span as failed.</summary>
    public static void Failed(Activity? activity, Exception failure)
    {
        activity?.SetTag("error.type", failure.GetType().Name);
        activity?.SetStatus(ActivityStatusCode.Error);
    }

    /// <summary>Ends a span.</summary>
    public static void End(Activity? activity, ServingUsage usage, IReadOnlyList<string> ends)
    {
        if (activity is null) return;
        activity.SetTag("gen_ai.usage.input_tokens", usage.PromptTokens);
        activity.SetTag("gen_ai.usage.output_tokens", usage.NewTokens);
        activity.SetTag("gen_ai.usage.cache_read.input_tokens", usage.CachedTokens);
        activity.SetTag("gen_ai.response.finish_reasons", ends.ToArray());
        activity.Dispose();
    }
}
