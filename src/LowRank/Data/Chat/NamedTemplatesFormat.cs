using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>A model's named templates, selected as in transformers: "tool_use" for conversations with tools, otherwise
/// "default".</summary>
/// <param name="plain">The template "default"; null if there is none.</param>
/// <param name="ofTools">The template "tool_use"; null if there is none.</param>
/// <param name="names">The names of all templates.</param>
internal sealed class NamedTemplatesFormat(
    TemplateChatFormat? plain, TemplateChatFormat? ofTools, IReadOnlyList<string> names) : IChatWriter
{
    public bool SpellsSpecialTokens => true;

    public string TurnsToldBy => (plain ?? ofTools)?.TurnsToldBy ?? "";

    public IReadOnlyList<ChatText> Render(JsonArray messages, JsonArray? tools, IReadOnlyList<int> learned) =>
        Of(tools).Render(messages, tools, learned);

    public string RenderPrompt(JsonArray messages, JsonArray? tools) => Of(tools).RenderPrompt(messages, tools);

    public string Write(JsonArray messages, JsonArray? tools, ChatWriting writing) =>
        Of(tools).Write(messages, tools, writing);

    public IReadOnlySet<string> Names(bool withTools) => Of(withTools).Names(withTools);

    private TemplateChatFormat Of(JsonArray? tools) => Of(tools is not null);

    private TemplateChatFormat Of(bool withTools) => (withTools ? ofTools : null) ?? plain
        ?? throw new InputException(
            $"the model has several chat templates ({string.Join(", ", names)}), but none named \"default\". Choose " +
            $"one of them{KnownSettings.ChatTemplate.Aside}.");
}
