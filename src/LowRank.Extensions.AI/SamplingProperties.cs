using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

/// <summary>Settings that <see cref="ChatOptions"/> has no property for: additional properties, by the names that
/// OpenAI-compatible servers have for them.</summary>
internal sealed class SamplingProperties
{
    /// <summary>The name of the chat template's variables.</summary>
    public const string Template = "chat_template_kwargs";

    private const string MinPKey = "min_p", Repetition = "repetition_penalty", Bias = "logit_bias",
        Stream = "stream_options", Usage = "include_usage";

    private readonly List<string> problems;

    /// <summary>Reads the properties.</summary>
    /// <param name="properties">The properties; null for none.</param>
    /// <param name="problems">Gets what cannot be honoured.</param>
    public SamplingProperties(AdditionalPropertiesDictionary? properties, List<string> problems)
    {
        this.problems = problems;
        foreach ((string key, object? given) in properties ?? [])
            if (given is not null) Take(key, JsonForms.Element(given));
    }

    /// <summary>Least share of the likeliest token's probability; null if not given.</summary>
    public double? MinP { get; private set; }

    /// <summary>Divisor of the logits of tokens that were written; null if not given.</summary>
    public double? RepetitionPenalty { get; private set; }

    /// <summary>What is added to tokens' logits; null if not given.</summary>
    public IReadOnlyDictionary<int, double>? LogitBias { get; private set; }

    /// <summary>Variables of the chat template; null if not given.</summary>
    public JsonObject? TemplateArguments { get; private set; }

    private void Take(string key, JsonElement value)
    {
        switch (key)
        {
            case MinPKey: MinP = Number(key, value); break;
            case Repetition: RepetitionPenalty = Number(key, value); break;
            case Bias: LogitBias = Biases(value); break;
            case Template when value.ValueKind == JsonValueKind.Object:
                TemplateArguments = JsonObject.Create(value);
                break;
            case Template: Wrong(key, "is no object, expected the variables of the chat template."); break;
            // What OpenAI's clients send so that a stream tells its usage, which ours always does.
            case Stream when value.ValueKind == JsonValueKind.Object
                && value.EnumerateObject().All(one => one.Name == Usage && one.Value.ValueKind == JsonValueKind.True):
                break;
            case Stream: Wrong(key, $"is {value.GetRawText()}; a stream ends with its usage, always."); break;
            default:
                Wrong(key, $"is unknown; known are {MinPKey}, {Repetition}, {Bias} and {Template}. Leave it out.");
                break;
        }
    }

    private double? Number(string key, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number) return value.GetDouble();
        Wrong(key, $"is {value.GetRawText()}, expected a number.");
        return null;
    }

    private Dictionary<int, double>? Biases(JsonElement value)
    {
        Dictionary<int, double> biases = [];
        bool isRight = value.ValueKind == JsonValueKind.Object && value.EnumerateObject().All(one =>
            int.TryParse(one.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int token)
            && one.Value.ValueKind == JsonValueKind.Number && biases.TryAdd(token, one.Value.GetDouble()));
        if (isRight) return biases;
        Wrong(Bias, "is no table of token ids and numbers.");
        return null;
    }

    private void Wrong(string key, string problem) => problems.Add($"AdditionalProperties[\"{key}\"] {problem}");
}
