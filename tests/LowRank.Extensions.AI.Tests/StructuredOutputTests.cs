using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI.Tests;

/// <summary>Answers in a form that the caller reads: whatever so small a model says, it parses.</summary>
public sealed class StructuredOutputTests(ServedBase served)
{
    private const string Question = "Who is described?";
    private static readonly ChatOptions Long = new() { MaxOutputTokens = 300 };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Values_of_many_types_are_read()
    {
        IChatClient client = served.Client("hotels");
        Assert.True(Enum.IsDefined((await client.GetResponseAsync<Job>(Question, Long, null, Token)).Result));
        Assert.True((await client.GetResponseAsync<bool>(Question, Long, null, Token)).TryGetResult(out bool _));
        Worker worker = (await client.GetResponseAsync<Worker>(Question, Long, null, Token)).Result;
        Assert.True(Enum.IsDefined(worker.Job));
        Crew crew = (await client.GetResponseAsync<Crew>(Question, Long, null, Token)).Result;
        Assert.InRange(crew.Workers.Length, 1, 2);
        Assert.All(crew.Workers, one => Assert.True(Enum.IsDefined(one.Job)));
    }

    [Fact]
    public async Task JSON_without_a_schema_is_an_object()
    {
        var options = new ChatOptions { ResponseFormat = ChatResponseFormat.Json, MaxOutputTokens = 300, TopK = 1 };
        ChatResponse response = await served.Client("hotels").GetResponseAsync(Question, options, Token);
        if (response.FinishReason == ChatFinishReason.Length) Assert.StartsWith("{", response.Text.TrimStart());
        else Assert.Equal(JsonValueKind.Object, JsonElement.Parse(response.Text).ValueKind);
    }

    [Fact]
    public async Task An_answer_in_a_form_may_follow_a_call()
    {
        int calls = 0;
        using IChatClient client = served.Client("hotels").AsBuilder().UseFunctionInvocation().Build();
        ChatResponse<Worker> response = await client.GetResponseAsync<Worker>(Question, new ChatOptions
        {
            Tools = [AIFunctionFactory.Create((bool all) => calls++, "Count")], ToolMode = ChatToolMode.RequireAny,
            MaxOutputTokens = 300, AllowMultipleToolCalls = false,
        }, null, Token);
        Assert.True(calls > 0);
        Assert.True(response.TryGetResult(out Worker? worker), response.Text);
        Assert.True(Enum.IsDefined(worker.Job));
    }

    private enum Job
    {
        Wombat,
        Programmer,
    }

    private sealed record Worker(Job Job, bool Busy);

    private sealed record Crew([property: Length(1, 2)] Worker[] Workers);
}
