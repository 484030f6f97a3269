using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>A chat format that writes the prompts of requests, which may set variables of the template.</summary>
internal interface IChatWriter : IChatFormat
{
    /// <summary>Renders a conversation.</summary>
    /// <param name="messages">At least one <c>{"role", "content"}</c>.</param>
    /// <param name="tools">The tools that the assistant may call; null for none.</param>
    /// <param name="writing">How to write it.</param>
    /// <exception cref="InputException">The conversation cannot be rendered.</exception>
    string Write(JsonArray messages, JsonArray? tools, ChatWriting writing);

    /// <summary>The names that the template reads.</summary>
    /// <param name="withTools">Whether the conversation has tools, for which some models have a template of their
    /// own.</param>
    /// <exception cref="InputException">The model has no template for such a conversation.</exception>
    IReadOnlySet<string> Names(bool withTools);
}

/// <summary>How to write a conversation.</summary>
internal sealed record ChatWriting
{
    /// <summary>Whether the text ends where the assistant speaks (<c>add_generation_prompt</c>). Default true.
    /// </summary>
    public bool ForReply { get; init; } = true;

    /// <summary>Further variables of the template; null for none. They cannot replace special tokens.</summary>
    public JsonObject? Arguments { get; init; }
}
