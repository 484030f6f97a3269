using System.Text.Json.Nodes;
using LowRank.Generation;
using LowRank.Serving;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

/// <summary>What a call asks for, checked, before the model is known.</summary>
/// <param name="Request">The request without its prompt.</param>
internal sealed record ChatAsk(ServingRequest Request)
{
    /// <summary>The adapter's name or the base's; null for the client's own.</summary>
    public string? ModelId { get; init; }

    /// <summary>What the model is told before the conversation; null for nothing.</summary>
    public string? Instructions { get; init; }

    /// <summary>The form of the answer; null for any.</summary>
    public TextConstraint? Format { get; init; }

    /// <summary>The functions that it may call; null for none.</summary>
    public AskedTools? Tools { get; init; }

    /// <summary>Variables of the chat template; null for none.</summary>
    public JsonObject? TemplateArguments { get; init; }
}

/// <summary>Functions that a model may call.</summary>
/// <param name="Declared">The functions, as OpenAI's API has them.</param>
/// <param name="Closed">The same with closed schemas (<see cref="JsonForms.Closed"/>), for constraints.</param>
/// <param name="Mode">Whether it may call, or has to.</param>
/// <param name="AllowsSeveral">Whether it may call several in one answer.</param>
internal sealed record AskedTools(
    JsonArray Declared, JsonArray Closed, ChatToolMode Mode, bool AllowsSeveral);
