using System.Text.Json.Nodes;
using LowRank.Tokenizers;

namespace LowRank.Data.Chat;

/// <summary>Finds the chat format of a model and renders conversations with it.</summary>
public static class ChatFormats
{
    private const string ProbeReply = "chat-format-probe";
    private static readonly string[] ChatMlTokens = ["<|im_start|>", "<|im_end|>"];

    /// <summary>The tokenizer's own chat templates, otherwise ChatML.</summary>
    /// <exception cref="InputException">A template is not valid.</exception>
    public static IChatFormat For(ITextTokenizer tokenizer) => Writer(tokenizer);

    /// <summary>Like <see cref="For"/>, for the prompts of requests.</summary>
    internal static IChatWriter Writer(ITextTokenizer tokenizer)
    {
        IReadOnlyDictionary<string, string> templates = tokenizer.ChatTemplates;
        if (templates.Count == 0) return new ChatMlFormat();
        TemplateChatFormat? Format(string name) =>
            templates.TryGetValue(name, out string? source)
                ? new TemplateChatFormat(ChatTemplate.Parse(source), tokenizer.SpecialTokens) : null;
        TemplateChatFormat? plain = Format(ChatTemplateFiles.Default), ofTools = Format(ChatTemplateFiles.ToolUse);
        return plain is not null && ofTools is null ? plain
            : new NamedTemplatesFormat(plain, ofTools, [.. templates.Keys]);
    }

    /// <summary>Like <see cref="For"/>, for chatting with a model: ChatML only if the tokenizer knows ChatML's
    /// tokens.</summary>
    /// <exception cref="InputException">There is no template, and the tokenizer lacks a token of ChatML; or the
    /// template is not valid.</exception>
    public static IChatFormat ForTalking(ITextTokenizer tokenizer) =>
        Obstacle(tokenizer) is { } obstacle ? throw new InputException(obstacle) : For(tokenizer);

    /// <summary>Why a model can neither learn conversations nor chat, and what to do; null if it can.</summary>
    public static Problem? Obstacle(ITextTokenizer tokenizer)
    {
        string[] missing = tokenizer.ChatTemplates.Count == 0
            ? [.. ChatMlTokens.Where(token => tokenizer.TokenToId(token) is null)] : [];
        return missing.Length == 0 ? null
            : new Problem(
                $"The model has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json), " +
                $"and its tokenizer does not know {string.Join(" and ", missing)}, which ChatML, the format used " +
                $"without a template, needs. Train with a template{KnownSettings.ChatTemplate.Aside}, which is saved " +
                $"with the adapter, put the model's template into its folder as chat_template.jinja, add the tokens" +
                $"{KnownSettings.NewTokens.Aside}, or learn texts without turns ({{\"prompt\", \"completion\"}}) and " +
                $"continue them{KnownSettings.Generate.Aside}.");
    }

    /// <summary>The token ids of a conversation up to the point where the assistant speaks.</summary>
    /// <param name="format">The format.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="messages">At least one <c>{"role", "content"}</c>.</param>
    /// <param name="tools">The tools that the assistant may call; null for none.</param>
    /// <exception cref="InputException">The conversation cannot be rendered.</exception>
    public static int[] Prompt(IChatFormat format, ITextTokenizer tokenizer, JsonArray messages, JsonArray? tools)
    {
        string text = format.RenderPrompt(messages, tools);
        return format.SpellsSpecialTokens ? tokenizer.Encode(text, addSpecialTokens: false)
            : PromptEncoding.Prompt(tokenizer, text);
    }

