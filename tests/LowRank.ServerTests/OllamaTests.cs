using System.Text.Json;
using OllamaSharp;
using OllamaSharp.Models;
using OllamaSharp.Models.Chat;

namespace LowRank.ServerTests;

/// <summary>Ollama's routes, asked by OllamaSharp and plainly.</summary>
[Collection(WriterFixture.Name)]
public sealed class OllamaTests(WriterFixture fixture)
{
    private RunningServer Server => fixture.Server;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private OllamaApiClient Client(string model = "golden:latest") => new(Server.Http.BaseAddress!, model);

    [Fact]
    public async Task OllamaSharp_lists_models_and_shows_one()
    {
        using OllamaApiClient client = Client();
        Model[] models = [.. await client.ListLocalModelsAsync(Cancellation)];
        Assert.Equal(["writer:latest", "golden:latest", "trained:latest"], models.Select(model => model.Name));
        Assert.Equal("llama", models[0].Details.Family);
        Assert.NotEqual(models[1].Digest, models[2].Digest);
        ShowModelResponse shown = await client.ShowModelAsync(
            new ShowModelRequest { Model = "golden:latest" }, Cancellation);
        Assert.Equal("writer", shown.Details.ParentModel);
        Assert.Contains("completion", shown.Capabilities!);
        Assert.NotEmpty(await client.GetVersionAsync(Cancellation));
        Assert.True(await client.IsRunningAsync(Cancellation));
    }

    [Fact]
    public async Task OllamaSharp_chats_in_lines_and_whole()
    {
        using OllamaApiClient client = Client();
        async Task<(string Text, ChatDoneResponseStream Last)> Say(bool stream)
        {
            string text = "";
            ChatDoneResponseStream? last = null;
            await foreach (ChatResponseStream? part in client.ChatAsync(new ChatRequest
            {
                Model = "golden", Stream = stream, Messages = [new Message(ChatRole.User, "Hello")],
                Options = new RequestOptions { Temperature = 0, NumPredict = 9 },
            }, Cancellation))
            {
                text += part!.Message.Content;
                last = part as ChatDoneResponseStream ?? last;
            }
            return (text, last!);
        }
        (string streamed, ChatDoneResponseStream done) = await Say(true);
        Assert.Equal("length", done.DoneReason);
        Assert.Equal(9, done.EvalCount);
        Assert.True(done.PromptEvalCount > 5);
        Assert.True(done.TotalDuration > 0);
        Assert.Equal(streamed, (await Say(false)).Text);
    }

    [Fact]
    public async Task OllamaSharp_generates_and_embeds()
    {
        using OllamaApiClient client = Client("writer");
        string text = "";
        await foreach (GenerateResponseStream? part in client.GenerateAsync(new GenerateRequest
        {
            Model = "writer", Prompt = "a", Raw = true,
            Options = new RequestOptions { Temperature = 0, NumPredict = 5 },
        }, Cancellation)) text += part!.Response;
        Answer plain = (await Server.Post("/v1/completions",
            new { prompt = "a", max_tokens = 5, temperature = 0 })).Good();
        Assert.Equal(plain.Written, text);
        EmbedResponse vectors = await client.EmbedAsync(
            new EmbedRequest { Model = "writer", Input = ["a", "b c"] }, Cancellation);
        Assert.Equal(2, vectors.Embeddings.Count);
        Assert.Equal(1, vectors.Embeddings[0].Sum(value => (double)value * value), 1e-5);
    }

    [Fact]
    public async Task A_format_decides_what_is_written_and_calls_have_objects_as_arguments()
    {
        Answer answer = (await Server.Post("/api/chat", new
        {
            model = "golden", stream = false, messages = new[] { new { role = "user", content = "a" } },
            format = new
            {
                type = "object", properties = new { kind = new { @const = "inn" } }, required = new[] { "kind" },
                additionalProperties = false,
            },
        })).Good();
        string content = answer.Json.GetProperty("message").GetProperty("content").GetString()!;
        Assert.Equal("inn", Answer.Parse(content).GetProperty("kind").GetString());
        (await Server.Post("/api/chat", new
        {
            model = "golden", stream = false, options = new { num_predict = 2 },
            messages = new object[]
            {
                new { role = "user", content = "a" },
                new
                {
                    role = "assistant", content = "",
                    tool_calls = new[] { new { function = new { name = "look", arguments = new { id = "a" } } } },
                },
                new { role = "tool", tool_name = "look", content = "A door." },
            },
        })).Good();
    }

    [Theory]
    [InlineData("/api/chat", "{}", 400)]
    [InlineData("/api/chat", "{'model': 'nobody', 'messages': []}", 404)]
    [InlineData(
        "/api/chat", "{'model': 'golden', 'messages': [{'role': 'user', 'content': 'a', 'images': ['x']}]}", 400)]
    [InlineData("/api/chat", "{'model': 'golden', 'messages': [], 'options': {'mirostat': 2}}", 400)]
    [InlineData("/api/chat", "{'model': 'golden', 'messages': [], 'options': {'num_ctx': 100000}}", 400)]
    [InlineData("/api/generate", "{'model': 'golden', 'prompt': 'a', 'template': 'x'}", 400)]
    [InlineData("/api/generate", "{'model': 'golden', 'prompt': 'a', 'context': [1]}", 400)]
    [InlineData("/api/show", "{}", 400)]
    public async Task Errors_are_in_Ollamas_form(string path, string body, int status)
    {
        Answer answer = await Server.Post(path, body.Replace('\'', '"'));
        Assert.Equal(status, answer.Status);
        Assert.Equal(JsonValueKind.String, answer.Error.ValueKind);
    }
}
