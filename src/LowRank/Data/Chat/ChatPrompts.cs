using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenizers;

namespace LowRank.Data.Chat;

/// <summary>Writes the prompts of requests in a model's chat format. Never runs a template that comes with a request.
/// </summary>
/// <remarks>Several threads may use it at once. A rendering is limited by the template engine's steps and length, and
/// its input by <see cref="ChatLimits"/>.</remarks>
internal sealed class ChatPrompts
{
    private const string ContinueMark = "\u2060continue-here\u2060";

    private static readonly string[] Reserved = ["messages", "tools", "documents", "add_generation_prompt"];

    private readonly ITextTokenizer tokenizer;
    private readonly IChatWriter writer;
    private readonly ChatLimits limits;
    private readonly Lazy<(ToolConvention? Convention, string? Obstacle)> tools;
    private readonly Lazy<ReasoningMarks?> reasoning;
    private readonly Lazy<bool> knowsDeveloper;

    /// <summary>Prepares the prompts of a model.</summary>
    /// <exception cref="InputException">The model has no chat format, or its template is not valid.</exception>
    public ChatPrompts(ITextTokenizer tokenizer, ChatLimits? limits = null)
    {
        if (ChatFormats.Obstacle(tokenizer) is { } obstacle) throw new InputException(obstacle);
        this.tokenizer = tokenizer;
        this.limits = limits ?? new ChatLimits();
        writer = ChatFormats.Writer(tokenizer);
        tools = new(() => (ToolConventionProbe.Find(writer, out string? why), why));
        reasoning = new(() => ReasoningMarks.Find(writer));
        knowsDeveloper = new(() => Developer.IsKnownTo(writer));
    }

    /// <summary>How the model writes calls of tools; null if it does not, see <see cref="ToolObstacle"/>.</summary>
    public ToolConvention? Convention => tools.Value.Convention;

    /// <summary>Why the model cannot call tools; null if it can.</summary>
    public string? ToolObstacle => tools.Value.Obstacle;

    /// <summary>The marks of the model's thoughts; null if it has none.</summary>
    public ReasoningMarks? Reasoning => reasoning.Value;

    /// <summary>Writes the prompt of a request.</summary>
    /// <exception cref="InputException">The request cannot be used, or the template refuses it. Each problem has its
    /// place in the request, such as <c>messages[2].content</c>.</exception>
    public ChatPrompt Write(ChatPromptRequest request)
    {
        RequireCharacters(request);
        JsonArray? given = request.Tools is null ? null : RequestTools.Read(request.Tools, limits);
        if (given is not null && Convention is null) throw Wrong("tools", $"{ToolObstacle}.");
        var reader = new RequestMessages(Convention, ToolObstacle, knowsDeveloper.Value);
        JsonArray messages = reader.Read(request.Messages, limits);
        if (given is not null && reader.Characters + given.ToJsonString().Length > limits.Characters)
            throw Wrong("tools", $"with the messages it holds more than {limits.Characters} characters.");
        var writing = new ChatWriting
        {
            ForReply = request.ForReply && !request.ContinuesLastMessage,
            Arguments = Arguments(request.TemplateArguments, given is not null),
        };
        string text = request.ContinuesLastMessage ? Continued(messages, given, writing)
            : Written(messages, given, writing);
        int[] ids = writer.SpellsSpecialTokens ? tokenizer.Encode(text, addSpecialTokens: false)
            : PromptEncoding.Prompt(tokenizer, text);
        return new ChatPrompt(text, ids, Reasoning?.IsOpenAtEndOf(text) == true);
    }

    private string Continued(JsonArray messages, JsonArray? given, ChatWriting writing)
    {
        string place = $"messages[{messages.Count - 1}]";
        JsonObject last = messages[^1]!.AsObject();
        if (Row.AsText(last["role"]) != "assistant" || last.ContainsKey("tool_calls")
            || Row.AsText(last["content"]) is not { } content)
            throw Wrong(place, "only a message of the assistant with a text, and without calls, can be continued.");
        last["content"] = content + ContinueMark;
        string text = Written(messages, given, writing);
        int end = text.LastIndexOf(ContinueMark, StringComparison.Ordinal);
        return end >= 0 ? text[..end]
            : throw Wrong(place, "the chat template does not write its text, so it cannot be continued.");
    }

