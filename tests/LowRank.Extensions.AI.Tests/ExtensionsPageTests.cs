using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using LowRank.Serving;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace LowRank.Extensions.AI.Tests;

/// <summary>The code of docs/extensions-ai.md, compiled and run.</summary>
public sealed partial class ExtensionsPageTests(ServedBase served)
{
    private readonly IServiceProvider provider = served.Services;
    private readonly IChatClient client = served.Client("hotels");
    private readonly string folder = served.Folder, adapterFolder = served["hotels"];
    private readonly CancellationToken cancellationToken = TestContext.Current.CancellationToken;

    [Fact]
    public void The_page_shows_what_is_run_here()
    {
        string code = Squeezed(File.ReadAllText(Here()));
        string[] blocks = [.. Block().Matches(RepositoryFiles.Read("docs/extensions-ai.md"))
            .Select(block => block.Groups["code"].Value)];
        Assert.True(blocks.Length >= 6);
        Assert.All(blocks, block => Assert.Contains(Squeezed(block), code));
    }

    [Fact]
    public void Services_are_added()
    {
        var services = new ServiceCollection();
        services.AddLowRank("models/base", options => options
            .AddAdapter("hotels", "runs/hotels/adapter")
            .AddAdapter("search", "runs/search/adapter"));
        services.AddHealthChecks().AddLowRank();
        services.AddKeyedChatClient("assistant", provider => provider.GetRequiredKeyedService<IChatClient>("hotels"))
            .UseFunctionInvocation()
            .UseOpenTelemetry();
        using ServiceProvider provider = services.BuildServiceProvider();
        Assert.Equal("hotels", provider.GetRequiredKeyedService<IChatClient>("assistant")
            .GetService<ChatClientMetadata>()!.DefaultModelId);
        Assert.Equal("base",
            provider.GetRequiredService<IChatClient>().GetService<ChatClientMetadata>()!.DefaultModelId);
    }

    [Fact]
    public async Task A_keyed_client_answers()
    {
        IChatClient client = provider.GetRequiredKeyedService<IChatClient>("hotels");
        ChatResponse response = await client.GetResponseAsync(
            "name: The Blue Lamp | type: hotel", new ChatOptions { MaxOutputTokens = 40 }, cancellationToken);
        Console.WriteLine($"{response.Text} ({response.Usage!.TotalTokenCount} tokens)");
        Assert.NotEmpty(response.Text);
    }

    [Fact]
    public async Task An_answer_has_a_form()
    {
        ChatResponse<Review> review = await client.GetResponseAsync<Review>(
            "Nice rooms, but no breakfast.", new ChatOptions { MaxOutputTokens = 200 },
            cancellationToken: cancellationToken);
        Console.WriteLine($"{review.Result.Verdict}, recommended: {review.Result.Recommended}");
        Assert.True(Enum.IsDefined(review.Result.Verdict));
    }

    [Fact]
    public async Task Functions_are_called()
    {
        using IChatClient agent = client.AsBuilder().UseFunctionInvocation().Build();
        var options = new ChatOptions
        {
            Tools = [AIFunctionFactory.Create(() => 3, "CountFreeRooms")],
            ToolMode = ChatToolMode.RequireAny,
            MaxOutputTokens = 100,
        };
        ChatResponse answer = await agent.GetResponseAsync("Is there a room?", options, cancellationToken);
        Assert.Equal(3, answer.Messages.Count);
    }

    [Fact]
    public async Task Texts_are_embedded()
    {
        var search = provider.GetRequiredKeyedService<IEmbeddingGenerator<string, Embedding<float>>>("search");
        GeneratedEmbeddings<Embedding<float>> vectors =
            await search.GenerateAsync(["a quiet inn", "a loud hostel"], cancellationToken: cancellationToken);
        Assert.Equal(2, vectors.Count);
    }

    [Fact]
    public async Task An_engine_answers_without_services()
    {
        await using LanguageModel model = await LanguageModel.LoadAsync(folder, null, null, cancellationToken);
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, cancellationToken);
        await engine.AddAdapterAsync("hotels", adapterFolder, false, cancellationToken);
        using IChatClient hotels = new LowRankChatClient(engine, "hotels");
        await foreach (ChatResponseUpdate update in hotels.GetStreamingResponseAsync(
            "name: The Blue Lamp", new ChatOptions { MaxOutputTokens = 40 }, cancellationToken))
            Console.Write(update.Text);
        Assert.Equal("hotels", hotels.GetService<ChatClientMetadata>()!.DefaultModelId);
    }

    private static string Here([CallerFilePath] string path = "") => path;

    private static string Squeezed(string code) => Blanks().Replace(code, " ").Trim();

    private enum Verdict
    {
        Good,
        Mixed,
        Bad,
    }

    private sealed record Review(Verdict Verdict, bool Recommended);

    [GeneratedRegex("```csharp\n(?<code>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Block();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
