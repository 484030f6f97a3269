using System.Text.Json.Nodes;

namespace LowRank.Data.Preferences;

/// <summary>Rows of preferences, in TRL's forms and those of well-known data sets, as rows of prompts and completions:
/// <c>{"prompt", "completion"}</c>, or <c>{"messages"}</c> in which the completion alone has weight.</summary>
/// <remarks>Pairs: <c>{"prompt", "chosen", "rejected"}</c> with texts or lists of messages; without "prompt", what both
/// begin with is the prompt. Rated completions: <c>{"prompt", "completion", "label"}</c>. The data sets' forms are
/// recognised by their columns and counted for a note.</remarks>
internal sealed class PreferenceRows
{
    private const string Prompt = "prompt", Chosen = "chosen", Rejected = "rejected", Completion = "completion",
        Label = "label", Turn = "\n\nAssistant:";

    private readonly Dictionary<string, int> recognised = new(StringComparer.Ordinal);

    /// <summary>The forms of pairs, for messages.</summary>
    public const string Pairs = "{\"prompt\", \"chosen\", \"rejected\"} | {\"chosen\", \"rejected\"}";

    /// <summary>The forms that were recognised as those of data sets, one sentence each.</summary>
    public IEnumerable<string> Notes => recognised.Select(form =>
        $"{(form.Value == 1 ? "1 row has" : $"{form.Value} rows have")} the form of {form.Key}.");

    /// <summary>The completions of a row, each with its prompt: of a pair the preferred one first.</summary>
    /// <param name="row">The row.</param>
    /// <param name="isRated">Whether it is a completion with a label.</param>
    public IEnumerable<JsonObject> Completions(JsonObject row, bool isRated)
    {
        if (isRated) return [Rated(row).Row];
        (JsonObject chosen, JsonObject rejected) = Pair(row);
        return [chosen, rejected];
    }

    /// <summary>The preferred and the other completion of a row's prompt.</summary>
    /// <exception cref="InputException">The row is no pair.</exception>
    public (JsonObject Chosen, JsonObject Rejected) Pair(JsonObject row)
    {
        foreach (string key in (string[])[Chosen, Rejected])
            if (row[key] is null)
                throw new InputException(Row.Lacking(row, key, $"Expected one of the forms {Pairs}."));
        (JsonNode chosen, JsonNode rejected) = (row[Chosen]!, row[Rejected]!);
        if (JsonNode.DeepEquals(chosen, rejected))
            throw new InputException(
                "\"chosen\" and \"rejected\" are the same, so there is nothing to prefer. Remove the row.");
        return (chosen, rejected) switch
        {
            (JsonArray one, JsonArray other) => Conversations(row, one, other),
            _ when Row.AsText(chosen) is { } one && Row.AsText(rejected) is { } other => Texts(row, one, other),
            _ => throw new InputException(
                $"\"chosen\" is {Row.Describe(chosen)} and \"rejected\" {Row.Describe(rejected)}. Expected two " +
                "texts, or two lists of messages."),
        };
    }

    /// <summary>A completion and whether it is wanted.</summary>
    /// <exception cref="InputException">The row has no completion or no label.</exception>
    public static (JsonObject Row, bool IsDesirable) Rated(JsonObject row)
    {
        foreach (string key in (string[])[Completion, Label])
            if (row[key] is null)
                throw new InputException(Row.Lacking(
                    row, key, "Expected the form {\"prompt\", \"completion\", \"label\": true or false}."));
        bool? wanted = row[Label] switch
        {
            JsonValue value when value.TryGetValue(out bool flag) => flag,
            JsonValue value when value.TryGetValue(out double number) && number is 0 or 1
                => value.GetValue<double>() == 1,
            var other when Row.AsText(other) is { } text && bool.TryParse(text, out bool flag) => flag,
            _ => null,
        };
        return (Completed(row, row[Completion]!, row[Prompt]), wanted ?? throw new InputException(
            $"\"label\" is {Row.Describe(row[Label])}, expected true for a completion that is wanted, else false."));
    }

    // A prompt and a completion of the same kind as a row of training data.
    private static JsonObject Completed(JsonObject row, JsonNode completion, JsonNode? prompt)
    {
        if (completion is JsonArray turns) return Conversation(row, Messages(prompt), turns);
        if (Row.AsText(completion) is not { } text)
            throw new InputException(
                $"\"completion\" is {Row.Describe(completion)}, expected a text or a list of messages.");
        if (prompt is JsonArray asked) return Conversation(row, asked, [Message("assistant", text)]);
        return Text(Row.AsText(prompt) ?? throw new InputException(
            prompt is null ? Row.Lacking(row, Prompt) : new Problem(
                $"\"prompt\" is {Row.Describe(prompt)}, expected a text or a list of messages.")), text);
    }

