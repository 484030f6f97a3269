using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Generation.Replies;
using LowRank.Tests.Data;
using LowRank.Tests.Generation.Constraints;

namespace LowRank.Tests.Generation.Replies;

/// <summary>Required calls: the model can write them in its own form alone, with arguments that fit the tool.</summary>
public sealed class ReplyConstraintTests
{
    private const string Qwen = "Qwen-Qwen2.5-7B-Instruct", Llama = "meta-llama-Llama-3.1-8B-Instruct",
        Nemo = "mistralai-Mistral-Nemo-Instruct-2407", DeepSeek = "llama-cpp-deepseek-r1";
    private const string Bonn = "{\"name\": \"weather\", \"arguments\": {\"city\": \"Bonn\"}}";

    private static readonly ReasoningMarks Think = new("<think>", "</think>");

    public static TheoryData<string> Templates =>
    [
        Qwen, Llama, Nemo, DeepSeek, "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
        "CohereForAI-c4ai-command-r-plus-tool_use", "meetkai-functionary-medium-v3.1", "named_calls.jinja",
    ];

    private static JsonArray Tools => JsonNode.Parse("""
        [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": {
           "properties": {"city": {"enum": ["Rome", "Bonn"]}}, "required": ["city"], "additionalProperties": false}}},
         {"type": "function", "function": {"name": "now"}}]
        """)!.AsArray();

    [Fact]
    public void Only_calls_in_the_form_of_the_template_with_arguments_of_the_schema_are_accepted()
    {
        TextConstraint constraint = ReplyConstraint.Calls(Convention(Qwen), Tools, null, allowsSeveral: false);
        const string now = "{\"name\": \"now\", \"arguments\": {}}";
        ConstraintCases.Accepts(constraint, Call(Bonn), Call(now));
        ConstraintCases.Rejects(
            constraint, "", "Hello", Bonn, Call(now) + "\n" + Call(now),
            Call(Bonn.Replace("Bonn", "Kiel", StringComparison.Ordinal)),
            Call("{\"name\": \"then\", \"arguments\": {}}"), Call("{\"name\": \"weather\", \"arguments\": {}}"),
            Call("{\"name\": \"now\", \"arguments\": {\"city\": \"Bonn\"}}"),
            Call("{\"name\": \"weather\", \"arguments\": \"Bonn\"}"));
        ConstraintCases.Accepts(
            ReplyConstraint.Calls(Convention(Qwen), Tools, null, allowsSeveral: true), Call(now),
            Call(now) + "\n" + Call(Bonn));
        TextConstraint named = ReplyConstraint.Calls(Convention(Qwen), Tools, "now", allowsSeveral: true);
        ConstraintCases.Accepts(named, Call(now));
        ConstraintCases.Rejects(named, Call(Bonn));
    }

