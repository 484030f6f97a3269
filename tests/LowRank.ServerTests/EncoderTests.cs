using System.Runtime.InteropServices;
using System.Text.Json;
using LowRank.Server;

namespace LowRank.ServerTests;

/// <summary>Models that write no texts: /v1/embeddings, /v1/rerank and /v1/classify.</summary>
public sealed class EncoderTests : IAsyncLifetime
{
    private readonly TinyModels models = new();
    private RunningServer server = null!;

    public async ValueTask InitializeAsync() =>
        server = await RunningServer.Start(RunningServer.Options(models.Encoder));

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        models.Dispose();
    }

    [Fact]
    public async Task Embeddings_are_what_OpenAI_would_send_of_length_1_in_either_form()
    {
        Answer numbers = (await server.Post("/v1/embeddings", new { input = new[] { "a b", "c" } })).Good();
        OpenAiSchema.Validate("CreateEmbeddingResponse", numbers.Json);
        float[][] vectors = [.. numbers.Json.GetProperty("data").EnumerateArray().Select(entry =>
            entry.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle()).ToArray())];
        Assert.All(vectors, vector => Assert.Equal(1, vector.Sum(value => (double)value * value), 1e-5));
        Assert.Equal(7, numbers.Json.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());

        Answer packed = (await server.Post("/v1/embeddings", new
        {
            input = new[] { "a b", "c" }, encoding_format = "base64",
        })).Good();
        byte[] bytes = Convert.FromBase64String(
            packed.Json.GetProperty("data")[0].GetProperty("embedding").GetString()!);
        Assert.Equal(vectors[0], MemoryMarshal.Cast<byte, float>(bytes).ToArray());
    }

    [Fact]
    public async Task Adapters_are_counted_where_no_texts_are_written() => Assert.Matches(
        """\nlowrank_adapters\{model_name="[^"]+"\} 0\n""", (await server.Get("/metrics")).Text);

    [Fact]
    public async Task Token_ids_are_embedded_as_their_text_is()
    {
        async Task<string> Vector(object input) => (await server.Post("/v1/embeddings", new { input })).Good().Json
            .GetProperty("data")[0].GetProperty("embedding").GetRawText();
        int[] ids = [.. (await server.Post("/tokenize", new { prompt = "a b" })).Good().Json.GetProperty("tokens")
            .EnumerateArray().Select(id => id.GetInt32())];
        Assert.Equal(4, ids.Length);
        Assert.Equal(await Vector("a b"), await Vector(ids));
        Assert.Equal(await Vector("a b"), await Vector(new[] { ids, ids }));
    }

    [Theory]
    [InlineData("{}", "input", "missing_required_parameter")]
    [InlineData("{'input': []}", "input", "invalid_value")]
    [InlineData("{'input': ''}", "input", "invalid_value")]
    [InlineData("{'input': ['a', '']}", "input", "invalid_value")]
    [InlineData("{'input': {'text': 'a'}}", "input", "invalid_value")]
    [InlineData("{'input': [[1, 99999]]}", "input", "invalid_value")]
    [InlineData("{'input': 'a', 'encoding_format': 'int8'}", "encoding_format", "invalid_value")]
    [InlineData("{'input': 'a', 'dimensions': 7}", "dimensions", "invalid_value")]
    [InlineData("{'input': 'a', 'dimensions': 0}", "dimensions", "invalid_value")]
    [InlineData("{'input': 'a', 'other': 0}", "other", "unknown_parameter")]
    public async Task What_cannot_be_embedded_is_refused_by_its_field(string body, string param, string code) =>
        (await server.Post("/v1/embeddings", body.Replace('\'', '"'))).Bad(400, param, code);

    [Fact]
    public async Task A_text_beyond_the_context_is_refused_not_cut()
    {
        string text = string.Join(' ', Enumerable.Repeat("a", 100));
        (await server.Post("/v1/embeddings", new { input = text })).Bad(400, "input", "context_length_exceeded");
        (await server.Post("/v1/embeddings", new { input = new[] { "a", text } }))
            .Bad(400, "input[1]", "context_length_exceeded");
    }

    [Fact]
    public async Task Documents_are_ranked_by_their_vectors()
    {
        Answer answer = (await server.Post("/v1/rerank", new
        {
            query = "a b c", documents = new[] { "x y z q r s", "a b c", "m" }, top_n = 2,
        })).Good();
        JsonElement[] results = [.. answer.Json.GetProperty("results").EnumerateArray()];
        Assert.Equal(2, results.Length);
        Assert.Equal(1, results[0].GetProperty("index").GetInt32());
        Assert.Equal(1, results[0].GetProperty("relevance_score").GetDouble(), 1e-5);
        Assert.Equal("a b c", results[0].GetProperty("document").GetProperty("text").GetString());
        Assert.True(results[1].GetProperty("relevance_score").GetDouble() < 1);
        (await server.Post("/v1/rerank", new { query = "a", documents = Array.Empty<string>() }))
            .Bad(400, "documents");
    }

    [Fact]
    public async Task A_model_without_texts_says_so()
    {
        (await server.Post("/v1/completions", new { prompt = "a" })).Bad(400, "model", "no_text_model");
        (await server.Post("/v1/chat/completions", new { messages = new[] { new { role = "user", content = "a" } } }))
            .Bad(400, "model");
        (await server.Post("/v1/classify", new { input = "a" })).Bad(400, "model", "unsupported_model");
    }

    [Fact]
    public async Task A_model_and_an_adapter_that_no_route_serves_are_refused_at_the_start()
    {
        async Task<string> Refusal(ServerOptions options)
        {
            await using RunningServer refused = await RunningServer.Start(options, waits: false);
            return (await Assert.ThrowsAsync<InputException>(() => refused.Server.Loading)).Message;
        }
        Assert.Contains("turns one text into another (seq2seq)",
            await Refusal(RunningServer.Options(TinyModels.Golden("t5"))), StringComparison.Ordinal);
        Assert.Contains("was trained for question_answering, and no route", await Refusal(RunningServer.Options(
            models.Encoder, ("answers", TinyModels.Golden("bert_question_answering", "trained")))),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pairs_are_ranked_by_a_model_that_scores_them()
    {
        await using RunningServer scorer = await RunningServer.Start(RunningServer.Options(models.Scorer));
        string[] documents = ["b c", "d e f", "g"];
        Answer ranked = (await scorer.Post("/v1/rerank", new { query = "a", documents })).Good();
        Answer scores = (await scorer.Post("/v1/classify", new
        {
            input = documents.Select(text => new { text = "a", text_pair = text }),
        })).Good();
        double[] each = [.. scores.Json.GetProperty("data").EnumerateArray()
            .Select(entry => (double)entry.GetProperty("score").GetSingle())];
        JsonElement[] results = [.. ranked.Json.GetProperty("results").EnumerateArray()];
        double[] scored = [.. results.Select(one => one.GetProperty("relevance_score").GetDouble())];
        Assert.Equal(scored.OrderDescending(), scored);
        Assert.All(results, one => Assert.Equal(
            each[one.GetProperty("index").GetInt32()], one.GetProperty("relevance_score").GetDouble(), 1e-6));
    }

    [Fact]
    public async Task Labels_come_with_their_probabilities_and_adapters_change_them()
    {
        await using RunningServer labeller = await RunningServer.Start(
            RunningServer.Options(models.Labeller, ("tuned", TinyModels.Golden("bert", "lora"))));
        async Task<JsonElement> Label(string? model) => (await labeller.Post("/v1/classify",
            JsonSerializer.Serialize(new { model, input = new[] { "a b", "c" } }))).Good().Json.GetProperty("data")[0];
        JsonElement tuned = await Label("tuned"), plain = await Label(null);
        double[] chances = [.. tuned.GetProperty("probabilities").EnumerateObject()
            .Select(chance => chance.Value.GetDouble())];
        Assert.Equal(1, chances.Sum(), 1e-5);
        Assert.Equal(chances.Max(), tuned.GetProperty("probability").GetDouble());
        Assert.NotEqual(
            tuned.GetProperty("probabilities").GetRawText(), plain.GetProperty("probabilities").GetRawText());
        Assert.Equal(tuned.GetRawText(), (await Label("tuned")).GetRawText());
        Answer card = (await labeller.Get("/v1/models/tuned")).Good();
        Assert.Equal("labeller", card.Json.GetProperty("parent").GetString());
    }
}
