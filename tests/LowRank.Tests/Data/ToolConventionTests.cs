using System.Text.Json.Nodes;
using LowRank.Data.Chat;

namespace LowRank.Tests.Data;

/// <summary>How models write calls, found from the templates that they ship.</summary>
public sealed class ToolConventionTests
{
    private const string Llama = "meta-llama-Llama-3.1-8B-Instruct";
    private static readonly CallKeys Plain = new("name", "arguments"), OfLlama = new("name", "parameters");

    public static TheoryData<string> Known => [.. Expected.Keys];

    private static Dictionary<string, ToolConvention> Expected { get; } = new()
    {
        ["Qwen-Qwen2.5-7B-Instruct"] = Hermes,
        ["NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use"] = Hermes,
        ["NousResearch-Hermes-3-Llama-3.1-8B-tool_use"] = Hermes,
        [Llama] = Bare,
        ["meta-llama-Llama-3.2-3B-Instruct"] = Bare,
        ["meta-llama-Llama-3.3-70B-Instruct"] = Bare,
        ["mistralai-Mistral-Nemo-Instruct-2407"] = Mistral("[TOOL_CALLS]["),
        ["Mistral-Nemo-Instruct-2407--mistralai--v3-tekken--template--"] = Mistral("[TOOL_CALLS]["),
        ["Mistral-Large-Instruct-2407--mistralai--v3--template--modifi"] = Mistral("[TOOL_CALLS] ["),
        ["CohereForAI-c4ai-command-r7b-12-2024-tool_use"] = new()
        {
            Opening = "<|START_ACTION|>[\n    ", Between = ",\n    ", Closing = "\n]<|END_ACTION|>",
            BeforeName = """{"tool_call_id": "0", "tool_name": """ + '"',
            BeforeArguments = new("\", \"parameters\": "), AfterArguments = new("}"),
            Keys = new("tool_name", "parameters"),
        },
        ["CohereForAI-c4ai-command-r-plus-tool_use"] = new()
        {
            Opening = "\nAction:\n```json\n[\n    ", Between = ",\n    ", Closing = "\n]```\n",
            BeforeName = "{\n        \"tool_name\": \"", BeforeArguments = new("\",\n        \"parameters\": "),
            AfterArguments = new("\n    }"), Keys = new("tool_name", "parameters"),
        },
        ["meetkai-functionary-medium-v3.1"] = new()
        {
            Opening = "<function=", Between = "</function><function=", Closing = "</function>", BeforeName = "",
            BeforeArguments = new(">"), AfterArguments = new(""),
        },
        ["named_calls.jinja"] = new()
        {
            Opening = "[TOOL_CALLS]", Between = "[TOOL_CALLS]", Closing = "", BeforeName = "",
            BeforeArguments = new("[CALL_ID]", "[ARGS]"), AfterArguments = new(""), HasShortIds = true,
        },
    };

    private static ToolConvention Hermes => new()
    {
        Opening = "<tool_call>\n", Between = "\n</tool_call>\n<tool_call>\n", Closing = "\n</tool_call>",
        BeforeName = """{"name": """ + '"', BeforeArguments = new("\", \"arguments\": "), AfterArguments = new("}"),
        Keys = Plain,
    };

    private static ToolConvention Bare => new()
    {
        Opening = "", Between = null, Closing = "", BeforeName = """{"name": """ + '"',
        BeforeArguments = new("\", \"parameters\": "), AfterArguments = new("}"), Keys = OfLlama,
    };

    [Theory]
    [MemberData(nameof(Known))]
    public void The_convention_is_what_the_template_writes(string template)
    {
        ToolConvention? found = ToolConventionProbe.Find(ChatFixture.Writer(template), out string? obstacle);
        Assert.Null(obstacle);
        Assert.Equal(Expected[template], found);
        Assert.Equal(template.Contains("Llama-3.", StringComparison.Ordinal) && found!.Keys == OfLlama, found!.IsBare);
    }

