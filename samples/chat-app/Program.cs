// Answers over HTTP with an adapter: dotnet run --project samples/chat-app -- --adapter runs/quickstart/adapter
// curl localhost:5000/chat --json '[{"role": "user", "content": "name: The Red Fox | type: inn | area: old town"}]'
using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.Services.AddLowRank(builder.Configuration["model"] ?? "models/base", options =>
    options.AddAdapter("hotels", builder.Configuration["adapter"] ?? "runs/quickstart/adapter"));
builder.Services.AddHealthChecks().AddLowRank();

WebApplication app = builder.Build();
var limits = new ChatOptions { MaxOutputTokens = 80 };
app.MapHealthChecks("/health");
app.MapPost("/chat", async (
    Dictionary<string, string>[] talk, [FromKeyedServices("hotels")] IChatClient client,
    CancellationToken cancellation) => new
    {
        role = "assistant",
        content = (await client.GetResponseAsync(Messages(talk), limits, cancellation)).Text,
    });
app.MapPost("/chat/stream", (Dictionary<string, string>[] talk, [FromKeyedServices("hotels")] IChatClient client) =>
    TypedResults.ServerSentEvents(Words(client.GetStreamingResponseAsync(Messages(talk), limits))));
app.Run();

static IEnumerable<ChatMessage> Messages(Dictionary<string, string>[] talk) =>
    talk.Select(said => new ChatMessage(new ChatRole(said["role"]), said["content"]));

static async IAsyncEnumerable<string> Words(
    IAsyncEnumerable<ChatResponseUpdate> updates, [EnumeratorCancellation] CancellationToken cancellation = default)
{
    await foreach (ChatResponseUpdate update in updates.WithCancellation(cancellation)) yield return update.Text;
}