    private (JsonObject, JsonObject) Texts(JsonObject row, string chosen, string rejected)
    {
        if (row[Prompt] is { } prompt)
            return (Completed(row, row[Chosen]!, prompt), Completed(row, row[Rejected]!, prompt));
        if (Row.AsText(row["question"]) is { } question)
        {
            Recognise("Intel's Orca pairs (system, question)");
            JsonArray asked = Row.AsText(row["system"]) is { Length: > 0 } system
                ? [Message("system", system), Message("user", question)] : [Message("user", question)];
            return (Conversation(row, asked, [Message("assistant", chosen)]),
                Conversation(row, (JsonArray)asked.DeepClone(), [Message("assistant", rejected)]));
        }
        int common = chosen.AsSpan().CommonPrefixLength(rejected);
        int turn = chosen.AsSpan(0, common).LastIndexOf(Turn, StringComparison.Ordinal);
        if (turn >= 0 && chosen.StartsWith("\n\nHuman:", StringComparison.Ordinal))
        {
            Recognise("Anthropic's HH-RLHF (Human, Assistant)");
            common = turn + Turn.Length;
        }
        // a word's blank is its own
        else if (common > 0 && common < chosen.Length && chosen[common - 1] == ' ') common--;
        if (common == 0 || common == chosen.Length || common == rejected.Length)
            throw new InputException(
                "the row has no \"prompt\", and " + (common == 0 ? "\"chosen\" and \"rejected\" do not begin alike"
                    : "one of \"chosen\" and \"rejected\" begins with all of the other") +
                ". Expected a prompt with which both begin, or one of its own.");
        return (Text(chosen[..common], chosen[common..]), Text(rejected[..common], rejected[common..]));
    }

    private (JsonObject, JsonObject) Conversations(JsonObject row, JsonArray chosen, JsonArray rejected)
    {
        JsonNode? prompt = row[Prompt];
        bool startsWithPrompt = prompt is JsonArray given && given.Count > 0
            ? Begins(chosen, given) && Begins(rejected, given)
            : Row.AsText(prompt) is { } asked && Begins(chosen, [Message("user", asked)])
                && Begins(rejected, [Message("user", asked)]);
        if (prompt is not null && !startsWithPrompt)
            return (Conversation(row, Messages(prompt), chosen), Conversation(row, Messages(prompt), rejected));
        if (Row.AsText(prompt) is not null) Recognise("UltraFeedback, binarised (the prompt is in both conversations)");
        else if (((string[])["chosen_rating", "chosen_score", "chosen-rating"]).Any(row.ContainsKey))
            Recognise("Argilla's DPO mix");
        int common = 0;
        while (common < Math.Min(chosen.Count, rejected.Count) && JsonNode.DeepEquals(chosen[common], rejected[common]))
            common++;
        if (common == 0 || common == chosen.Count || common == rejected.Count)
            throw new InputException(
                "\"chosen\" and \"rejected\" are conversations that " + (common == 0 ? "have no message in common"
                    : "one of which begins with all of the other") +
                ". Expected the same messages up to the answer that is preferred.");
        JsonArray Part(JsonArray turns, Range range) => [.. turns.ToArray()[range].Select(turn => turn?.DeepClone())];
        return (Conversation(row, Part(chosen, ..common), Part(chosen, common..)),
            Conversation(row, Part(rejected, ..common), Part(rejected, common..)));
    }

    private static bool Begins(JsonArray turns, JsonArray prompt) => turns.Count > prompt.Count
        && prompt.Zip(turns).All(pair => JsonNode.DeepEquals(pair.First, pair.Second));

    private static JsonArray Messages(JsonNode? prompt) => prompt as JsonArray
        ?? [Message("user", Row.AsText(prompt) ?? throw new InputException(
            $"\"prompt\" is {Row.Describe(prompt)}, expected a text or a list of messages."))];

    // The turns of the assistant that the prompt contains are not the completion's.
    private static JsonObject Conversation(JsonObject row, JsonArray prompt, JsonArray completion)
    {
        var messages = new JsonArray();
        foreach (JsonNode? turn in prompt)
        {
            JsonNode? copy = turn?.DeepClone();
            if (copy is JsonObject spoken && Row.AsText(spoken["role"]) == "assistant") spoken["weight"] = 0;
            messages.Add(copy);
        }
        foreach (JsonNode? turn in completion) messages.Add(turn?.DeepClone());
        var made = new JsonObject { ["messages"] = messages };
        if (row["tools"] is { } tools) made["tools"] = tools.DeepClone();
        return made;
    }

    private static JsonObject Text(string prompt, string completion) =>
        new() { [Prompt] = prompt, [Completion] = completion };

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };

    private void Recognise(string form) => recognised[form] = recognised.GetValueOrDefault(form) + 1;
}
