using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI.Tests;

using ChatMessage = Microsoft.Extensions.AI.ChatMessage;

/// <summary>What messages become before the chat template renders them.</summary>
public sealed class ChatMessageReaderTests
{
    [Fact]
    public void Texts_thoughts_calls_and_results_have_their_places()
    {
        JsonArray read = ChatMessageReader.Read(null,
        [
            new(ChatRole.User, [new TextContent("What is "), new TextContent("it?")]) { AuthorName = "Ann" },
            new(ChatRole.Assistant,
            [
                new TextReasoningContent("Look it up."),
                new FunctionCallContent("c1", "Find", new Dictionary<string, object?> { ["n"] = 1 }),
                new UsageContent(new UsageDetails()),
            ]),
            new(ChatRole.Tool, [new FunctionResultContent("c1", new { found = true })]),
            new(ChatRole.Tool, [new FunctionResultContent("c2", "text"), new FunctionResultContent("c3", null)]),
        ]);
        AreEqual("""
            [{"role":"user","content":"What is it?","name":"Ann"},
             {"role":"assistant","content":null,"reasoning_content":"Look it up.","tool_calls":
               [{"id":"c1","type":"function","function":{"name":"Find","arguments":{"n":1}}}]},
             {"role":"tool","tool_call_id":"c1","content":"{\"found\":true}","name":"Find"},
             {"role":"tool","tool_call_id":"c2","content":"text"},
             {"role":"tool","tool_call_id":"c3","content":""}]
            """, read);
    }

    [Fact]
    public void Instructions_come_first_and_join_a_system_message()
    {
        ChatMessage user = new(ChatRole.User, "?");
        AreEqual("""[{"role":"system","content":"Rule."},{"role":"user","content":"?"}]""",
            ChatMessageReader.Read("Rule.", [user]));
        AreEqual("""[{"role":"system","content":"Rule.\n\nMore."},{"role":"user","content":"?"}]""",
            ChatMessageReader.Read("Rule.", [new(ChatRole.System, "More."), user]));
        AreEqual("""[{"role":"user","content":"?"}]""", ChatMessageReader.Read(" ", [user]));
    }

    [Fact]
    public void What_no_text_model_reads_is_refused_all_at_once()
    {
        InputException refusal = Assert.Throws<InputException>(() => ChatMessageReader.Read(null,
        [
            new(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png")]),
            new(ChatRole.User, [new FunctionCallContent("c", "Find")]),
            new(ChatRole.User, [new FunctionResultContent("c", "1")]),
            new(ChatRole.Tool, "text"),
            null!,
        ]));
        string[] places = ["messages[0].Contents[0]", "messages[1]", "messages[2]", "messages[3]", "messages[4]"];
        Assert.Equal(places.Length, refusal.Problems.Count);
        Assert.All(places.Zip(refusal.Problems),
            pair => Assert.Contains(pair.First, pair.Second, StringComparison.Ordinal));
        Assert.Contains("DataContent", refusal.Problems[0], StringComparison.Ordinal);
    }

    private static void AreEqual(string expected, JsonArray read) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), read), read.ToJsonString());
}
