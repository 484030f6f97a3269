using System.Text.Json.Nodes;
using LowRank.Jinja;

namespace LowRank.Data.Chat;

/// <summary>A model's own chat template.</summary>
/// <remarks>The assistant's turns are the output of <c>{% generation %}</c> blocks. A template without them is rendered
/// up to each turn, with the generation prompt, and including the turn. The difference is the turn: the model is shown
/// the first text and writes the rest. If a turn is rendered differently once more messages follow (templates of
/// thinking models drop earlier thoughts), it is learned in its own rendering.</remarks>
/// <param name="template">The template.</param>
/// <param name="specialTokens">Variables such as <c>bos_token</c>.</param>
internal sealed class TemplateChatFormat(ChatTemplate template, IReadOnlyDictionary<string, string> specialTokens)
    : IChatWriter
{
    private const string Assistant = "assistant";
    private static readonly Words Advice = Words.Of(
        $"Use another template{KnownSettings.ChatTemplate.Aside}, mark the turns with {{% generation %}} in it, or " +
        $"train on all tokens{KnownSettings.TrainOn.To("all").Aside}.");

    private readonly Lazy<bool?> takesTexts =
        new(() => ToolCalls.TakesTexts(
            probe => Render(template, specialTokens, probe, null, new ChatWriting { ForReply = false }).Text));

    /// <inheritdoc/>
    public bool SpellsSpecialTokens => true;

    /// <inheritdoc/>
    public string TurnsToldBy => template.HasGenerationBlocks
        ? "the chat template's {% generation %} blocks"
        : "the text that the chat template adds for each turn, because it has no {% generation %} blocks";

    /// <inheritdoc/>
    public IReadOnlyList<ChatText> Render(JsonArray messages, JsonArray? tools, IReadOnlyList<int> learned)
    {
        RenderedTemplate whole = Run(messages, messages.Count, tools, generationPrompt: false);
        if (learned.Count == 0) return [new ChatText(whole.Text, [])];
        return template.HasGenerationBlocks ? [Marked(messages, learned, whole)]
            : OwnRenderings(messages, tools, learned, whole.Text);
    }

    /// <inheritdoc/>
    public string RenderPrompt(JsonArray messages, JsonArray? tools) =>
        Run(messages, messages.Count, tools, generationPrompt: true).Text;

    /// <inheritdoc/>
    public string Write(JsonArray messages, JsonArray? tools, ChatWriting writing) =>
        Run(messages, messages.Count, tools, writing).Text;

    /// <inheritdoc/>
    public IReadOnlySet<string> Names(bool withTools) => template.Names;

    private static ChatText Marked(JsonArray messages, IReadOnlyList<int> learned, RenderedTemplate whole)
    {
        if (!whole.GenerationSpansComplete)
            throw new InputException(
                $"the chat template changes the text of a {{% generation %}} block after it was written, so its " +
                $"position is unknown. Write the block's text without a filter, or train on all tokens" +
                $"{KnownSettings.TrainOn.To("all").Aside}.");
        if (whole.GenerationSpans.Count == 0)
            throw new InputException(
                $"the chat template has {{% generation %}} blocks, but this conversation reaches none, so nothing of " +
                $"it would be learned. Check which messages the template puts into a block, or train on all tokens" +
                $"{KnownSettings.TrainOn.To("all").Aside}.");
        int[] turns = [
            .. Enumerable.Range(0, messages.Count).Where(i => Row.AsText(messages[i]?["role"]) == Assistant)];
        if (learned.Count == turns.Length) return new ChatText(whole.Text, whole.GenerationSpans);
        if (whole.GenerationSpans.Count != turns.Length)
            throw new InputException(
                $"\"weight\" is 0 for some of the assistant's {turns.Length} turns, but the chat template marks " +
                $"{whole.GenerationSpans.Count} places as the assistant's, so they cannot be matched. " +
                "Put its {% generation %} blocks around whole turns, or split the conversation into rows.");
        return new ChatText(whole.Text, [.. whole.GenerationSpans.Where((_, turn) => learned.Contains(turns[turn]))]);
    }

    // Turns that a text shows unchanged share it: there is one text, unless the template renders earlier turns
    // differently.
    private List<ChatText> OwnRenderings(JsonArray messages, JsonArray? tools, IReadOnlyList<int> learned, string whole)
    {
        List<(string Before, string With)> left = [.. learned.Select(turn => Turn(messages, tools, turn, whole))];
        List<ChatText> texts = [];
        for (string text = whole; left.Count > 0; text = left.Count > 0 ? left[^1].With : text)
        {
            (string Before, string With)[] shown =
                [.. left.Where(turn => text.StartsWith(turn.With, StringComparison.Ordinal))];
            if (shown.Length == 0) continue; // the messages after the last turn change it
            texts.Insert(0,
                new ChatText(text,
                [.. shown.Select(turn => (turn.Before.Length, turn.With.Length - turn.Before.Length))]));
            left.RemoveAll(turn => shown.Contains(turn));
        }
        return texts;
    }

    // The text that the model is shown, and the same with what it has to write.
    private (string Before, string With) Turn(JsonArray messages, JsonArray? tools, int turn, string whole)
    {
        string before = Part(messages, turn, tools, turn, "begins", generationPrompt: true);
        string with = turn == messages.Count - 1 ? whole
            : Part(messages, turn + 1, tools, turn, "ends", generationPrompt: false);
        if (!with.StartsWith(before, StringComparison.Ordinal))
            throw Ambiguous(turn, "begins: the text before the turn is not a beginning of the text with it");
        return (before, with);
    }

    // A template may accept a conversation but refuse a part of it: a turn without a question, an unanswered call.
    private string Part(JsonArray messages, int count, JsonArray? tools, int turn, string where, bool generationPrompt)
    {
        try
        {
            return Run(messages, count, tools, generationPrompt).Text;
        }
        catch (InputException refusal)
        {
            throw Ambiguous(
                turn, $"{where}: it refuses the conversation up to there ({refusal.Message.TrimEnd('.')})", refusal);
        }
    }

    private static InputException Ambiguous(int message, string what, Exception? cause = null) => new(
        $"the chat template does not show where the assistant's turn \"messages\"[{message}] {what}. {Advice}", cause);

    private RenderedTemplate Run(JsonArray messages, int count, JsonArray? tools, bool generationPrompt) =>
        Run(messages, count, tools, new ChatWriting { ForReply = generationPrompt });

    private RenderedTemplate Run(JsonArray messages, int count, JsonArray? tools, ChatWriting writing)
    {
        var shown = new JsonArray([.. messages.Take(count).Select(message => message?.DeepClone())]);
        if (ToolCalls.Any(shown) && takesTexts.Value is { } asTexts) ToolCalls.Write(shown, asTexts);
        return Render(template, specialTokens, shown, tools?.DeepClone(), writing);
    }

    private static RenderedTemplate Render(ChatTemplate template, IReadOnlyDictionary<string, string> specialTokens,
        JsonArray messages, JsonNode? tools, ChatWriting writing)
    {
        var variables = new JsonObject
        {
            ["messages"] = messages,
            ["tools"] = tools,
            ["documents"] = null,
            ["add_generation_prompt"] = writing.ForReply,
        };
        foreach ((string name, JsonNode? value) in writing.Arguments ?? []) variables[name] = value?.DeepClone();
        foreach ((string name, string token) in specialTokens) variables[name] = token;
        return template.Render(variables);
    }
}
