using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Generation;
using LowRank.Serving;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

/// <summary>Reads the options of a call. What is not honoured is refused by name: nothing is ignored in
/// silence.</summary>
internal sealed class ChatOptionsReader
{
    private static readonly GenerationOptions Plain = new();

    private readonly ChatOptions options;
    private readonly List<string> problems = [];
    private readonly SamplingProperties further;

    private ChatOptionsReader(ChatOptions options)
    {
        this.options = options;
        further = new SamplingProperties(options.AdditionalProperties, problems);
    }

    /// <summary>Reads options.</summary>
    /// <param name="client">The client, for the caller's factory.</param>
    /// <param name="options">The options; null for none. They are not changed.</param>
    /// <exception cref="InputException">Some cannot be honoured: all problems at once.</exception>
    public static ChatAsk Read(IChatClient client, ChatOptions? options)
    {
        var reader = new ChatOptionsReader(options ?? new ChatOptions());
        ChatAsk ask = reader.Read(client);
        return reader.problems.Count == 0 ? ask
            : throw new InputException("The chat options cannot be honoured:", reader.problems);
    }

    private ChatAsk Read(IChatClient client)
    {
        Refuse();
        ServingRequest raw = Raw(client);
        return new ChatAsk(raw with { Generation = Sampling(raw.Generation) })
        {
            ModelId = options.ModelId,
            Instructions = options.Instructions,
            Format = Format(),
            Tools = Tools(),
            TemplateArguments = further.TemplateArguments,
        };
    }

    private void Refuse()
    {
        const string Stateless = "the client keeps no conversations; send all messages each time.";
        Refuse(options.ConversationId is not null, nameof(options.ConversationId), Stateless);
#pragma warning disable MEAI001 // experimental properties, which are refused, not used
        const string InProcess = "an answer is written while it is awaited, and ends with its caller.";
        Refuse(options.ContinuationToken is not null, nameof(options.ContinuationToken), InProcess);
        Refuse(options.AllowBackgroundResponses == true, nameof(options.AllowBackgroundResponses), InProcess);
#pragma warning restore MEAI001
        Refuse(options.Reasoning is not null, nameof(options.Reasoning),
            "how much a model thinks is a variable of its chat template; set it in " +
            $"AdditionalProperties[\"{SamplingProperties.Template}\"].");
    }

    private void Refuse(bool isGiven, string option, string why)
    {
        if (isGiven) problems.Add($"ChatOptions.{option} is not supported: {why}");
    }

    // What the caller's own request sets, has precedence.
    private ServingRequest Raw(IChatClient client)
    {
        const string Factory = "ChatOptions.RawRepresentationFactory";
        object? given = options.RawRepresentationFactory?.Invoke(client);
        if (given is null) return new ServingRequest([]);
        if (given is not ServingRequest raw)
        {
            problems.Add($"{Factory} gives a {given.GetType().Name}, expected a {nameof(ServingRequest)}.");
            return new ServingRequest([]);
        }
        if (raw.Prompt.Count > 0)
            problems.Add(
                $"{Factory} gives a request with a prompt, expected an empty one: the messages are the prompt.");
        if (raw.Count != 1)
            problems.Add($"{Factory} asks for {raw.Count} texts, expected 1: a response has one.");
        return raw;
    }

