using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>The calls in a conversation's messages: <c>"tool_calls": [{"function": {"name", "arguments"}}]</c>. Their
/// arguments are an object or its JSON text, as in OpenAI's API.</summary>
internal static class ToolCalls
{
    private const string ProbeWord = "call-form-probe", Key = "tool_calls", Arguments = "arguments";
    private static readonly ChatTemplate AsPythonWrites = ChatTemplate.Parse("{{ value | tojson }}");

    /// <summary>Whether a message has a call.</summary>
    public static bool Any(JsonArray messages) =>
        messages.Any(message => message is JsonObject turn && turn[Key] is JsonArray { Count: > 0 });

    /// <summary>Finds out which form of arguments a template accepts. Most render objects; some (DeepSeek's)
    /// concatenate texts.</summary>
    /// <param name="render">Renders a conversation.</param>
    /// <returns>True for texts, false for objects, null for both: then arguments are rendered unchanged, objects as
    /// Python prints them.</returns>
    public static bool? TakesTexts(Func<JsonArray, string> render)
    {
        string Try(bool asTexts)
        {
            // Some templates (DeepSeek-R1's) write calls only if the content is null.
            string ofEmpty = TryContent("", asTexts);
            return ofEmpty.Contains(ProbeWord, StringComparison.Ordinal) ? ofEmpty : TryContent(null, asTexts);
        }
        string TryContent(string? content, bool asTexts)
        {
            JsonArray probe = Probe();
            probe[1]!["content"] = content;
            Write(probe, asTexts);
            try
            {
                return render(probe);
            }
            catch (InputException)
            {
                return ""; // the probe only asks which form it refuses
            }
        }
        string ofObject = Try(asTexts: false);
        if (ofObject.Contains($"{{'a': '{ProbeWord}'}}", StringComparison.Ordinal)) return null;
        return !ofObject.Contains(ProbeWord, StringComparison.Ordinal) && Try(asTexts: true)
            .Contains(ProbeWord, StringComparison.Ordinal);
    }

    private static JsonArray Probe() => JsonNode.Parse("""
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls":
          [{"id": "call00001", "type": "function", "function": {"name": "f", "arguments": {"a": "call-form-probe"}}}]},
         {"role": "tool", "tool_call_id": "call00001", "name": "f", "content": "1"}, {"role": "assistant", "content": "2"}]
        """)!.AsArray();

    /// <summary>Converts the arguments of every call to one form; a call without arguments gets <c>{}</c>.</summary>
    /// <param name="messages">The messages, changed in place.</param>
    /// <param name="asTexts">Whether to convert to texts; otherwise to objects.</param>
    public static void Write(JsonArray messages, bool asTexts)
    {
        foreach (JsonObject function in Functions(messages))
        {
            string? text = Row.AsText(function[Arguments]);
            if (asTexts)
                function[Arguments] = string.IsNullOrWhiteSpace(text)
                    ? Text(function[Arguments]?.DeepClone() ?? new JsonObject()) : text;
            else if (text is not null) function[Arguments] = Parsed(text) is { } parsed ? parsed : text;
            else if (function[Arguments] is null) function[Arguments] = new JsonObject();
        }
    }

    /// <summary>Reports problems of a message's calls.</summary>
    public static void Check(JsonObject turn, string name, RowFields fields)
    {
        if (turn["function_call"] is not null)
            fields.Problem(
                $"{name}.\"function_call\" is OpenAI's earlier form. Write \"tool_calls\": [{{\"type\": " +
                "\"function\", \"function\": {\"name\", \"arguments\"}}].");
        if (turn[Key] is not { } calls) return;
        if (calls is not JsonArray list)
        {
            fields.Problem($"{name}.\"{Key}\" is {Row.Describe(calls)}, expected a list of calls.");
            return;
        }
        for (int i = 0; i < list.Count; i++)
        {
            string call = $"{name}.\"{Key}\"[{i}]";
            if (list[i] is not JsonObject)
                fields.Problem(
                    $"{call} is {Row.Describe(list[i])}, expected a call {{\"function\": {{\"name\", " +
                    "\"arguments\"}}.");
            else if (Row.AsText(Function(list[i])[Arguments]) is { } text && Parsed(text) is null)
                fields.Problem(
                    $"{call}: \"{Arguments}\" is a text that is not a JSON object. Expected an object, or its JSON " +
                    "text.");
        }
    }

    /// <summary>Converts lists of calls that a table stores as texts.</summary>
    public static void ReadLists(JsonArray messages)
    {
        foreach (JsonNode? message in messages)
            if (message is JsonObject turn && Row.AsText(turn[Key]) is { } text)
                turn[Key] = string.IsNullOrWhiteSpace(text) ? null : List(text) is { } list ? list : text;
    }

    private static IEnumerable<JsonObject> Functions(JsonArray messages) => messages.OfType<JsonObject>()
        .SelectMany(turn => (turn[Key] as JsonArray ?? []).OfType<JsonObject>()).Select(Function);

    // Some data omits the "function" layer.
    private static JsonObject Function(JsonNode? call) => call!["function"] as JsonObject ?? (JsonObject)call;

    internal static JsonObject? Parsed(string text)
    {
        if (string.IsNullOrWhiteSpace(text)) return [];
        try
        {
            return JsonObjects.Parse(text, Arguments);
        }
        catch (InputException)
        {
            return null; // the caller reports it
        }
    }

    private static JsonArray? List(string text)
    {
        try
        {
            return JsonNode.Parse(
                text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonArray;
        }
        catch (JsonException)
        {
            return null; // Check reports it
        }
    }

    private static string Text(JsonNode value) => AsPythonWrites.Render(new JsonObject { ["value"] = value }).Text;
}
