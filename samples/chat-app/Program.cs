// Answers over HTTP with an adapter: dotnet run --project samples/chat-app -- --adapter runs/quickstart/adapter
// curl localhost:5000/chat --json '[{"role": "user", "content": "name: The Red Fox | type: inn | area: old town"}]'
using LowRank.Serving;
using Microsoft.Extensions.AI;
using InputException = LowRank.InputException;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.Services.AddLowRank(builder.Configuration["model"] ?? "models/base", options =>
    options.AddAdapter("hotels", builder.Configuration["adapter"] ?? "runs/quickstart/adapter"));
builder.Services.AddHealthChecks().AddLowRank();
builder.Services.AddProblemDetails(options => options.CustomizeProblemDetails = answer =>
    answer.ProblemDetails.Detail =
        answer.Exception is InputException or ServingException ? answer.Exception.Message : null);

WebApplication app = builder.Build();
app.UseExceptionHandler(new ExceptionHandlerOptions
{
    StatusCodeSelector = failure => failure is InputException or BadHttpRequestException
        or ServingException { Refusal: ServingRefusal.PromptTooLong } ? 400
        : failure is ServingException ? 503 : 500,
});
var limits = new ChatOptions { MaxOutputTokens = 80 };
app.MapHealthChecks("/health");
app.MapPost("/chat", async (
    Dictionary<string, string>[] talk, [FromKeyedServices("hotels")] IChatClient client, CancellationToken left) => new
    {
        role = "assistant", content = (await client.GetResponseAsync(Messages(talk), limits, left)).Text,
    });
app.MapPost("/chat/stream", (
    Dictionary<string, string>[] talk, [FromKeyedServices("hotels")] IChatClient client, CancellationToken left) =>
    TypedResults.ServerSentEvents(
        client.GetStreamingResponseAsync(Messages(talk), limits, left).Select(update => update.Text)));
app.Run();

static IEnumerable<ChatMessage> Messages(Dictionary<string, string>[] talk) => talk.Select(said =>
    said?.GetValueOrDefault("role") is { Length: > 0 } role && said.GetValueOrDefault("content") is { } content
        ? new ChatMessage(new ChatRole(role), content)
        : throw new InputException("A message needs a role and content."));
