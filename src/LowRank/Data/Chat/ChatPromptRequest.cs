using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>A request for a reply in a conversation, in the form of OpenAI's API.</summary>
/// <param name="Messages">The messages: <c>role</c>, <c>content</c> (a text or parts of text), and for calls
/// <c>tool_calls</c>, <c>tool_call_id</c>, <c>name</c>.</param>
internal sealed record ChatPromptRequest(JsonArray Messages)
{
    /// <summary>The tools; null for none.</summary>
    public JsonArray? Tools { get; init; }

    /// <summary>Variables of the chat template, such as <c>enable_thinking</c>: names and plain values. Null for
    /// none.</summary>
    public JsonObject? TemplateArguments { get; init; }

    /// <summary>Whether the prompt ends where the assistant speaks. Default true; has no effect with
    /// <see cref="ContinuesLastMessage"/>.</summary>
    public bool ForReply { get; init; } = true;

    /// <summary>Whether the reply continues the last message, which must be the assistant's. Default false.</summary>
    public bool ContinuesLastMessage { get; init; }
}

/// <summary>The most that a request may hold.</summary>
internal sealed record ChatLimits
{
    /// <summary>Messages. Default 4096.</summary>
    public int Messages { get; init; } = 4096;

    /// <summary>Characters of the messages' texts and calls and of the tools together. Default two million.</summary>
    public int Characters { get; init; } = 2_000_000;

    /// <summary>Tools. Default 128, as in OpenAI's API.</summary>
    public int Tools { get; init; } = 128;
}

/// <summary>A prompt.</summary>
/// <param name="Text">The text, special tokens spelled out.</param>
/// <param name="Ids">Its tokens.</param>
/// <param name="EndsInReasoning">Whether the reply begins within the model's thoughts.</param>
internal sealed record ChatPrompt(string Text, int[] Ids, bool EndsInReasoning);
