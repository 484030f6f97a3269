using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace LowRank.Server.Responses;

/// <summary>How answers become JSON; the code is made when the server is built.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(ErrorAnswer))]
[JsonSerializable(typeof(OllamaError))]
[JsonSerializable(typeof(StatusAnswer))]
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(ChatChunk))]
[JsonSerializable(typeof(RoleDelta))]
[JsonSerializable(typeof(TextDelta))]
[JsonSerializable(typeof(ReasoningDelta))]
[JsonSerializable(typeof(CallDelta))]
[JsonSerializable(typeof(EmptyDelta))]
[JsonSerializable(typeof(TextCompletion))]
[JsonSerializable(typeof(EmbeddingAnswer))]
[JsonSerializable(typeof(RerankAnswer))]
[JsonSerializable(typeof(ScoreAnswer))]
[JsonSerializable(typeof(ClassifyAnswer))]
[JsonSerializable(typeof(ModelCard))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(TokenizeAnswer))]
[JsonSerializable(typeof(DetokenizeAnswer))]
[JsonSerializable(typeof(OllamaChatAnswer))]
[JsonSerializable(typeof(OllamaTextAnswer))]
[JsonSerializable(typeof(OllamaTags))]
[JsonSerializable(typeof(OllamaModel))]
[JsonSerializable(typeof(OllamaEmbeddings))]
[JsonSerializable(typeof(OllamaVersion))]
[JsonSerializable(typeof(JsonObject))]
[JsonSerializable(typeof(JsonArray))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(float[]))]
[JsonSerializable(typeof(int[]))]
internal sealed partial class ServerJson : JsonSerializerContext
{
    /// <summary>The one of the server: names in snake_case, texts in their own letters.</summary>
    public static ServerJson Own { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // answers are JSON, not parts of pages
    });
}

/// <summary>A usage that may be left out, null, or there.</summary>
internal static class UsageField
{
    private static readonly JsonElement Null = JsonDocument.Parse("null").RootElement.Clone();

    /// <summary>As a chunk shows it.</summary>
    /// <param name="isAsked">Whether the client asked for usage.</param>
    /// <param name="usage">The usage; null where it is not known yet.</param>
    public static JsonElement Of(bool isAsked, Usage? usage) => !isAsked ? default
        : usage is null ? Null : JsonSerializer.SerializeToElement(usage, ServerJson.Own.Usage);
}
