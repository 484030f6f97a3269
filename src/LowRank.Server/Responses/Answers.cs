using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace LowRank.Server.Responses;

/// <summary>An error in OpenAI's form.</summary>
internal sealed record ErrorAnswer(ErrorBody Error);

/// <summary>What is wrong. A code is a text or null, never a number.</summary>
internal sealed record ErrorBody(string Message, string Type, string? Param, string? Code);

/// <summary>How the server is.</summary>
internal sealed record StatusAnswer(string Status);

/// <summary>The tokens that a request took.</summary>
internal sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens, PromptDetails PromptTokensDetails)
{
    public static Usage Of(int prompt, int cached, int written) =>
        new(prompt, written, prompt + written, new PromptDetails(cached));
}

/// <summary>Of the prompt's tokens, those that were known from earlier requests.</summary>
internal sealed record PromptDetails(int CachedTokens);

/// <summary>An answer of /v1/chat/completions.</summary>
internal sealed record ChatCompletion(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices, Usage Usage);

/// <summary>One of its texts.</summary>
internal sealed record ChatChoice(int Index, ChatAnswer Message, ChoiceLogProbs? Logprobs, string FinishReason);

/// <summary>The assistant's message.</summary>
internal sealed record ChatAnswer(string Role, string? Content, string? Refusal)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ReasoningContent { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ToolCall>? ToolCalls { get; init; }
}

/// <summary>A call of a tool.</summary>
internal sealed record ToolCall(string Id, string Type, CalledFunction Function);

/// <summary>The tool and its arguments: JSON as the model wrote it.</summary>
internal sealed record CalledFunction(string Name, string Arguments);

/// <summary>A part of a stream of /v1/chat/completions.</summary>
internal sealed record ChatChunk(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChatChunkChoice> Choices)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public JsonElement Usage { get; init; }
}

/// <summary>What is new of one text.</summary>
/// <param name="Index">Which text.</param>
/// <param name="Delta">One of the deltas below.</param>
/// <param name="Logprobs">Its tokens, if they were asked for.</param>
/// <param name="FinishReason">Why it ends here; null if it goes on.</param>
internal sealed record ChatChunkChoice(int Index, object Delta, ChoiceLogProbs? Logprobs, string? FinishReason);

internal sealed record RoleDelta(string Role, string? Content);

internal sealed record TextDelta(string Content);

internal sealed record ReasoningDelta(string ReasoningContent);

internal sealed record CallDelta(IReadOnlyList<ToolCallDelta> ToolCalls);

internal sealed record EmptyDelta;

/// <summary>What is new of a call: id, type and name in its first delta alone.</summary>
internal sealed record ToolCallDelta(int Index, FunctionDelta Function)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Id { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Type { get; init; }
}

internal sealed record FunctionDelta(string Arguments)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }
}

/// <summary>The log-probabilities of a text's tokens.</summary>
internal sealed record ChoiceLogProbs(IReadOnlyList<TokenLogProb> Content, IReadOnlyList<TokenLogProb>? Refusal);

internal sealed record TokenLogProb(string Token, float Logprob, int[]? Bytes, IReadOnlyList<TopLogProb> TopLogprobs);

internal sealed record TopLogProb(string Token, float Logprob, int[]? Bytes);

/// <summary>An answer of /v1/completions, or a part of its stream.</summary>
internal sealed record TextCompletion(
    string Id, string Object, long Created, string Model, IReadOnlyList<TextChoice> Choices)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public JsonElement Usage { get; init; }
}

internal sealed record TextChoice(int Index, string Text, TextLogProbs? Logprobs, string? FinishReason);

/// <summary>Log-probabilities in the earlier form: parallel lists.</summary>
internal sealed record TextLogProbs(IReadOnlyList<string> Tokens, IReadOnlyList<float?> TokenLogprobs,
    IReadOnlyList<IReadOnlyDictionary<string, float>?> TopLogprobs, IReadOnlyList<int> TextOffset);

/// <summary>An answer of /v1/embeddings; a vector is a list of numbers or base64.</summary>
internal sealed record EmbeddingAnswer(
    string Object, IReadOnlyList<EmbeddingEntry> Data, string Model, InputUsage Usage);

internal sealed record EmbeddingEntry(string Object, int Index, object Embedding);

internal sealed record InputUsage(int PromptTokens, int TotalTokens);

/// <summary>An answer of /v1/rerank.</summary>
internal sealed record RerankAnswer(string Id, string Model, InputUsage Usage, IReadOnlyList<RankedDocument> Results);

internal sealed record RankedDocument(int Index, double RelevanceScore)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DocumentText? Document { get; init; }
}

internal sealed record DocumentText(string Text);

/// <summary>An answer of /v1/score.</summary>
internal sealed record ScoreAnswer(string Id, string Object, long Created, string Model,
    IReadOnlyList<ScoreEntry> Data, InputUsage Usage);

internal sealed record ScoreEntry(int Index, string Object, double Score);

/// <summary>An answer of /v1/classify.</summary>
internal sealed record ClassifyAnswer(string Id, string Object, long Created, string Model,
    IReadOnlyList<JsonObject> Data, InputUsage Usage);

/// <summary>A model or an adapter of /v1/models.</summary>
internal sealed record ModelCard(
    string Id, string Object, long Created, string OwnedBy, string Root, string? Parent, int? MaxModelLen);

internal sealed record ModelList(string Object, IReadOnlyList<ModelCard> Data);

/// <summary>An answer of /tokenize; the tokens are ids, or objects with their pieces.</summary>
internal sealed record TokenizeAnswer(int Count, int MaxModelLen, JsonArray Tokens)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? TokenStrs { get; init; }
}

/// <summary>An answer of /detokenize: the text by vLLM's name and by llama.cpp's.</summary>
internal sealed record DetokenizeAnswer(string Prompt, string Content);