    // Of the shipped templates no others show their model tools and calls in a form that can be read.
    [Fact]
    public void Other_templates_have_none_and_say_why()
    {
        Dictionary<string, string> why = [];
        foreach (string template in ChatFixture.Shipped.Keys.Where(name => !Expected.ContainsKey(name)))
        {
            Assert.Null(ToolConventionProbe.Find(ChatFixture.Writer(template), out string? obstacle));
            why[template] = obstacle!;
        }
        Assert.True(why.Count > 25, $"only {why.Count} templates were seen");
        Assert.All(why.Values, obstacle => Assert.StartsWith("the model's chat template does not", obstacle,
            StringComparison.Ordinal));
        Assert.Equal("the model's chat template does not show tools to the model", why["Llama-3"]);
        // It lists tools, but has nothing for a call.
        Assert.StartsWith("the model's chat template does not show how the model writes a call",
            why["ibm-granite-granite-3.0-8b-instruct"], StringComparison.Ordinal);
        Assert.StartsWith("the model's chat template does not accept tools: ", why["llama-cpp-deepseek-r1"],
            StringComparison.Ordinal);
        // A reply begins with the tool's name there, right after the prompt.
        Assert.StartsWith("the model's chat template does not show how the model writes a call",
            why["meetkai-functionary-medium-v3.2"], StringComparison.Ordinal);
    }

    [Fact]
    public void Calls_between_many_marks_are_found_too()
    {
        const string begin = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>", end = "\n```<｜tool▁call▁end｜>";
        ToolConvention? found = ToolConventionProbe.FindForm(
            ChatFixture.Writer("llama-cpp-deepseek-r1"), null, out string? obstacle);
        Assert.Null(obstacle);
        Assert.Equal(
            new ToolConvention
            {
                Opening = "<｜tool▁calls▁begin｜>" + begin, Between = end + "\n" + begin,
                Closing = end + "<｜tool▁calls▁end｜>", BeforeName = "", BeforeArguments = new("\n```json\n"),
                AfterArguments = new(""), HasNullContent = true,
            }, found);
    }

    [Fact]
    public void Arguments_that_are_not_json_are_no_convention()
    {
        Assert.Null(ToolConventionProbe.Find(ChatFixture.Writer("calls_by_item.jinja"), out string? obstacle));
        Assert.Contains("not JSON", obstacle, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_without_a_template_has_no_tools()
    {
        Assert.Null(ToolConventionProbe.Find(ChatFormats.Writer(new ByteTokenizer()), out string? obstacle));
        Assert.Contains("the model has no template", obstacle, StringComparison.Ordinal);
    }

    [Fact]
    public void The_template_for_tools_is_the_one_that_counts()
    {
        var tokenizer = new NamedTokenizer(new Dictionary<string, string>
        {
            ["default"] = ChatFixture.Shipped["Llama-3"],
            ["tool_use"] = ChatFixture.Shipped["NousResearch-Hermes-3-Llama-3.1-8B-tool_use"],
        });
        Assert.Equal(Hermes, ToolConventionProbe.Find(ChatFormats.Writer(tokenizer), out _));
    }

    [Theory]
    [InlineData("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "<think>")]
    [InlineData("llama-cpp-deepseek-r1", "<think>")]
    [InlineData("thinking.jinja", "<think>")]
    [InlineData("CohereForAI-c4ai-command-r7b-12-2024-tool_use", "<|START_THINKING|>")]
    [InlineData("Qwen-Qwen2.5-7B-Instruct", null)]
    [InlineData(Llama, null)]
    [InlineData("ChatGLM4", null)]
    public void Marks_of_thoughts_are_those_that_the_template_handles(string template, string? open) =>
        Assert.Equal(open, ReasoningMarks.Find(ChatFixture.Writer(template))?.Open);

    private static ToolConvention Mistral(string opening) => new()
    {
        Opening = opening, Between = ", ", Closing = "]", BeforeName = """{"name": """ + '"',
        BeforeArguments = new("\", \"arguments\": "), AfterArguments = new(", \"id\": \"", "\"}"), Keys = Plain,
        HasShortIds = true,
    };

    private sealed class NamedTokenizer(IReadOnlyDictionary<string, string> templates)
        : LowRank.Tokenizers.ITextTokenizer
    {
        private readonly ByteTokenizer bytes = new();

        public int VocabularySize => bytes.VocabularySize;

        public int? EosTokenId => bytes.EosTokenId;

        public string? ChatTemplateSource => templates["default"];

        public IReadOnlyDictionary<string, string> ChatTemplates => templates;

        public IReadOnlyDictionary<string, string> SpecialTokens => bytes.SpecialTokens;

        public int[] Encode(string text, bool addSpecialTokens = true) => bytes.Encode(text, addSpecialTokens);

        public string Decode(IReadOnlyList<int> ids) => bytes.Decode(ids);

        public int? TokenToId(string token) => bytes.TokenToId(token);
    }
}
