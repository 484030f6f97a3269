using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Generation.Replies;
using LowRank.Tests.Data;

namespace LowRank.Tests.Generation.Replies;

/// <summary>Replies in the conventions of real templates become words, thoughts and calls.</summary>
public sealed class ReplyReaderTests
{
    private const string Qwen = "Qwen-Qwen2.5-7B-Instruct", Llama = "meta-llama-Llama-3.1-8B-Instruct",
        Nemo = "mistralai-Mistral-Nemo-Instruct-2407",
        Large = "Mistral-Large-Instruct-2407--mistralai--v3--template--modifi",
        Command = "CohereForAI-c4ai-command-r7b-12-2024-tool_use", Functionary = "meetkai-functionary-medium-v3.1",
        Named = "named_calls.jinja", DeepSeek = "llama-cpp-deepseek-r1";
    private const string Rome = """{"city": "Rome", "n": 1.0}""";

    private static readonly ConcurrentDictionary<string, ToolConvention> Known = new();
    private static readonly ReasoningMarks Think = new("<think>", "</think>");
    private static readonly string[] Conventions = [Qwen, Llama, Nemo, Large, Command, Functionary, Named, DeepSeek];

    public static TheoryData<string> Templates => [.. Conventions];

    // What the template writes for calls is read as these calls, in whatever pieces it comes.
    [Theory]
    [MemberData(nameof(Templates))]
    public void Calls_that_a_template_writes_are_read(string template)
    {
        string[] arguments =
            [Rome, "{}", """{"a": {"b": [1, -2.5e3, true, null, "}\"</tool_call>[TOOL_CALLS]{\\"]}, "c": "Zürich 🙂\n"}"""];
        ToolConvention convention = Convention(template);
        int most = convention.Between is null ? 1 : arguments.Length;
        for (int count = 1; count <= most; count++)
        {
            string[] written = most == 1 ? [arguments[2]] : arguments[..count];
            string text = Written(template, written);
            Reply reply = Whole(text, new ReplyReading { Convention = convention });
            Assert.Null(reply.Content);
            Assert.Equal(written.Length, reply.Calls.Count);
            Assert.All(reply.Calls.Zip(written), pair =>
            {
                Assert.Equal("weather", pair.First.Name);
                Assert.True(JsonNode.DeepEquals(JsonNode.Parse(pair.Second), JsonNode.Parse(pair.First.Arguments)));
            });
            Assert.Equal(written.Length, reply.Calls.Select(call => call.Id).Distinct().Count());
        }
    }

