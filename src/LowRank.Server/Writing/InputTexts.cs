using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Server.Requests;
using LowRank.Tokenizers;

namespace LowRank.Server.Writing;

/// <summary>Texts that a model embeds, labels or ranks: rows as its tasks read them, and their tokens.</summary>
/// <param name="Rows">A row per text.</param>
/// <param name="Tokens">Their tokens together.</param>
internal sealed record InputTexts(IReadOnlyList<JsonObject> Rows, int Tokens)
{
    private const int TogetherAtOnce = 16;

    /// <summary>Reads a text, texts, token ids, or lists of token ids.</summary>
    /// <param name="call">The request.</param>
    /// <param name="name">The field.</param>
    /// <param name="pairs">Whether a text may be an object with text and text_pair.</param>
    public static InputTexts Read(Call call, string name, bool pairs = false)
    {
        RequestFields fields = call.Fields;
        fields.Require(name);
        if (fields.Any(name) is not { } given) return new([], 0);
        bool isOne = given.ValueKind != JsonValueKind.Array
            || given.GetArrayLength() > 0 && given[0].ValueKind == JsonValueKind.Number;
        JsonElement[] all = isOne ? [given] : [.. given.EnumerateArray()];
        if (all.Length == 0) fields.Problem(name, "is empty, expected one text at least");
        if (all.Length > call.Limits.Inputs)
        {
            fields.Problem(name, string.Create(CultureInfo.InvariantCulture,
                $"has {all.Length} entries, expected at most {call.Limits.Inputs}"), "too_many");
            return new([], 0);
        }
        return Of(call, name, [.. all.Select(one => Row(call, name, one, pairs)).OfType<JsonObject>()]);
    }

    /// <summary>Rows with their tokens; texts beyond the model's context are refused.</summary>
    public static InputTexts Of(Call call, string name, IReadOnlyList<JsonObject> rows)
    {
        int total = 0, most = call.Served.Model.ContextLength;
        foreach ((int number, JsonObject row) in rows.Index())
        {
            int tokens = Count(call.Served, row);
            total += tokens;
            if (tokens > most)
                call.Fields.Problem(rows.Count == 1 ? name : $"{name}[{number}]", string.Create(
                    CultureInfo.InvariantCulture,
                    $"has {tokens} tokens, and the model's context holds {most}"), "context_length_exceeded");
        }
        return new(rows, total);
    }

    /// <summary>Lets the model answer the texts, a few at a time: others take their turn between.</summary>
    /// <param name="call">The request.</param>
    /// <param name="adapter">The adapter; null for the base alone.</param>
    /// <param name="answer">Answers some rows; gets the task of what answers.</param>
    public Task<List<T>> Each<T>(
        Call call, string? adapter, Func<Dataset, string, Task<IReadOnlyList<T>>> answer) =>
        call.Served.With(adapter, Tokens, async task =>
        {
            List<T> all = [];
            foreach (JsonObject[] some in Rows.Chunk(TogetherAtOnce))
                all.AddRange(await answer(
                    Dataset.From(some, Responses.ServerJson.Own.JsonObject), task).ConfigureAwait(false));
            return all;
        }, call.Left);

    /// <summary>How a model reads the texts: whole, up to its context.</summary>
    public static PredictionOptions Options(Call call) =>
        new() { BatchSize = TogetherAtOnce, MaxLength = call.Served.Model.ContextLength };

    private static JsonObject? Row(Call call, string name, JsonElement given, bool pairs)
    {
        switch (given.ValueKind)
        {
            case JsonValueKind.String when given.GetString() is { } text:
                if (!string.IsNullOrWhiteSpace(text)) return new JsonObject { ["text"] = text };
                call.Fields.Problem(name, "has an empty text");
                return null;
            case JsonValueKind.Array when given.GetArrayLength() > 0:
                JsonArray ids = [];
                foreach (JsonElement item in given.EnumerateArray())
                    if (TextFields.AsToken(item, call.Served) is { } token) ids.Add((JsonNode)token);
                    else
                    {
                        call.Fields.Wrong(name, item, TextFields.TokenRange(call.Served));
                        return null;
                    }
                return new JsonObject { ["input_ids"] = ids };
            case JsonValueKind.Object when pairs && Text(given, "text") is { } first
                && given.EnumerateObject().All(property => property.Name is "text" or "text_pair"):
                var row = new JsonObject { ["text"] = first };
                if (Text(given, "text_pair") is { } second) row["text_pair"] = second;
                return row;
            default:
                call.Fields.Wrong(name, given, pairs
                    ? "a text, {\"text\", \"text_pair\"}, a list of token ids, or a list of these"
                    : "a text, a list of token ids, or a list of these");
                return null;
        }
    }

    private static string? Text(JsonElement given, string name) =>
        given.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString() : null;

    private static int Count(ServedModel served, JsonObject row)
    {
        if (row["input_ids"] is JsonArray ids) return ids.Count;
        Tokenizer tokenizer = served.TokenizerOf(null);
        if (row["completion"] is { } completion)
            return tokenizer.Encode(row["prompt"]!.GetValue<string>() + completion.GetValue<string>()).Length;
        return row["text_pair"] is { } second
            ? tokenizer.EncodeFull(row["text"]!.GetValue<string>(), second.GetValue<string>()).Ids.Length
            : tokenizer.Encode(row["text"]!.GetValue<string>()).Length;
    }
}
