using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;

namespace LowRank.Server.Requests;

/// <summary>Reads a request's body as a JSON object whose texts can all be read.</summary>
internal static class RequestBody
{
    private const int MostDepth = 64;

    /// <summary>The body.</summary>
    /// <exception cref="ApiException">It is no JSON object, is compressed, or is larger than allowed.</exception>
    public static async Task<JsonElement> ReadAsync(HttpRequest request, long most, CancellationToken cancellation)
    {
        if (request.Headers.ContentEncoding.Count > 0 && request.Headers.ContentEncoding != "identity")
            throw new ApiException(StatusCodes.Status415UnsupportedMediaType, ApiException.InvalidRequest,
                $"A body with the encoding {request.Headers.ContentEncoding} cannot be read; send it plain.");
        var bytes = new ArrayBufferWriter<byte>((int)Math.Clamp(request.ContentLength ?? 4096, 256, 1 << 20));
        while (await request.Body.ReadAsync(bytes.GetMemory(), cancellation).ConfigureAwait(false) is > 0 and var read)
        {
            bytes.Advance(read);
            if (bytes.WrittenCount > most)
                throw new ApiException(StatusCodes.Status413PayloadTooLarge, ApiException.InvalidRequest,
                    string.Create(CultureInfo.InvariantCulture, $"The body is larger than {most} bytes."));
        }
        return Parse(bytes.WrittenMemory);
    }

    /// <summary>Reads a JSON object.</summary>
    /// <inheritdoc cref="ReadAsync"/>
    public static JsonElement Parse(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Length == 0) throw Refused("The body is empty");
        if (!Utf8.IsValid(bytes.Span)) throw Refused("The body is not valid UTF-8");
        JsonElement root;
        try
        {
            using JsonDocument document = JsonDocument.Parse(
                bytes, new JsonDocumentOptions { MaxDepth = MostDepth, AllowDuplicateProperties = false });
            root = document.RootElement.Clone();
            RequireTexts(root);
        }
        catch (JsonException e)
        {
            throw Refused($"The body is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1})");
        }
        catch (InvalidOperationException)
        {
            // a half of a surrogate pair, escaped: a text that UTF-8 cannot say
            throw Refused("The body has a text with half of a surrogate pair");
        }
        return root.ValueKind == JsonValueKind.Object ? root
            : throw Refused($"The body is {RequestFields.Describe(root)}");
    }

    private static ApiException Refused(string what) =>
        ApiException.Invalid($"{what}; expected a JSON object.", null, "invalid_json");

    // Reading throws where a text cannot be read: better here, once, than anywhere later.
    private static void RequireTexts(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                _ = value.GetString();
                break;
            case JsonValueKind.Array:
                foreach (JsonElement item in value.EnumerateArray()) RequireTexts(item);
                break;
            case JsonValueKind.Object:
                foreach (JsonProperty property in value.EnumerateObject())
                {
                    _ = property.Name;
                    RequireTexts(property.Value);
                }
                break;
        }
    }
}