    [Theory]
    [InlineData(Qwen, "I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", "I look.",
        "f({\"a\": 1})")]
    [InlineData(Qwen, "<tool_call>{\"arguments\":{\"a\":1},\"name\":\"f\"}</tool_call>\n\nDone.", "\n\nDone.",
        "f({\"a\":1})")]
    // Without the closing mark, without the last brace, without arguments, with arguments as a text.
    [InlineData(Qwen, "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n<tool_call>\n{\"name\": \"g\"}", null,
        "f({}) g({})")]
    [InlineData(Qwen, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}\n</tool_call>", null, "f({\"a\": 1})")]
    [InlineData(Qwen, "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>", null,
        "f({\"a\": 1})")]
    [InlineData(Qwen, "<tool_call>{\"name\": \"f\", \"arguments\": null, \"x\": [1, 2]}</tool_call>", null, "f({})")]
    [InlineData(Llama, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", null, "f({\"a\": 1})")]
    [InlineData(Llama, "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"a\": 1}}", null, "f({\"a\": 1})")]
    [InlineData(Llama, "\n{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\"}", null,
        "f({}) g({})")]
    [InlineData(Llama, "{\"name\": \"f\"}\n{\"name\": \"g\"}\n", null, "f({}) g({})")]
    [InlineData(Nemo, "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}}, {\"name\":\"g\",\"arguments\":{}}]", null,
        "f({}) g({})")]
    [InlineData(Large, "Hm. [TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}, \"id\": \"abcdefghi\"}]", "Hm.",
        "f({})")]
    [InlineData(Named, "[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g[CALL_ID]abcdefghi[ARGS]{}", null,
        "f({\"a\": 1}) g({})")]
    [InlineData(Functionary, "<function=f>{\"a\": 1}</function>", null, "f({\"a\": 1})")]
    [InlineData(Command, "<|START_ACTION|>[{\"tool_name\": \"f\", \"parameters\": {}}]<|END_ACTION|>", null, "f({})")]
    [InlineData(DeepSeek,
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": 1}\n```<｜tool▁call▁end｜>" +
        "<｜tool▁calls▁end｜>", null, "f({\"a\": 1})")]
    public void Calls_are_read_as_models_vary_them(string template, string text, string? content, string calls) =>
        Check(template, text, content, calls);

    [Theory]
    [InlineData(Qwen, "a < b, <tool> and <tool_call but\n no call <tool_call> here")]
    [InlineData(Qwen, "<tool_call>{\"name\": 5, \"arguments\": {}}</tool_call>")]
    [InlineData(Qwen, "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>")]
    [InlineData(Qwen, "<tool_call>{\"name\": \"f\", \"arguments\": \"no object\"}</tool_call>")]
    [InlineData(Qwen, "<tool_call>{\"arguments\": {}}</tool_call>")]
    [InlineData(Qwen, "<tool_call>\n{\"name\": \"f\", \"name\": \"g\"}\n</tool_call>")]
    [InlineData(Qwen, "<tool_call>\n{\"name\": \"f\"")]
    [InlineData(Qwen, "  <tool_c")]
    [InlineData(Qwen, "{\"name\": \"f\", \"arguments\": {}}")]
    [InlineData(Llama, "{\"name\": \"Alice\", \"parameters\": {}}")] // no tool of this name: an answer in JSON
    [InlineData(Llama, "{\"answer\": 42}")]
    [InlineData(Llama, "The form is {\"name\": \"f\", \"parameters\": {}}")]
    [InlineData(Llama, "{\"name\": \"f\" and so on")]
    [InlineData(Nemo, "[TOOL_CALLS] []")]
    [InlineData(Nemo, "[TOOL] [1, 2]")]
    [InlineData(Named, "[TOOL_CALLS]f{}")]
    [InlineData(Named, "[TOOL_CALLS]a name[ARGS]{}")]
    [InlineData(Functionary, "<function=f>5</function>")]
    [InlineData(Qwen, "")]
    [InlineData(Qwen, " \n ")]
    public void What_is_no_call_is_content_as_it_was(string template, string text) =>
        Check(template, text, text.Length == 0 ? null : text, "");

    [Fact]
    public void A_call_after_a_broken_one_is_read()
    {
        const string broken = "<tool_call>\n{\"name\": 5}\n</tool_call>";
        Check(Qwen, broken + "\n<tool_call>{\"name\": \"f\"}</tool_call>", broken, "f({})");
    }

    // The beginning of the call is sent when its arguments turn out to be broken, so it stays.
    [Fact]
    public void Broken_arguments_are_content_in_a_whole_reply_and_end_the_call_in_a_stream()
    {
        const string text = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": True}}\n</tool_call> b";
        var reading = new ReplyReading { Convention = Convention(Qwen) };
        Assert.Equal((text, 0), (Whole(text, reading).Content, Whole(text, reading).Calls.Count));
        Reply streamed = Whole(text, reading with { Streams = true });
        Assert.Equal("{\"a\": ", Assert.Single(streamed.Calls).Arguments);
        Assert.Equal("True}}\n</tool_call> b", streamed.Content);
    }

    [Fact]
    public void A_reply_cut_by_its_length_keeps_the_call_as_far_as_it_goes()
    {
        const string text = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"b";
        foreach (bool streams in new[] { false, true })
        {
            var reading = new ReplyReading { Convention = Convention(Qwen), Streams = streams };
            Reply reply = Read([text], reading, isCut: true);
            Assert.Equal("{\"a\": \"b", Assert.Single(reply.Calls).Arguments);
            Assert.Null(reply.Content);
            string early = text[..text.IndexOf("\"arguments", StringComparison.Ordinal)];
            Assert.Equal(early, Read([early], reading, isCut: true).Content);
        }
        Assert.Equal(text, Whole(text, new ReplyReading { Convention = Convention(Qwen) }).Content);
    }

    [Fact]
    public void Arguments_are_streamed_as_they_come_and_the_name_before_them()
    {
        var reader = new ReplyReader(new ReplyReading { Convention = Convention(Qwen), Streams = true, Seed = 7 });
        Assert.Equal([new ReplyPart.Content("Hm")], reader.Add("Hm\n<tool"));
        Assert.Empty(reader.Add("_call>\n{\"name\": \"f\", \"argu"));
        string id = CallIds.Make(7, 0, isShort: false);
        Assert.Equal([new ReplyPart.Call(0, id, "f"), new ReplyPart.Arguments(0, "{\"a\":")],
            reader.Add("ments\": {\"a\":"));
        Assert.Equal([new ReplyPart.Arguments(0, " [1")], reader.Add(" [1"));
        Assert.Equal([new ReplyPart.Arguments(0, "]}")], reader.Add("]}}\n</tool_"));
        Assert.Empty(reader.Add("call>\n"));
        Assert.Equal([new ReplyPart.Call(1, CallIds.Make(7, 1, isShort: false), "g"), new ReplyPart.Arguments(1, "{}")],
            reader.Add("<tool_call>{\"name\": \"g\"}"));
        Assert.Empty(reader.End(isCut: false));
        Assert.Equal(2, reader.Calls);
        Assert.Matches("^call_[A-Za-z0-9]{24}$", id);
    }

    [Fact]
    public void Special_tokens_are_marks_or_nothing()
    {
        var reader = new ReplyReader(new ReplyReading { Convention = Convention(Named) });
        List<ReplyPart> parts = [];
        foreach ((string piece, bool isSpecial) in new[] { ("Hm", false), ("<unk>", true), (" ok", false),
            ("[TOOL_CALLS]", true), ("f", false), ("[ARGS]", true), ("{}", false), ("</s>", true) })
            parts.AddRange(reader.Add(piece, isSpecial));
        parts.AddRange(reader.End(isCut: false));
        var reply = Reply.Of(parts);
        Assert.Equal("Hm ok", reply.Content);
        Assert.Equal("f", Assert.Single(reply.Calls).Name);
        Assert.Equal(CallIds.Short, reply.Calls[0].Id.Length);
    }

    [Fact]
    public void An_id_that_the_model_writes_first_is_kept()
    {
        Reply reply = Whole(
            "[TOOL_CALLS]f[CALL_ID]abcdefgh1[ARGS]{}", new ReplyReading { Convention = Convention(Named) });
        Assert.Equal("abcdefgh1", Assert.Single(reply.Calls).Id);
    }

    [Fact]
    public void A_reply_with_one_call_is_done_after_it()
    {
        var reader = new ReplyReader(
            new ReplyReading { Convention = Convention(Qwen), AllowsSeveralCalls = false });
        List<ReplyPart> parts = [.. reader.Add("<tool_call>{\"name\": \"f\"}")];
        Assert.True(reader.IsDone);
        parts.AddRange(reader.Add("</tool_call><tool_call>{\"name\": \"g\"}"));
        parts.AddRange(reader.End(isCut: false));
        Assert.Equal(2, parts.Count);
    }

    [Theory]
    [InlineData(true, "a\nb\n</think>\n\nHello", "a\nb", "Hello")]
    [InlineData(true, "<think>\na</think>Hello", "a", "Hello")]
    [InlineData(true, "never < ended", "never < ended", null)]
    [InlineData(true, "\n\n</think>\n\nHello", null, "Hello")]
    [InlineData(false, "<think>\na\n</think>\n\nHello <think>", "a", "Hello <think>")]
    [InlineData(false, "Hello <think>a</think>", null, "Hello <think>a</think>")]
    public void Thoughts_are_told_from_words(bool begins, string text, string? thoughts, string? content)
    {
        foreach (bool streams in new[] { false, true })
            foreach (IReadOnlyList<string> pieces in Cuts(text))
                Assert.Equal(
                    (thoughts, content),
                    Read(pieces, new ReplyReading
                    {
                        Reasoning = Think, BeginsInReasoning = begins, Streams = streams, Convention = Convention(Qwen),
                    }) is var reply ? (reply.Reasoning, reply.Content) : default);
    }

    [Fact]
    public void Calls_follow_thoughts_and_are_not_read_within_them()
    {
        const string call = "<tool_call>\n{\"name\": \"f\"}\n</tool_call>";
        Reply reply = Whole($"I could {call}\n</think>\n\n{call}",
            new ReplyReading { Convention = Convention(Qwen), Reasoning = Think, BeginsInReasoning = true });
        Assert.Equal((null, $"I could {call}"), (reply.Content, reply.Reasoning));
        Assert.Equal("f", Assert.Single(reply.Calls).Name);
    }

    // Random texts of the conventions' own pieces, in random cuts, both as a stream and as a whole.
    [Theory]
    [MemberData(nameof(Templates))]
    public void The_reply_is_the_same_in_whatever_pieces_it_comes(string template)
    {
        ToolConvention convention = Convention(template);
        string call = Written(template, [Rome]);
        string[] words =
            [call, call, convention.Opening, convention.Closing, convention.Between ?? ";", "{", "}", "\"name\": \"f\"",
                "\"arguments\": {}", "{\"name\": \"weather\", ", "<think>", "</think>", "\n", " ", "a", "<", "[", ", ",
                call[..(call.Length / 2)], call[(call.Length / 2)..], "🙂"];
        var random = new StableRandom(5);
        int withCalls = 0;
        for (int run = 0; run < 400; run++)
        {
            string text = string.Concat(
                Enumerable.Range(0, 1 + random.Below(6)).Select(_ => words[random.Below(words.Length)]));
            var reading = new ReplyReading
            {
                Convention = convention, Reasoning = run % 3 == 0 ? Think : null, BeginsInReasoning = run % 6 == 0,
                Tools = new HashSet<string> { "weather" }, Streams = run % 2 == 0, AllowsSeveralCalls = run % 5 != 0,
            };
            bool isCut = run % 7 == 0;
            Reply whole = Read([text], reading, isCut);
            foreach (IReadOnlyList<string> pieces in Cuts(text, random))
            {
                Reply cut = Read(pieces, reading, isCut);
                Assert.Equal((whole.Content, whole.Reasoning), (cut.Content, cut.Reasoning));
                Assert.Equal(whole.Calls, cut.Calls);
            }
            if (whole.Calls.Count > 0) withCalls++;
        }
        Assert.InRange(withCalls, 40, 390);
    }

    private static void Check(string template, string text, string? content, string calls)
    {
        foreach (bool streams in new[] { false, true })
            foreach (IReadOnlyList<string> pieces in Cuts(text))
            {
                Reply reply = Read(pieces, new ReplyReading
                {
                    Convention = Convention(template), Streams = streams, Tools = new HashSet<string> { "f", "g" },
                });
                Assert.Equal(content, reply.Content);
                Assert.Equal(calls, string.Join(' ', reply.Calls.Select(call => $"{call.Name}({call.Arguments})")));
            }
    }

    // Whole, in characters, and in random pieces.
    private static IEnumerable<IReadOnlyList<string>> Cuts(string text, StableRandom? random = null)
    {
        yield return [text];
        yield return [.. text.Select(c => c.ToString())];
        random ??= new StableRandom((ulong)text.Length);
        for (int i = 0; i < 4; i++)
        {
            List<string> pieces = [];
            for (int at = 0; at < text.Length;)
            {
                int length = Math.Min(1 + random.Below(9), text.Length - at);
                pieces.Add(text.Substring(at, length));
                at += length;
            }
            yield return pieces;
        }
    }

    private static Reply Whole(string text, ReplyReading reading) => Read([text], reading);

    private static Reply Read(IReadOnlyList<string> pieces, ReplyReading reading, bool isCut = false)
    {
        var reader = new ReplyReader(reading);
        List<ReplyPart> parts = [.. pieces.SelectMany(piece => reader.Add(piece))];
        parts.AddRange(reader.End(isCut));
        return Reply.Of(parts);
    }

    private static ToolConvention Convention(string template) => Known.GetOrAdd(
        template, static template => ToolConventionProbe.FindForm(
            ChatFixture.Writer(template), template == DeepSeek ? null : [ToolOf("weather")], out _)!);

    private static JsonObject ToolOf(string name) => JsonNode.Parse(
        """{"type": "function", "function": {"name": "NAME", "description": "d", "parameters": {"type": "object", "properties": {}}}}"""
        .Replace("NAME", name, StringComparison.Ordinal))!
        .AsObject();

    // The assistant's turn with calls, as the template writes it, up to the end of the turn.
    private static string Written(string template, IReadOnlyList<string> arguments)
    {
        IChatWriter writer = ChatFixture.Writer(template);
        JsonArray? tools = template == DeepSeek ? null : [ToolOf("weather")];
        JsonObject turn = ChatFormats.Message("assistant", "");
        if (template == DeepSeek) turn["content"] = null;
        turn["tool_calls"] = new JsonArray([.. arguments.Select((text, i) => (JsonNode)new JsonObject
        {
            ["id"] = $"abcdefgh{i}",
            ["type"] = "function",
            ["function"] = new JsonObject { ["name"] = "weather", ["arguments"] = JsonNode.Parse(text) },
        })]);
        string text = writer.Write([ChatFormats.Message("user", "?"), turn], tools,
            new ChatWriting { ForReply = false });
        ToolConvention convention = Convention(template);
        int start = text.LastIndexOf(convention.Opening.Length == 0 ? convention.BeforeName
            : FirstMark(convention.Opening, text), StringComparison.Ordinal);
        int end = text.IndexOf(arguments.Count == 0 ? "" : EndOf(template), start, StringComparison.Ordinal);
        return text[start..end];
    }

    // Several calls begin with the same mark: the one after the user's turn is meant.
    private static string FirstMark(string opening, string text)
    {
        int question = text.LastIndexOf('?');
        int first = text.IndexOf(opening, question, StringComparison.Ordinal);
        return text[first..];
    }

    private static string EndOf(string template) => template switch
    {
        Qwen => "<|im_end|>",
        Llama => "<|eot_id|>",
        Command => "<|END_OF_TURN_TOKEN|>",
        Functionary => "<|eom_id|>",
        DeepSeek => "<｜end▁of▁sentence｜>",
        _ => "</s>",
    };
}
