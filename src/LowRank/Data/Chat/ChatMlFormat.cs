using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>ChatML, for models without a chat template: <see cref="ChatTemplate.ChatMl"/>. Contents are texts; there are no tools.</summary>
public sealed class ChatMlFormat : IChatFormat
{
    private static readonly TemplateChatFormat Template = new(ChatTemplate.ChatMl, new Dictionary<string, string>());

    /// <inheritdoc/>
    public bool SpellsSpecialTokens => false;

    /// <inheritdoc/>
    public string TurnsToldBy => "ChatML, the format used without a chat template, which marks them";

    /// <inheritdoc/>
    public IReadOnlyList<ChatText> Render(JsonArray messages, JsonArray? tools, IReadOnlyList<int> learned)
    {
        Check(messages, tools);
        return Template.Render(messages, tools, learned);
    }

    /// <inheritdoc/>
    public string RenderPrompt(JsonArray messages, JsonArray? tools)
    {
        Check(messages, tools);
        return Template.RenderPrompt(messages, tools);
    }

    private static void Check(JsonArray messages, JsonArray? tools)
    {
        List<string> problems = [];
        if (tools is { Count: > 0 }) problems.Add("\"tools\" needs a chat template that writes tools, and the model has no template.");
        for (int i = 0; i < messages.Count; i++)
        {
            if (Sample.AsText(messages[i]?["content"]) is null)
                problems.Add($"\"messages\"[{i}].\"content\" is {Sample.Describe(messages[i]?["content"])}, expected a text: the model has no chat template of its own.");
            if (messages[i]?["tool_calls"] is not null)
                problems.Add($"\"messages\"[{i}].\"tool_calls\" needs a chat template that writes them, and the model has no template.");
        }
        if (problems.Count > 0) throw new InputException("The conversation cannot be written as ChatML:", problems);
    }
}