    /// <summary>The special token that the format writes after the assistant's words, such as <c>&lt;|im_end|&gt;</c>;
    /// null if it writes none.</summary>
    /// <exception cref="InputException">The format refuses a conversation of one question and one answer.</exception>
    public static int? EndOfTurn(IChatFormat format, Tokenizer tokenizer)
    {
        JsonArray messages = [Message("user", "?"), Message("assistant", ProbeReply)];
        string text = format.Render(messages, null, learned: [])[0].Text;
        int at = text.LastIndexOf(ProbeReply, StringComparison.Ordinal);
        if (at < 0) return null; // the template changes the words
        int[] after = tokenizer.Encode(text[(at + ProbeReply.Length)..].TrimStart(), addSpecialTokens: false);
        return after.Length > 0 && tokenizer.IsSpecial(after[0]) ? after[0] : null;
    }

    /// <summary>Creates a message with a text.</summary>
    public static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}

/// <summary>Renders a conversation as the text that a model reads.</summary>
public interface IChatFormat
{
    /// <summary>Whether the text contains the tokens that begin and end it; if not, the tokenizer's are
    /// added.</summary>
    bool SpellsSpecialTokens { get; }

    /// <summary>A description of how the assistant's turns are recognised, for users who ask what is trained.</summary>
    string TurnsToldBy { get; }

    /// <summary>Renders a conversation to learn from.</summary>
    /// <param name="messages">At least one <c>{"role", "content"}</c>.</param>
    /// <param name="tools">The tools that the assistant may call; null for none.</param>
    /// <param name="learned">The numbers of the assistant's messages to locate, ascending; without any, only the text
    /// of the conversation is returned.</param>
    /// <returns>One text, or several if the format renders a turn differently once more messages follow it: each
    /// learned message occurs in one of them, after what the model is shown before it and as the model has to write
    /// it.</returns>
    /// <exception cref="InputException">The conversation cannot be rendered, or its turns cannot be
    /// located.</exception>
    IReadOnlyList<ChatText> Render(JsonArray messages, JsonArray? tools, IReadOnlyList<int> learned);

    /// <summary>Renders a conversation up to the point where the assistant speaks, as the prompt for
    /// generation.</summary>
    /// <param name="messages">At least one <c>{"role", "content"}</c>.</param>
    /// <param name="tools">The tools that the assistant may call; null for none.</param>
    /// <exception cref="InputException">The conversation cannot be rendered.</exception>
    string RenderPrompt(JsonArray messages, JsonArray? tools);
}

/// <summary>A conversation as text.</summary>
/// <param name="Text">The text.</param>
/// <param name="TrainedSpans">The learned spans, in text order: start and length in UTF-16 characters of the
/// assistant's words, including the end-of-turn token.</param>
public sealed record ChatText(string Text, IReadOnlyList<(int Start, int Length)> TrainedSpans);

/// <summary>ChatML, for models without a chat template: <see cref="ChatTemplate.ChatMl"/>. Message contents must be
/// texts, and tools are not supported.</summary>
internal sealed class ChatMlFormat : IChatWriter
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

    /// <inheritdoc/>
    public string Write(JsonArray messages, JsonArray? tools, ChatWriting writing)
    {
        Check(messages, tools);
        return Template.Write(messages, tools, writing);
    }

    /// <inheritdoc/>
    public IReadOnlySet<string> Names(bool withTools) => Template.Names(withTools);

    private static void Check(JsonArray messages, JsonArray? tools)
    {
        List<string> problems = [];
        if (tools is { Count: > 0 })
            problems.Add("\"tools\" needs a chat template that supports tools, but the model has no template.");
        for (int i = 0; i < messages.Count; i++)
        {
            if (Row.AsText(messages[i]?["content"]) is null)
                problems.Add(
                    $"\"messages\"[{i}].\"content\" is {Row.Describe(messages[i]?["content"])}, expected a " +
                    "text: the model has no chat template.");
            if (messages[i]?["tool_calls"] is not null)
                problems.Add(
                    $"\"messages\"[{i}].\"tool_calls\" needs a chat template that supports them, but the model has " +
                    "no template.");
        }
        if (problems.Count > 0) throw new InputException("The conversation cannot be rendered as ChatML:", problems);
    }
}
