using LowRank.Tokenizers;
using System.Text.Json.Nodes;
using LowRank.Data.Chat;

namespace LowRank.Data.Forms;

/// <summary><c>{"messages": [{"role", "content"}, …][, "tools"]}</c>: a conversation, rendered by the model's chat
/// template; the assistant's turns are learned, except those with <c>"weight": 0</c>.</summary>
internal sealed class MessagesForm(ITextTokenizer tokenizer, IChatFormat format, TrainOn trainOn) : IRowForm
{
    private const string Assistant = "assistant", Weight = "weight";

    public string Shape => "{\"messages\": [{\"role\", \"content\"}, …][, \"tools\"]}";

    public IReadOnlyList<string> Keys { get; } = ["messages"];

    public IReadOnlyList<string> OptionalKeys { get; } = ["tools"];

    public IReadOnlyList<TokenizedExample> Tokenize(Row row)
    {
        var fields = new RowFields(row.Fields);
        JsonArray messages = Check(row.Fields, fields);
        fields.ThrowIfWrong();
        int[] learned =
            [.. Enumerable.Range(0, messages.Count)
            .Where(i => Role(messages[i]) == Assistant && IsLearned(messages[i]))];
        if (messages.Any(message => message is JsonObject turn && turn.ContainsKey(Weight)))
            messages = WithoutWeights(messages);
        IReadOnlyList<ChatText> texts =
            format.Render(messages, row.Fields["tools"] as JsonArray, trainOn == TrainOn.Completion ? learned : []);
        return [.. texts.Select(
            (text, i) => Encode(text, endsWithAssistant: i < texts.Count - 1 || learned.Contains(messages.Count - 1)))];
    }

    private static bool IsLearned(JsonNode? message) => message![Weight] is not JsonValue value
        || !value.TryGetValue(out double weight) || weight != 0;

    // The model's template may not know the key.
    private static JsonArray WithoutWeights(JsonArray messages)
    {
        var copies = (JsonArray)messages.DeepClone();
        foreach (JsonNode? copy in copies) ((JsonObject)copy!).Remove(Weight);
        return copies;
    }

    private TokenizedExample Encode(ChatText chat, bool endsWithAssistant)
    {
        int[] ids = tokenizer.Encode(chat.Text, addSpecialTokens: false), labels = [.. ids];
        bool all = trainOn == TrainOn.All;
        if (!all)
        {
            bool[] trained = TrainedTokens.Find(tokenizer, chat.Text, ids, chat.TrainedSpans);
            for (int i = 0; i < labels.Length; i++) if (!trained[i]) labels[i] = TokenizedExample.Ignored;
        }
        if (format.SpellsSpecialTokens) return new TokenizedExample(ids, labels);

        int[] special = PromptEncoding.Prompt(tokenizer, chat.Text);
        int[] begin = special.AsSpan().EndsWith(ids) ? special[..^ids.Length] : [];
        int[] beginLabels = [.. begin];
        if (!all) beginLabels.AsSpan().Fill(TokenizedExample.Ignored);
        ids = [.. begin, .. ids];
        labels = [.. beginLabels, .. labels];
        if (!endsWithAssistant || EndsText(chat.Text)) return new TokenizedExample(ids, labels);
        // Everything after the last turn is learned, because the model must learn to emit its end-of-text token, which
        // alone stops generation.
        int lastTurn = Array.FindLastIndex(labels, label => label != TokenizedExample.Ignored);
        for (int i = lastTurn + 1; i < labels.Length; i++) labels[i] = ids[i];
        int[] ended = PromptEncoding.Ended(tokenizer, ids);
        return new TokenizedExample(ended, [.. labels, .. ended[ids.Length..]]);
    }

    // The end-of-turn token may also be the end-of-text token; it is learned once.
    private bool EndsText(string text) =>
        tokenizer.EosTokenId is { } end && text.TrimEnd().EndsWith(tokenizer.Decode([end]), StringComparison.Ordinal);

    private JsonArray Check(JsonObject row, RowFields fields)
    {
        if (row.TryGetPropertyValue("tools", out JsonNode? tools) && tools is not (null or JsonArray))
            fields.Problem($"\"tools\" is {Row.Describe(tools)}, expected a list of tools.");
        if (row["messages"] is not JsonArray messages)
        {
            fields.Problem(
                $"\"messages\" is {Row.Describe(row["messages"])}, expected a list of {{\"role\", \"content\"}}.");
            return [];
        }
        ToolCalls.ReadLists(messages);
        for (int i = 0; i < messages.Count; i++) CheckMessage(messages[i], $"\"messages\"[{i}]", fields);
        bool anyAssistant = messages.Any(message => Role(message) == Assistant);
        if (messages.Count == 0) fields.Problem("\"messages\" is empty. Expected a conversation.");
        else if (!anyAssistant && trainOn == TrainOn.Completion)
            fields.Problem(
                $"no message has the role \"assistant\" (roles: " +
                $"{string.Join(", ", messages.Select(Role).Distinct())}). " +
                $"Expected a turn to learn, unless all tokens are learned{KnownSettings.TrainOn.To("all").Aside}.");
        else if (trainOn == TrainOn.Completion && fields.AreRight
            && !messages.Any(message => Role(message) == Assistant && IsLearned(message)))
            fields.Problem("every turn of the assistant has \"weight\": 0. Expected one to learn; remove the row.");
        return messages;
    }

    private static void CheckMessage(JsonNode? message, string name, RowFields fields)
    {
        if (message is not JsonObject turn)
        {
            fields.Problem($"{name} is {Row.Describe(message)}, expected {{\"role\", \"content\"}}.");
            return;
        }
        if (!turn.ContainsKey("role"))
            fields.Problem($"{name} has no \"role\". Expected one such as \"user\" or \"assistant\".");
        else if (Row.AsText(turn["role"]) is null or "")
            fields.Problem(
                $"{name}.\"role\" is {Row.Describe(turn["role"])}, expected one such as \"user\" or \"assistant\".");
        if (turn.TryGetPropertyValue(Weight, out JsonNode? weight)
            && (weight is not JsonValue number || !number.TryGetValue(out double factor) || factor is not (0 or 1)))
            fields.Problem($"{name}.\"weight\" is {Row.Describe(weight)}, expected 0 (not learned) or 1.");
        ToolCalls.Check(turn, name, fields);
        JsonNode? content = turn["content"];
        // such as tool_calls
        bool carriesMore =
            turn.Any(field => field.Key is not ("role" or "content" or Weight) && field.Value is not null);
        if (!turn.ContainsKey("content") && !carriesMore)
            fields.Problem($"{name} has no \"content\". Expected a text.");
        else if (content is null && !carriesMore) fields.Problem($"{name}.\"content\" is null, expected a text.");
        else if (content is not (null or JsonArray) && Row.AsText(content) is null)
            fields.Problem($"{name}.\"content\" is {Row.Describe(content)}, expected a text.");
        else if (Role(turn) == Assistant && Row.AsText(content) == "" && !carriesMore)
            fields.Problem($"{name}.\"content\" is empty. Expected what the assistant says.");
    }

    private static string? Role(JsonNode? message) => message is JsonObject turn ? Row.AsText(turn["role"]) : null;
}
