using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>A row that is a JSON object.</summary>
/// <param name="place">Where it stands.</param>
/// <param name="utf8">Its bytes; valid until the next row of the file.</param>
/// <param name="what">What messages call it: the line, or the row.</param>
internal sealed class JsonRow(DataPlace place, ReadOnlyMemory<byte> utf8, string what) : UnreadRow(place)
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false };

    public override long Bytes => utf8.Length;

    public override UnreadRow Keep() => new JsonRow(Place, utf8.ToArray(), what);

    public override JsonObject? Read(DataProblems problems)
    {
        try
        {
            JsonNode? node = JsonNode.Parse(Strict.GetString(utf8.Span), documentOptions: Options);
            if (node is JsonObject row)
            {
                CheckTexts(row);
                return row;
            }
            problems.Add(Place, $"the {what} is {Sample.Describe(node)}, expected a JSON object such as {{\"text\": \"…\"}}.");
        }
        catch (DecoderFallbackException failure)
        {
            problems.Add(Place, $"byte {failure.Index + 1} of the {what} is no UTF-8. Save the file as UTF-8.");
        }
        catch (InvalidOperationException)
        {
            problems.Add(Place, "a text holds half of a surrogate pair (\\ud800 to \\udfff without its partner). Write the whole character.");
        }
        catch (JsonException failure)
        {
            string reason = failure.Message.Split([" Path: ", " LineNumber: "], StringSplitOptions.None)[0].TrimEnd('.');
            problems.Add(Place, $"no valid JSON at byte {failure.BytePositionInLine + 1} ({reason}). " +
                "Expected one JSON object on each line, such as {\"text\": \"…\"}.");
        }
        return null;
    }

    /// <summary>Texts are decoded when they are first read: an unpaired surrogate escape would show far from its line.</summary>
    private static void CheckTexts(JsonNode? node)
    {
        if (node is JsonObject fields)
            foreach ((string _, JsonNode? field) in fields) CheckTexts(field);
        else if (node is JsonArray list)
            foreach (JsonNode? item in list) CheckTexts(item);
        else
            _ = Sample.AsText(node);
    }
}
