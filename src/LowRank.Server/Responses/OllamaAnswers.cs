using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace LowRank.Server.Responses;

/// <summary>An error in Ollama's form.</summary>
internal sealed record OllamaError(string Error);

/// <summary>An answer of /api/chat, or a line of its stream.</summary>
internal sealed record OllamaChatAnswer(string Model, string CreatedAt, OllamaMessage Message, bool Done)
    : OllamaNumbers;

internal sealed record OllamaMessage(string Role, string Content)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Thinking { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<OllamaCall>? ToolCalls { get; init; }
}

internal sealed record OllamaCall(OllamaFunction Function);

/// <summary>A called tool; the arguments are an object here.</summary>
internal sealed record OllamaFunction(string Name, JsonObject Arguments);

/// <summary>An answer of /api/generate, or a line of its stream.</summary>
internal sealed record OllamaTextAnswer(string Model, string CreatedAt, string Response, bool Done) : OllamaNumbers;

/// <summary>What the last line says of the work; times are in nanoseconds.</summary>
internal abstract record OllamaNumbers
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? DoneReason { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? TotalDuration { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? LoadDuration { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? PromptEvalCount { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? PromptEvalDuration { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? EvalCount { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? EvalDuration { get; init; }
}

/// <summary>An answer of /api/tags.</summary>
internal sealed record OllamaTags(IReadOnlyList<OllamaTag> Models);

internal sealed record OllamaTag(
    string Name, string Model, string ModifiedAt, long Size, string Digest, OllamaDetails Details);

internal sealed record OllamaDetails(string ParentModel, string Format, string Family, IReadOnlyList<string> Families,
    string ParameterSize, string QuantizationLevel);

/// <summary>An answer of /api/show.</summary>
internal sealed record OllamaModel(string Modelfile, string Parameters, string Template, OllamaDetails Details,
    JsonObject ModelInfo, IReadOnlyList<string> Capabilities, string ModifiedAt);

/// <summary>An answer of /api/embed.</summary>
internal sealed record OllamaEmbeddings(string Model, IReadOnlyList<float[]> Embeddings, long TotalDuration,
    long LoadDuration, int PromptEvalCount);

internal sealed record OllamaVersion(string Version);