    [Theory]
    [InlineData(Llama, "{\"name\": \"weather\", \"parameters\": {\"city\": \"Bonn\"}}")]
    [InlineData(Nemo,
        "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": {\"city\": \"Bonn\"}, \"id\": \"abcdefgh1\"}]")]
    [InlineData(Nemo, "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}, \"id\": \"abcdefgh1\"}, " +
        "{\"name\": \"now\", \"arguments\": {}, \"id\": \"abcdefgh2\"}]")]
    [InlineData("meetkai-functionary-medium-v3.1", "<function=weather>{\"city\": \"Bonn\"}</function>")]
    [InlineData("named_calls.jinja", "[TOOL_CALLS]weather[CALL_ID]abcdefgh1[ARGS]{\"city\": \"Bonn\"}")]
    public void Each_convention_has_its_form(string template, string text) =>
        ConstraintCases.Accepts(ReplyConstraint.Calls(Convention(template), Tools, null, allowsSeveral: true), text);

    // Random texts of the constraint: the reader finds nothing but calls in them.
    [Theory]
    [MemberData(nameof(Templates))]
    public void Whatever_the_constraint_lets_a_model_write_is_read_as_calls(string template)
    {
        ToolConvention convention = Convention(template);
        TokenConstraint constraint = ReplyConstraint.Calls(convention, Tools, null, allowsSeveral: true)
            .Compile(ConstraintCases.Bytes);
        var random = new StableRandom(11);
        HashSet<int> counts = [];
        HashSet<string> calls = [];
        for (int run = 0; run < 60; run++)
        {
            string text = Random(constraint.Start(), random);
            foreach (bool streams in new[] { false, true })
            {
                var reader = new ReplyReader(new ReplyReading
                {
                    Convention = convention, Streams = streams, Tools = new HashSet<string> { "weather", "now" },
                });
                var reply = Reply.Of([.. reader.Add(text), .. reader.End(isCut: false)]);
                Assert.Null(reply.Content);
                Assert.NotEmpty(reply.Calls);
                counts.Add(reply.Calls.Count);
                calls.UnionWith(reply.Calls.Select(
                    call => call.Name + call.Arguments.Replace(" ", "", StringComparison.Ordinal)));
            }
        }
        Assert.Equal(["now{}", "weather{\"city\":\"Bonn\"}", "weather{\"city\":\"Rome\"}"], calls.Order());
        Assert.Equal(convention.Between is not null, counts.Count > 1);
    }

    [Fact]
    public void Thoughts_may_come_first()
    {
        TextConstraint call = ReplyConstraint.Calls(Convention(Qwen), Tools, null, allowsSeveral: false);
        TextConstraint open = ReplyConstraint.AfterThoughts(call, Think, areOpen: true),
            free = ReplyConstraint.AfterThoughts(call, Think, areOpen: false);
        ConstraintCases.Accepts(open, "a < b, <b> << c\n</think>\n\n" + Call(Bonn), "</think>" + Call(Bonn));
        ConstraintCases.Rejects(open, Call(Bonn), "a</think>b" + Call(Bonn), "a");
        ConstraintCases.Accepts(free, Call(Bonn), "<think>\na</think>\n\n" + Call(Bonn));
        ConstraintCases.Rejects(free, "a</think>" + Call(Bonn));
    }

    [Fact]
    public void What_cannot_be_required_is_refused_by_its_place()
    {
        JsonArray tools = Tools;
        tools[1]!["function"]!["parameters"] = JsonNode.Parse("""{"properties": {"a": {"not": {}}}}""");
        Assert.StartsWith("tools[1].function.parameters: ", ConstraintCases.Refusal(
            () => ReplyConstraint.Calls(Convention(Qwen), tools, null, allowsSeveral: true)), StringComparison.Ordinal);
        ReplyConstraint.Calls(Convention(Qwen), tools, "weather", allowsSeveral: true);
        Assert.Equal("tool_choice: there is no tool then; the tools are weather, now.", ConstraintCases.Refusal(
            () => ReplyConstraint.Calls(Convention(Qwen), Tools, "then", allowsSeveral: true)));
    }

    private static string Call(string json) => $"<tool_call>\n{json}\n</tool_call>";

    private static string Random(ConstraintState state, StableRandom random)
    {
        List<byte> bytes = [];
        while (!state.MustEnd && !(state.MayEnd && random.Below(3) == 0))
        {
            List<int> allowed = ConstraintCases.Allowed(state, 256);
            int token = allowed[random.Below(allowed.Count)];
            Assert.True(state.TryAdd(token));
            bytes.Add((byte)token);
            Assert.InRange(bytes.Count, 0, 20_000);
        }
        return System.Text.Encoding.UTF8.GetString([.. bytes]);
    }

    // The template of DeepSeek-R1 writes calls, but fails with tools.
    private static ToolConvention Convention(string template) => template == DeepSeek
        ? ToolConventionProbe.FindForm(ChatFixture.Writer(template), null, out _)!
        : ToolConventionProbe.Find(ChatFixture.Writer(template), out _)!;
}