    // A cut among the likeliest tokens asks for drawing; the likeliest of all is in each cut.
    private GenerationOptions Sampling(GenerationOptions raw)
    {
        bool draws = options.TopP is not null || options.TopK is not null || further.MinP is not null;
        GenerationOptions asked = raw with
        {
            MaxNewTokens = Pick(raw.MaxNewTokens, Plain.MaxNewTokens, options.MaxOutputTokens ?? int.MaxValue),
            Temperature = Pick(raw.Temperature, Plain.Temperature, options.Temperature ?? (draws ? 1 : 0)),
            TopK = Pick(raw.TopK, Plain.TopK, options.TopK),
            TopP = Pick(raw.TopP, Plain.TopP, options.TopP),
            MinP = Pick(raw.MinP, Plain.MinP, further.MinP),
            RepetitionPenalty = Pick(raw.RepetitionPenalty, Plain.RepetitionPenalty, further.RepetitionPenalty),
            FrequencyPenalty = Pick(raw.FrequencyPenalty, Plain.FrequencyPenalty, options.FrequencyPenalty),
            PresencePenalty = Pick(raw.PresencePenalty, Plain.PresencePenalty, options.PresencePenalty),
            Seed = Pick(raw.Seed, Plain.Seed, options.Seed ?? Random.Shared.NextInt64()),
            LogitBias = raw.LogitBias.Count > 0 ? raw.LogitBias : further.LogitBias ?? raw.LogitBias,
            StopStrings = [.. raw.StopStrings, .. options.StopSequences ?? []],
        };
        if (asked.Temperature == 0) asked = asked with { TopK = Plain.TopK, TopP = Plain.TopP, MinP = Plain.MinP };
        if (asked.StopStrings.Any(string.IsNullOrEmpty))
            problems.Add(
                "ChatOptions.StopSequences has an empty text, at which nothing could be written. Leave it out.");
        return asked;
    }

    private static T Pick<T>(T raw, T plain, T? asked) where T : struct, IEquatable<T> =>
        raw.Equals(plain) ? asked ?? plain : raw;

    private TextConstraint? Format()
    {
        try
        {
            return options.ResponseFormat switch
            {
                null or ChatResponseFormatText => null,
                ChatResponseFormatJson { Schema: { } schema } => TextConstraint.JsonSchema(JsonForms.Closed(schema)),
                ChatResponseFormatJson => TextConstraint.Json(),
                { } other => Unknown(other),
            };
        }
        catch (InputException e)
        {
            problems.AddRange(e.Problems.Select(problem => $"ChatOptions.ResponseFormat: {problem}"));
            return null;
        }
    }

    private TextConstraint? Unknown(ChatResponseFormat format)
    {
        problems.Add($"ChatOptions.ResponseFormat is a {format.GetType().Name}, expected text, JSON or a JSON schema.");
        return null;
    }

    private AskedTools? Tools()
    {
        JsonArray declared = [], closed = [];
        foreach ((int index, AITool tool) in (options.Tools ?? []).Index())
            if (tool is AIFunctionDeclaration function)
            {
                declared.Add((JsonNode)Declared(function, function.JsonSchema));
                closed.Add((JsonNode)Declared(function, JsonForms.Closed(function.JsonSchema)));
            }
            else
                problems.Add(
                    $"ChatOptions.Tools[{index}] is a {tool.GetType().Name}, which is a service's. The model can " +
                    "call functions (AIFunction).");
        ChatToolMode mode = options.ToolMode ?? ChatToolMode.Auto;
        if (mode is RequiredChatToolMode { RequiredFunctionName: var name } && !Has(declared, name))
            problems.Add(name is null ? "ChatOptions.ToolMode requires a call, but there is no function to call."
                : $"ChatOptions.ToolMode requires a call of {name}, which is not among ChatOptions.Tools.");
        return declared.Count == 0 || mode is NoneChatToolMode ? null
            : new AskedTools(declared, closed, mode, options.AllowMultipleToolCalls ?? true);
    }

    private static bool Has(JsonArray declared, string? name) => name is null ? declared.Count > 0
        : declared.Any(tool => tool!["function"]!["name"]!.GetValue<string>() == name);

    private static JsonObject Declared(AIFunctionDeclaration function, JsonElement parameters) => new()
    {
        ["type"] = "function",
        ["function"] = new JsonObject
        {
            ["name"] = function.Name,
            ["description"] = function.Description,
            ["parameters"] = JsonObject.Create(parameters),
        },
    };
}
