using System.Text.Json.Nodes;
using LowRank.Jinja;

namespace LowRank.Data.Chat;

/// <summary>A model's own chat template.</summary>
/// <remarks>The assistant's turns are what <c>{% generation %}</c> blocks wrote. A template without them is rendered up to
/// each turn, with the generation prompt, and with the turn: the turn is the difference.</remarks>
/// <param name="template">The template.</param>
/// <param name="specialTokens">Variables such as <c>bos_token</c>.</param>
public sealed class TemplateChatFormat(ChatTemplate template, IReadOnlyDictionary<string, string> specialTokens) : IChatFormat
{
    private const string Advice = "Give each row one assistant turn, at its end, mark the turns by {% generation %} in the template, or train on all tokens (train_on: all).";

    /// <inheritdoc/>
    public bool SpellsSpecialTokens => true;

    /// <inheritdoc/>
    public string TurnsToldBy => template.HasGenerationBlocks
        ? "the chat template's {% generation %} blocks"
        : "what the chat template writes with each turn and not before it, for it has no {% generation %} blocks";

    /// <inheritdoc/>
    public ChatText Render(JsonArray messages, JsonArray? tools, bool markTrained)
    {
        RenderedTemplate whole = Run(messages, messages.Count, tools, generationPrompt: false);
        if (!markTrained) return new ChatText(whole.Text, []);
        if (!template.HasGenerationBlocks) return new ChatText(whole.Text, Differences(messages, tools, whole.Text));
        if (!whole.GenerationSpansComplete)
            throw new InputException("the chat template changes the text of a {% generation %} block after it was written, so that its place is unknown. " +
                "Write the block's text without a filter, or train on all tokens (train_on: all).");
        if (whole.GenerationSpans.Count == 0)
            throw new InputException("the chat template has {% generation %} blocks, but this conversation comes to none, so that nothing of it would be learned. " +
                "Check which messages the template writes in a block, or train on all tokens (train_on: all).");
        return new ChatText(whole.Text, whole.GenerationSpans);
    }

    /// <inheritdoc/>
    public string RenderPrompt(JsonArray messages, JsonArray? tools) => Run(messages, messages.Count, tools, generationPrompt: true).Text;

    private List<(int Start, int Length)> Differences(JsonArray messages, JsonArray? tools, string whole)
    {
        var spans = new List<(int Start, int Length)>();
        for (int i = 0; i < messages.Count; i++)
        {
            if (Sample.AsText(messages[i]?["role"]) != "assistant") continue;
            string before = Part(messages, i, tools, i, "begins", generationPrompt: true);
            string with = i == messages.Count - 1 ? whole : Part(messages, i + 1, tools, i, "ends", generationPrompt: false);
            if (!with.StartsWith(before, StringComparison.Ordinal))
                throw Ambiguous(i, "begins: what it writes before the turn is no beginning of what it writes with it");
            if (!whole.StartsWith(with, StringComparison.Ordinal))
                throw Ambiguous(i, "ends: it writes the turn otherwise when more messages follow");
            spans.Add((before.Length, with.Length - before.Length));
        }
        return spans;
    }

    // A template may accept a conversation and refuse a part of it: a turn without a question, an unanswered call.
    private string Part(JsonArray messages, int count, JsonArray? tools, int turn, string where, bool generationPrompt)
    {
        try
        {
            return Run(messages, count, tools, generationPrompt).Text;
        }
        catch (InputException refusal)
        {
            throw Ambiguous(turn, $"{where}: it refuses the conversation up to there ({refusal.Message.TrimEnd('.')})", refusal);
        }
    }

    private static InputException Ambiguous(int message, string what, Exception? cause = null)
    {
        string text = $"the chat template does not tell where the assistant's turn \"messages\"[{message}] {what}. {Advice}";
        return cause is null ? new(text) : new(text, cause);
    }

    private RenderedTemplate Run(JsonArray messages, int count, JsonArray? tools, bool generationPrompt)
    {
        var variables = new JsonObject
        {
            ["messages"] = new JsonArray([.. messages.Take(count).Select(message => message?.DeepClone())]),
            ["tools"] = tools?.DeepClone(),
            ["documents"] = null,
            ["add_generation_prompt"] = generationPrompt,
        };
        foreach ((string name, string token) in specialTokens) variables[name] = token;
        return template.Render(variables);
    }
}
