using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Generation;
using LowRank.Server.Requests;
using LowRank.Serving;

namespace LowRank.Server.Writing;

/// <summary>Reads requests in Ollama's form.</summary>
internal static class OllamaFields
{
    private const string Latest = ":latest", Unsupported = "is not supported";

    /// <summary>The model of a request: its name and the adapter that it means. Names may end in
    /// <c>:latest</c>.</summary>
    public static (string Model, string? Adapter) ReadModel(Call call, string field = "model")
    {
        call.Fields.Accept("CustomHeaders"); // OllamaSharp sends its own settings, too
        string given = call.Fields.RequiredText(field);
        call.Fields.ThrowIfAny();
        bool isPlain = given.EndsWith(Latest, StringComparison.Ordinal)
            && call.Served.Adapters.All(adapter => adapter.Name != given);
        string name = isPlain ? given[..^Latest.Length] : given;
        string? adapter = call.Served.AdapterOf(name);
        call.Took = (name, 0, 0);
        return (given, adapter);
    }

    /// <summary>What all requests for texts have in common.</summary>
    public static (TextFields Text, TextConstraint? Constraint, bool IsStreamed) Read(Call call)
    {
        (string model, string? adapter) = ReadModel(call);
        call.Served.RequireEngine(adapter);
        RequestFields fields = call.Fields;
        fields.Accept("keep_alive"); // the model stays
        if (fields.Any("think") is { } think && think.ValueKind != JsonValueKind.False)
            fields.Problem("think", Unsupported, "unsupported_parameter");
        fields.Refuse(Unsupported, "logprobs", "top_logprobs", "truncate", "shift");
        bool isStreamed = fields.Flag("stream") ?? true;
        return (new TextFields(model, adapter, adapter is null ? [] : [new AdapterChoice(adapter)], Sampling(call), 1,
            false), Format(call), isStreamed);
    }

    /// <summary>A conversation as OpenAI's messages.</summary>
    public static JsonArray Messages(Call call)
    {
        const int MostCalls = 128;
        call.Fields.Require("messages");
        JsonArray messages = [];
        var open = new Queue<(string Id, string Name)>(); // calls whose results are to come
        int number = 0;
        foreach (RequestFields message in call.Fields.Objects("messages", call.Limits.Messages) ?? [])
        {
            message.Refuse(Unsupported, "images");
            message.Accept("thinking"); // thoughts of earlier turns are not shown again
            var read = new JsonObject
            {
                ["role"] = message.RequiredText("role"), ["content"] = message.Text("content") ?? "",
            };
            JsonArray calls = [];
            foreach (RequestFields one in message.Objects("tool_calls", MostCalls) ?? [])
            {
                one.Accept("id", "type");
                if (one.Object("function") is not { } function) continue;
                string id = string.Create(CultureInfo.InvariantCulture, $"call{number++:00000}"),
                    name = function.RequiredText("name");
                function.Accept("index", "description");
                open.Enqueue((id, name));
                calls.Add((JsonNode)new JsonObject
                {
                    ["id"] = id, ["type"] = "function", ["function"] = new JsonObject
                    {
                        ["name"] = name,
                        ["arguments"] = function.Object("arguments")?.Element.GetRawText() ?? "{}",
                    },
                });
                function.RefuseOthers();
                one.RefuseOthers();
            }
            if (calls.Count > 0) read["tool_calls"] = calls;
            message.Accept("tool_call_id");
            string? tool = message.Text("tool_name");
            if (read["role"]!.GetValue<string>() == "tool" && open.TryDequeue(out (string Id, string Name) answered))
                (read["tool_call_id"], read["name"]) = (answered.Id, tool ?? answered.Name);
            messages.Add((JsonNode)read);
            message.RefuseOthers();
        }
        return messages;
    }

    // "json", or a schema.
    private static TextConstraint? Format(Call call)
    {
        if (call.Fields.Any("format") is not { } format) return null;
        if (format.ValueKind == JsonValueKind.String)
            return format.GetString() == "" ? null
                : call.Fields.Word("format", "json") is null ? null : TextConstraint.Json();
        return ConstraintFields.Schema(call.Fields, "format", format, call.Limits);
    }

    // Where nothing is said, as Ollama's documentation has it.
    private static GenerationOptions Sampling(Call call)
    {
        const double Temperature = 0.8, TopP = 0.9;
        const int TopK = 40;
        int context = call.Served.Context;
        var usual = new GenerationOptions
        {
            Temperature = Temperature, TopP = TopP, TopK = TopK, MaxNewTokens = context,
            Seed = TextFields.RandomSeed(),
        };
        if (call.Fields.Object("options") is not { } options) return usual;
        options.Accept("num_thread", "num_gpu", "main_gpu", "numa", "num_batch", "use_mmap", "use_mlock", "low_vram",
            "num_keep");
        if (options.Count("num_ctx", 1) > context)
            options.Problem("num_ctx", string.Create(
                CultureInfo.InvariantCulture, $"is more than {context}, the context that is served"));
        Neutral(options, "mirostat", 0);
        Neutral(options, "tfs_z", 1);
        Neutral(options, "typical_p", 1);
        Neutral(options, "repeat_last_n", -1);
        double temperature = options.Number("temperature", 0, 100) ?? Temperature;
        double topP = options.Number("top_p", 0, 1) ?? TopP, minP = options.Number("min_p", 0, 1) ?? 0;
        int topK = options.Count("top_k", -1) ?? TopK, most = options.Count("num_predict", -2) ?? -1;
        bool isGreedy = temperature == 0; // the likeliest token is in every selection
        GenerationOptions read = usual with
        {
            Temperature = temperature,
            TopP = isGreedy ? 1 : Math.Max(topP, double.Epsilon),
            TopK = isGreedy ? 0 : Math.Max(topK, 0),
            MinP = isGreedy ? 0 : minP,
            RepetitionPenalty = options.Number("repeat_penalty", 0.01, 100) ?? 1,
            FrequencyPenalty = options.Number("frequency_penalty", -2, 2) ?? 0,
            PresencePenalty = options.Number("presence_penalty", -2, 2) ?? 0,
            MaxNewTokens = most > 0 ? most : context,
            StopStrings = Stops(call, options),
            Seed = options.Whole("seed", long.MinValue, long.MaxValue) ?? usual.Seed,
        };
        options.RefuseOthers();
        return read;
    }

    private static IReadOnlyList<string> Stops(Call call, RequestFields options)
    {
        IReadOnlyList<string> stops = options.Texts("stop", call.Limits.Stops) ?? [];
        if (stops.Any(stop => stop.Length == 0 || stop.Length > call.Limits.StopLength))
            options.Problem("stop", string.Create(
                CultureInfo.InvariantCulture, $"has a text that is empty or longer than {call.Limits.StopLength}"));
        return stops;
    }

    // A setting that is not supported may be given if it changes nothing.
    private static void Neutral(RequestFields options, string name, double neutral)
    {
        if (options.Any(name) is { } value && RequestFields.AsNumber(value) != neutral)
            options.Problem(name, string.Create(
                CultureInfo.InvariantCulture, $"is not supported; expected {neutral}, or nothing"),
                "unsupported_parameter");
    }
}
