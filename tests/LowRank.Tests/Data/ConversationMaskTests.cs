using LowRank.Data;
using LowRank.Data.Chat;

namespace LowRank.Tests.Data;

public sealed class ConversationMaskTests
{
    private const string Calls = """
        {"tools": [{"type": "function", "function": {"name": "look"}}], "messages": [{"role": "user", "content": "x"},
         {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": {"at": "y"}}}]}, {"role": "tool", "content": "z"},
         {"role": "assistant", "content": "w"}]}
        """;
    private const string Call =
        "{% for c in m.tool_calls or [] %}<{{ c.function.name }} {{ c.function.arguments | tojson }}>{% endfor %}";

    [Theory]
    [InlineData(
        "{% for t in tools %}{{ t.function.name }};{% endfor %}{% for m in messages %}[{{ m.role }}]{{ m.content " +
        "or '' }}" + Call
        + "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt " +
        "%}[assistant]{% endif %}")]
    [InlineData(
        "{% for t in tools %}{{ t.function.name }};{% endfor %}{% for m in messages %}[{{ m.role }}]{% if m.role " +
        "== 'assistant' %}{% generation %}{{ m.content or '' }}" + Call
        + "{{ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}")]
    public void Tools_and_calls_reach_the_template_and_the_calls_alone_are_learned(string template)
    {
        TokenizedExample example = One(template, Calls);
        var tokenizer = new ByteTokenizer();
        Assert.Equal("""look;[user]x[assistant]<look {"at": "y"}></s>[tool]z[assistant]w</s>""",
            tokenizer.Decode(example.InputIds));
        int[] learned = [.. example.Labels.Where(label => label != TokenizedExample.Ignored)];
        Assert.Equal("""<look {"at": "y"}></s>w</s>""", tokenizer.Decode(learned));
    }

    [Fact]
    public void A_template_that_refuses_a_part_of_the_conversation_is_named_with_its_reason()
    {
        const string template =
            "{% if messages[-1].role == 'system' %}{{ raise_exception('nobody asked') }}{% endif %}{% for m in " +
            "messages %}{{ m.content }}{% endfor %}";
        string message =
            Fails(template,
            """{"messages": [{"role": "system", "content": "s"}, {"role": "assistant", "content": "y"}]}""");
        Assert.Contains(
            "does not show where the assistant's turn \"messages\"[1] begins: it refuses the conversation up to " +
            "there (", message, StringComparison.Ordinal);
        Assert.Contains("nobody asked", message, StringComparison.Ordinal);
        Assert.Contains("train on all tokens", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_that_writes_something_else_before_a_turn_than_it_is_asked_for_is_ambiguous()
    {
        const string template =
            "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt " +
            "%}[assistant]<think>{% endif %}";
        string message =
            Fails(template,
            """{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}""");
        Assert.Contains(
            "\"messages\"[1] begins: the text before the turn is not a beginning of the text with it. " +
            "Use another template, mark the turns", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Blocks_that_a_conversation_does_not_come_to_are_an_error()
    {
        const string template =
            "{% for m in messages %}{% if m.role == 'model' %}{% generation %}{{ m.content }}{% endgeneration %}{% " +
            "else %}{{ m.content }}{% endif %}{% endfor %}";
        Assert.Contains("{% generation %} blocks, but this conversation reaches none",
            Fails(template,
                """{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}"""),
                StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "ChatML")]
    [InlineData("{% generation %}a{% endgeneration %}", "the chat template's {% generation %} blocks")]
    [InlineData("a", "the text that the chat template adds for each turn")]
    public void A_format_says_how_it_tells_the_turns(string? template, string expected) =>
        Assert.StartsWith(expected, ChatFormats.For(new ByteTokenizer { ChatTemplateSource = template }).TurnsToldBy,
            StringComparison.Ordinal);

    private static TokenizedExample One(string template, string row)
    {
        using var file = new TemporaryFile(row.ReplaceLineEndings(" "));
        return Assert.Single(
            ExampleLoader.Load(
                [file.Path], new ByteTokenizer { ChatTemplateSource = template }, new ExampleOptions()).Examples);
    }

    private static string Fails(string template, string row) =>
        Assert.Throws<InputException>(() => One(template, row)).Message;
}