    private string Written(JsonArray messages, JsonArray? given, ChatWriting writing)
    {
        try
        {
            return writer.Write(messages, given, writing);
        }
        catch (InputException refusal)
        {
            throw Wrong(Blamed(messages, given, writing, refusal), $"the model refuses it. {refusal.Message}", refusal);
        }
    }

    // The first message with which the template refuses the conversation, found by halving. It is the tools if the
    // template refuses them in any conversation.
    private string Blamed(JsonArray messages, JsonArray? given, ChatWriting writing, InputException refusal)
    {
        if (given is not null && Refuses([ChatFormats.Message("user", "?")], given, writing) is { } ofTools
            && ofTools.Message == refusal.Message) return "tools";
        int accepted = 0, refused = messages.Count;
        while (refused - accepted > 1)
        {
            int middle = accepted + (refused - accepted) / 2;
            JsonArray first = [.. messages.Take(middle).Select(message => message!.DeepClone())];
            if (Refuses(first, given, writing) is null) accepted = middle;
            else refused = middle;
        }
        return $"messages[{refused - 1}]";
    }

    private InputException? Refuses(JsonArray messages, JsonArray? given, ChatWriting writing)
    {
        try
        {
            writer.Write(messages, given, writing);
            return null;
        }
        catch (InputException refusal)
        {
            return refusal; // only asked whether it refuses; the caller reports the refusal of the whole
        }
    }

    private JsonObject? Arguments(JsonObject? arguments, bool withTools)
    {
        if (arguments is null || arguments.Count == 0) return null;
        IReadOnlySet<string> names = writer.Names(withTools);
        foreach ((string name, JsonNode? value) in arguments)
        {
            string place = $"chat_template_kwargs.{(name.Length <= 40 ? name : name[..40] + "…")}";
            if (Reserved.Contains(name) || tokenizer.SpecialTokens.ContainsKey(name))
                throw Wrong(place, "it is a variable that the request itself sets.");
            if (!names.Contains(name)) throw Wrong(place, "the model's chat template does not read it.");
            if (value is JsonObject or JsonArray)
                throw Wrong(place, $"it is {Row.Describe(value)}, expected a text, a number, true, false or null.");
        }
        return arguments;
    }

    private static void RequireCharacters(ChatPromptRequest request)
    {
        foreach ((string place, JsonNode? node) in new (string, JsonNode?)[]
            { ("messages", request.Messages), ("tools", request.Tools),
                ("chat_template_kwargs", request.TemplateArguments) })
            try
            {
                JsonObjects.RequireCharacters(node);
            }
            catch (Exception e) when (e is InvalidOperationException or ArgumentException)
            {
                throw Wrong(place, "a text has half of a surrogate pair, or an object has a key twice.", e);
            }
    }

    private static InputException Wrong(string place, string problem, Exception? inner = null) =>
        new(new Problem(problem) { Place = LowRank.Words.Plain(place) }, inner);

    /// <summary>The role <c>developer</c>, which OpenAI's API has instead of <c>system</c>.</summary>
    private static class Developer
    {
        private const string Known = "developer", Unknown = "stranger";

        // A template that only repeats the role's name does not know it.
        public static bool IsKnownTo(IChatWriter writer) =>
            Written(writer, Known) is { } text && text.Contains(Unknown + "-words", StringComparison.Ordinal)
            && Written(writer, Unknown)?.Replace(Unknown, Known, StringComparison.Ordinal)
                != text.Replace(Unknown, Known, StringComparison.Ordinal);

        private static string? Written(IChatWriter writer, string role)
        {
            try
            {
                return writer.Write(
                    [ChatFormats.Message(role, Unknown + "-words"), ChatFormats.Message("user", "?")], null,
                    new ChatWriting());
            }
            catch (InputException)
            {
                return null; // the probe only asks whether the template writes the role
            }
        }
    }
}
