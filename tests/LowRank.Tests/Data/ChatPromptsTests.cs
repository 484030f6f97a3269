using System.Text.Json.Nodes;
using LowRank.Data.Chat;

namespace LowRank.Tests.Data;

/// <summary>Requests in the form of OpenAI's API become prompts in the format of real templates.</summary>
public sealed class ChatPromptsTests
{
    private const string Qwen = "Qwen-Qwen2.5-7B-Instruct", Llama = "meta-llama-Llama-3.1-8B-Instruct",
        Nemo = "mistralai-Mistral-Nemo-Instruct-2407", Gemma = "google-gemma-2-2b-it",
        Hermes = "NousResearch-Hermes-3-Llama-3.1-8B-tool_use", Distill = "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
        NoTools = "Llama-3", Thinking = "thinking.jinja";
    private const string Weather =
        """[{"type": "function", "function": {"name": "get_weather", "description": "Weather", "strict": true, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]""";
    private const string Called = """
        [{"role": "user", "content": "Rome?"},
         {"role": "assistant", "content": null, "refusal": null, "annotations": [], "tool_calls":
           [{"id": "ID", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Rome\"}"}}]},
         {"role": "tool", "tool_call_id": "ID", "content": [{"type": "text", "text": "20"}]}]
        """;

    [Fact]
    public void A_conversation_with_a_call_is_written_as_the_template_writes_it()
    {
        ChatPrompt prompt = Write(Qwen, Called, Weather);
        Assert.EndsWith(
            "<|im_start|>user\nRome?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n{\"name\": \"get_weather\", " +
            "\"arguments\": {\"city\": \"Rome\"}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n20\n" +
            "</tool_response><|im_end|>\n<|im_start|>assistant\n", prompt.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("strict", prompt.Text, StringComparison.Ordinal);
        Assert.Equal(prompt.Text, new ByteTokenizer().Decode(prompt.Ids));
        Assert.False(prompt.EndsInReasoning);
    }

    // Without a content, this template would search null for thoughts.
    [Fact]
    public void A_turn_of_calls_alone_has_the_content_that_the_template_takes()
    {
        string source = "{% if tools %}{{ tools | tojson }}{% endif %}" + ChatFixture.Read("calls.jinja").Replace(
            "{%- if m.content %}", "{%- if '</think>' not in m.content %}", StringComparison.Ordinal);
        Assert.Contains("<|im_start|>assistant\n<tool_call>\n{\"name\": \"get_weather\"",
            Write(new ByteTokenizer { ChatTemplateSource = source },
                new ChatPromptRequest(Json(Called)) { Tools = Json(Weather) }).Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("call_abcdefghijklmnopqrstuvwx", "[0-9a-f]{9}")]
    [InlineData("Ab3456789", "Ab3456789")]
    public void Ids_are_as_mistral_requires_them(string id, string expected)
    {
        string text = Write(Nemo, Called.Replace("ID", id, StringComparison.Ordinal), Weather).Text;
        string calls = $"\"id\": \"(?<id>{expected})\"}}]</s>";
        Assert.Matches(calls, text);
        string written = System.Text.RegularExpressions.Regex.Match(text, calls).Groups["id"].Value;
        Assert.Contains($"\"call_id\": \"{written}\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_of_text_are_joined_and_the_developer_is_the_system_where_the_template_has_none()
    {
        const string messages = """
            [{"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]},
             {"role": "user", "content": "hi", "name": "Ann"}]
            """;
        Assert.StartsWith("<|im_start|>system\nBe\nbrief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>",
            Write(Qwen, messages).Text, StringComparison.Ordinal);
        const string knows = "{% for m in messages %}{% if m.role == 'developer' %}<dev>{% endif %}" +
            "<{{ m.role }}>{{ m.content }} {{ m.name }}{% endfor %}";
        Assert.Equal("<dev><developer>Be\nbrief. <user>hi Ann",
            Write(new ByteTokenizer { ChatTemplateSource = knows }, new ChatPromptRequest(Json(messages))).Text);
    }

    [Theory]
    [InlineData(Qwen, """[{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}]""",
        "messages[0].content[1]: it has the type image_url: only text is supported.")]
    [InlineData(Qwen, """[{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "input_audio"}]}]""",
        "messages[1].content[0]: it has the type input_audio: only text is supported.")]
    [InlineData(Qwen, "[]", "messages: it is empty")]
    [InlineData(Qwen, "[5]", "messages[0]: it is the number 5")]
    [InlineData(Qwen, """[{"content": "a"}]""", "messages[0].role: it is null, expected one of system, developer, user")]
    [InlineData(Qwen, """[{"role": "function", "content": "a"}]""", "messages[0].role: it is \"function\"")]
    [InlineData(Qwen, """[{"role": "user"}]""", "messages[0].content: it is null, expected a text")]
    [InlineData(Qwen, """[{"role": "user", "content": 5}]""", "messages[0].content: it is the number 5")]
    [InlineData(Qwen, """[{"role": "user", "content": []}]""", "messages[0].content: it is empty")]
    [InlineData(Qwen, """[{"role": "assistant"}]""", "messages[0].content: it is null")]
    [InlineData(Qwen, """[{"role": "user", "content": "a", "name": 1}]""", "messages[0].name: it is the number 1")]
    [InlineData(Qwen, """[{"role": "tool", "content": "a"}]""", "messages[0].tool_call_id: expected the id of the call")]
    [InlineData(Qwen, """[{"role": "assistant", "function_call": {"name": "f"}, "content": "a"}]""",
        "messages[0].function_call: it is OpenAI's earlier form")]
    [InlineData(Qwen, """[{"role": "assistant", "tool_calls": 1}]""", "messages[0].tool_calls: it is the number 1")]
    [InlineData(Qwen, """[{"role": "user", "content": "a", "tool_calls": [{}]}]""",
        "messages[0].tool_calls: it belongs to the role assistant")]
    [InlineData(Qwen, """[{"role": "assistant", "tool_calls": [{"id": "a"}]}]""",
        "messages[0].tool_calls[0]: expected {\"id\"")]
    [InlineData(Qwen, """[{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "x"}}]}]""",
        "messages[0].tool_calls[0].function.arguments: it is not the text of a JSON object")]
    [InlineData(Qwen, """[{"role": "user", "content": "\ud800"}]""", "messages: a text has half of a surrogate pair")]
    [InlineData(Qwen, """[{"role": "user", "role": "a"}]""", "messages: a text has half of a surrogate pair, or an object")]
    [InlineData(NoTools, """[{"role": "tool", "content": "a", "tool_call_id": "b"}]""",
        "messages[0]: it has the role tool, but the model's chat template does not show tools")]
    [InlineData(NoTools, """[{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]""",
        "messages[0].tool_calls: the model's chat template does not show tools to the model.")]
    public void Messages_that_cannot_be_used_are_refused_by_their_place(
        string template, string messages, string expected) =>
        Refused(() => Write(template, messages), expected);

    [Theory]
    [InlineData("""[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "user", "content": "d"}, {"role": "assistant", "content": "e"}]""",
        "messages[3]: the model refuses it. The chat template failed at line ")]
    [InlineData("""[{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]""",
        "messages[0]: the model refuses it. The chat template failed at line ")]
    public void A_refusal_of_the_template_names_the_message(string messages, string expected)
    {
        InputException refused = Refused(() => Write(Gemma, messages), expected);
        Assert.Matches("must alternate|not supported", refused.Message);
        Assert.Matches(@"^messages\[\d\]$", Assert.Single(refused.Details).Place!.ToString());
    }

    [Theory]
    [InlineData(NoTools, Weather, "tools: the model's chat template does not show tools to the model.")]
    [InlineData(Qwen, "[]", "tools: it is empty")]
    [InlineData(Qwen, "[1]", "tools[0]: it is the number 1")]
    [InlineData(Qwen, """[{"type": "web_search"}]""", "tools[0].type: only the type function is supported.")]
    [InlineData(Qwen, """[{"type": "function"}]""", "tools[0].function: it is null")]
    [InlineData(Qwen, """[{"type": "function", "function": {"name": "a b"}}]""", "tools[0].function.name: expected 1 to 64")]
    [InlineData(Qwen, """[{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "a"}}]""",
        "tools[1].function.name: a is the name of two tools.")]
    [InlineData(Qwen, """[{"type": "function", "function": {"name": "a", "parameters": 1}}]""",
        "tools[0].function.parameters: it is the number 1")]
    public void Tools_that_cannot_be_used_are_refused_by_their_place(string template, string tools, string expected) =>
        Refused(() => Write(template, """[{"role": "user", "content": "a"}]""", tools), expected);

    // This template reads both.
    [Fact]
    public void A_tool_without_description_and_parameters_is_complete_for_the_template() =>
        Assert.Contains("\"name\": \"now\"",
            Write(Hermes, """[{"role": "user", "content": "a"}]""", """[{"type": "function", "function": {"name": "now"}}]""")
                .Text, StringComparison.Ordinal);

    [Fact]
    public void Template_arguments_are_plain_values_of_variables_that_the_template_reads()
    {
        const string messages = """[{"role": "user", "content": "a"}]""";
        Assert.EndsWith("assistant\n", With(Thinking, "{\"enable_thinking\": true}").Text, StringComparison.Ordinal);
        Assert.EndsWith("<think>\n\n</think>\n\n", With(Thinking, "{\"enable_thinking\": false}").Text,
            StringComparison.Ordinal);
        Assert.Contains("Today Date: 1 May 2026", With(Llama, "{\"date_string\": \"1 May 2026\"}").Text,
            StringComparison.Ordinal);
        (string, string)[] refused =
            [("{\"enable_thinking\": false}", "enable_thinking: the model's chat template does not read it."),
                ("{\"messages\": \"a\"}", "messages: it is a variable that the request itself sets."),
                ("{\"bos_token\": \"a\"}", "bos_token: it is a variable that the request itself sets."),
                ("{\"raise_exception\": \"a\"}", "raise_exception: the model's chat template does not read it."),
                ("{\"date_string\": {\"a\": 1}}", "date_string: it is an object, expected a text"),
                ("{\"custom_tools\": [1]}", "custom_tools: it is a list"),
                ("{\"chat_template\": \"{{ 1 }}\"}", "chat_template: the model's chat template does not read it.")];
        foreach ((string arguments, string expected) in refused) 
            Refused(() => With(Llama, arguments), "chat_template_kwargs." + expected);

        ChatPrompt With(string template, string arguments) => Write(
            ChatFixture.Tokenizer(template),
            new ChatPromptRequest(Json(messages)) { TemplateArguments = JsonNode.Parse(arguments)!.AsObject() });
    }

    [Theory]
    [InlineData(Qwen, "<|im_start|>assistant\nIt is ")]
    [InlineData(Llama, "<|start_header_id|>assistant<|end_header_id|>\n\nIt is ")]
    [InlineData(Nemo, "[/INST]It is ")]
    [InlineData(Distill, "<｜Assistant｜>It is ")]
    public void The_last_message_is_continued_without_an_end_of_turn(string template, string expected)
    {
        const string messages = """[{"role": "user", "content": "a"}, {"role": "assistant", "content": "It is "}]""";
        Assert.EndsWith(expected, Write(ChatFixture.Tokenizer(template),
            new ChatPromptRequest(Json(messages)) { ContinuesLastMessage = true }).Text, StringComparison.Ordinal);
        Refused(
            () => Write(ChatFixture.Tokenizer(template),
                new ChatPromptRequest(Json("""[{"role": "user", "content": "a"}]""")) { ContinuesLastMessage = true }),
            "messages[0]: only a message of the assistant with a text");
    }

    [Fact]
    public void A_prompt_may_end_without_the_beginning_of_a_reply_and_says_whether_it_ends_in_thoughts()
    {
        const string messages = """[{"role": "user", "content": "a"}]""";
        Assert.EndsWith("<|im_start|>user\na<|im_end|>\n", Write(ChatFixture.Tokenizer(Qwen),
            new ChatPromptRequest(Json(messages)) { ForReply = false }).Text, StringComparison.Ordinal);
        Assert.True(Write(Distill, messages).EndsInReasoning);
        Assert.False(Write(Thinking, messages).EndsInReasoning);
    }

    // Neither hangs: the steps of a rendering are bounded, and so is what it is given.
    [Fact]
    public void Long_conversations_are_written_or_refused()
    {
        static JsonArray Many(int count) => [.. Enumerable.Range(0, count)
            .Select(i => (JsonNode)ChatFormats.Message(i % 2 == 0 ? "user" : "assistant", "a"))];
        Refused(() => Write(ChatFixture.Tokenizer(Qwen), new ChatPromptRequest(Many(100_001))),
            "messages: it has 100001 messages, expected at most 4096.");
        Assert.Equal(2047, Write(ChatFixture.Tokenizer(Qwen), new ChatPromptRequest(Many(4095))).Text
            .Split("<|im_start|>assistant\na").Length - 1);
        // It looks at the whole conversation for each message of it.
        const string square = "{% for m in messages %}{% for n in messages %}{{ n.content }}{% endfor %}{% endfor %}";
        InputException steps = Refused(
            () => Write(new ByteTokenizer { ChatTemplateSource = square }, new ChatPromptRequest(Many(4095))),
            "messages[");
        Assert.Contains("steps", steps.Message, StringComparison.Ordinal);
        Refused(
            () => Write(ChatFixture.Tokenizer(Qwen),
                new ChatPromptRequest([ChatFormats.Message("user", new string('a', 2_000_001))])),
            "messages: they hold 2000001 characters");
    }

    [Fact]
    public void Every_shipped_template_writes_a_plain_question_or_says_why_not()
    {
        int written = 0;
        foreach ((string name, string _) in ChatFixture.Shipped)
            try
            {
                string text = Write(name, """[{"role": "user", "content": "What is up?"}]""").Text;
                Assert.Contains("What is up?", text, StringComparison.Ordinal);
                written++;
            }
            catch (InputException refused)
            {
                Assert.StartsWith("messages[0]: the model refuses it. The chat template failed at line ",
                    refused.Message, StringComparison.Ordinal);
            }
        Assert.InRange(written, 35, ChatFixture.Shipped.Count);
    }

    private static ChatPrompt Write(string template, string messages, string? tools = null) =>
        Write(ChatFixture.Tokenizer(template),
            new ChatPromptRequest(Json(messages)) { Tools = tools is null ? null : Json(tools) });

    private static ChatPrompt Write(ByteTokenizer tokenizer, ChatPromptRequest request) =>
        new ChatPrompts(tokenizer).Write(request);

    private static JsonArray Json(string text) => JsonNode.Parse(text)!.AsArray();

    private static InputException Refused(Action write, string expected)
    {
        InputException refused = Assert.Throws<InputException>(write);
        Assert.StartsWith(expected, refused.Message, StringComparison.Ordinal);
        return refused;
    }
}
