using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using LowRank.Generation;
using LowRank.Server.Requests;
using LowRank.Serving;

namespace LowRank.Server.Writing;

/// <summary>What requests for texts have in common.</summary>
/// <param name="Model">The model's name, as the answer shows it.</param>
/// <param name="Adapter">The adapter that it means; null for the base alone.</param>
/// <param name="Adapters">All adapters with their factors.</param>
/// <param name="Generation">How tokens are chosen.</param>
/// <param name="Count">Texts per prompt.</param>
/// <param name="IgnoresEnd">Whether the model's own end is a token like others.</param>
internal sealed record TextFields(string Model, string? Adapter, IReadOnlyList<AdapterChoice> Adapters,
    GenerationOptions Generation, int Count, bool IgnoresEnd)
{
    // What OpenAI's clients send and what changes no text.
    private static readonly string[] WithoutEffect =
        ["user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"];

    /// <summary>Reads the fields.</summary>
    /// <param name="call">The request.</param>
    /// <param name="mostTokens">Most tokens of a text where the request does not say.</param>
    /// <param name="leastTokens">Fewest that it may say.</param>
    /// <param name="lengths">The names of the field that says, the preferred one first.</param>
    public static TextFields Read(
        Call call, int mostTokens, int leastTokens, params IReadOnlyList<string> lengths)
    {
        RequestFields fields = call.Fields;
        fields.Accept(WithoutEffect);
        fields.Word("service_tier", "auto", "default", "flex", "priority", "scale");
        (string model, string? adapter) = ReadModel(call);
        call.Served.RequireEngine(adapter);
        IReadOnlyList<AdapterChoice> adapters = ReadAdapters(call, adapter);
        int? most = ReadLength(fields, leastTokens, lengths);
        int count = fields.Count("n", 1, call.Limits.Texts) ?? 1;
        GenerationOptions generation = ReadSampling(call) with
        {
            MaxNewTokens = Math.Max(1, most ?? mostTokens),
            StopStrings = ReadStops(call, "stop"),
            StopTokenIds = ReadTokens(call, "stop_token_ids"),
            LogitBias = ReadBias(call),
            Seed = fields.Whole("seed", long.MinValue, long.MaxValue) ?? RandomSeed(),
        };
        return new TextFields(model, adapter, adapters, generation, count, fields.Flag("ignore_eos") ?? false);
    }

    /// <summary>The model of a request: its name and the adapter that it means.</summary>
    public static (string Model, string? Adapter) ReadModel(Call call)
    {
        string model = call.Fields.Text("model") ?? call.Served.Name;
        string? adapter = call.Served.AdapterOf(model);
        call.Took = (model, 0, 0);
        return (model, adapter);
    }

    /// <summary>A seed that nobody knows before.</summary>
    public static long RandomSeed() =>
        BitConverter.ToInt64(RandomNumberGenerator.GetBytes(sizeof(long))) & long.MaxValue;

    /// <summary>Stop strings: one, or a list.</summary>
    public static IReadOnlyList<string> ReadStops(Call call, string name)
    {
        IReadOnlyList<string> stops = call.Fields.Texts(name, call.Limits.Stops) ?? [];
        foreach (string stop in stops)
            if (stop.Length == 0 || stop.Length > call.Limits.StopLength)
                call.Fields.Problem(name, string.Create(CultureInfo.InvariantCulture,
                    $"has a text of {stop.Length} characters, expected 1 to {call.Limits.StopLength}"));
        return stops;
    }

    /// <summary>Token ids, each in the vocabulary.</summary>
    public static int[] ReadTokens(Call call, string name, int most = 64)
    {
        List<int> tokens = [];
        foreach (JsonElement item in call.Fields.List(name, most) ?? [])
            if (AsToken(item, call.Served) is { } token) tokens.Add(token);
            else call.Fields.Wrong(name, item, TokenRange(call.Served));
        return [.. tokens];
    }

    /// <summary>A token id; null for anything else.</summary>
    public static int? AsToken(JsonElement value, ServedModel served) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id) && id >= 0
            && id < served.TokenizerOf(null).VocabularySize ? id : null;

    /// <summary>Which ids there are, in words.</summary>
    public static string TokenRange(ServedModel served) => string.Create(CultureInfo.InvariantCulture,
        $"token ids from 0 to {served.TokenizerOf(null).VocabularySize - 1}");

    private static int? ReadLength(RequestFields fields, int least, IReadOnlyList<string> names)
    {
        int?[] given = [.. names.Select(name => fields.Count(name, least))];
        int? chosen = given.FirstOrDefault(length => length is not null);
        if (given.Any(length => length is not null && length != chosen))
            fields.Problem(names[^1], $"differs from `{names[0]}`; give one of them");
        return chosen;
    }

    private static GenerationOptions ReadSampling(Call call)
    {
        RequestFields fields = call.Fields;
        double temperature = fields.Number("temperature", 0, 2) ?? 1;
        double topP = fields.Number("top_p", 0, 1) ?? 1, minP = fields.Number("min_p", 0, 1) ?? 0;
        int topK = fields.Count("top_k", -1) ?? 0;
        bool isGreedy = temperature == 0; // the likeliest token is in every selection
        return new GenerationOptions
        {
            Temperature = temperature,
            TopP = isGreedy ? 1 : Math.Max(topP, double.Epsilon),
            TopK = isGreedy ? 0 : Math.Max(topK, 0),
            MinP = isGreedy ? 0 : minP,
            RepetitionPenalty = fields.Number("repetition_penalty", 0.01, 100) ?? 1,
            FrequencyPenalty = fields.Number("frequency_penalty", -2, 2) ?? 0,
            PresencePenalty = fields.Number("presence_penalty", -2, 2) ?? 0,
        };
    }

    private static Dictionary<int, double> ReadBias(Call call)
    {
        const int Strongest = 100;
        var bias = new Dictionary<int, double>();
        if (call.Fields.Object("logit_bias") is not { } given) return bias;
        JsonProperty[] entries = [.. given.Element.EnumerateObject()];
        if (entries.Length > call.Limits.Biases)
        {
            call.Fields.Problem("logit_bias", string.Create(CultureInfo.InvariantCulture,
                $"has {entries.Length} entries, expected at most {call.Limits.Biases}"), "too_many");
            return bias;
        }
        int vocabulary = call.Served.TokenizerOf(null).VocabularySize;
        foreach (JsonProperty entry in entries)
        {
            if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                || id >= vocabulary)
                call.Fields.Problem("logit_bias", $"has the key \"{RequestFields.Shortened(entry.Name)}\", expected " +
                    TokenRange(call.Served));
            else if (RequestFields.AsNumber(entry.Value) is not { } value || Math.Abs(value) > Strongest)
                call.Fields.Wrong($"logit_bias.{id}", entry.Value, "a number from -100 to 100");
            else bias[id] = value;
        }
        return bias;
    }

    // llama.cpp's field: adapters by name or by their number in /v1/models, each with a factor.
    private static List<AdapterChoice> ReadAdapters(Call call, string? adapter)
    {
        const int Most = 64;
        const double Strongest = 1000;
        List<AdapterChoice> chosen = adapter is null ? [] : [new AdapterChoice(adapter)];
        if (call.Fields.Objects("lora", Most) is not { } list) return chosen;
        if (adapter is not null)
            call.Fields.Problem("lora", $"cannot be given with the adapter {adapter} as `model`");
        IReadOnlyList<ServedCard> known = call.Served.Adapters;
        foreach (RequestFields one in list)
        {
            double scale = one.Number("scale", -Strongest, Strongest) ?? 1;
            one.Require("id");
            string? name = one.Any("id") switch
            {
                { ValueKind: JsonValueKind.String } text => text.GetString(),
                { ValueKind: JsonValueKind.Number } number when number.TryGetInt32(out int at) && at >= 0
                    && at < known.Count => known[at].Name,
                _ => null,
            };
            if (known.All(card => card.Name != name) && one.Any("id") is { } id)
                one.Wrong("id", id, "the name or the number of an adapter");
            else if (name is not null && chosen.Exists(other => other.Name == name))
                one.Problem("id", $"names {name} twice");
            else if (name is not null && !call.Served.Writes(name))
                one.Problem("id", $"names {name}, which writes no texts");
            else if (name is not null && scale != 0) chosen.Add(new AdapterChoice(name, scale));
            one.RefuseOthers();
        }
        return chosen;
    }
}
