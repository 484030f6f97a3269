using LowRank.Data;

namespace LowRank.Tests.Data;

/// <summary>Arguments of calls, which OpenAI's form has as JSON text, reach a template as it takes them.</summary>
public sealed class ToolCallFormTests
{
    private const string Row = """
        {"messages": [{"role": "user", "content": "Rome?"},
          {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}]},
          {"role": "tool", "tool_call_id": "c1", "content": "20"}, {"role": "assistant", "content": "20 degrees"}]}
        """;
    private const string AsObject = """{"city": "Rome", "n": 1.0}""",
        AsText = """ "{\"city\": \"Rome\", \"n\": 1.0}" """;

    // DeepSeek's puts texts together; another writes what it is given.
    private const string Joins =
        "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ '<' + c.function.name + ' ' + " +
        "c.function.arguments + '>' }}{% else %}{{ m.content }}{% endfor %};{% endfor %}";
    private const string Prints =
        "{% for m in messages %}{% for c in m.tool_calls or [] %}<{{ c.function.arguments }}>{% else %}{{ " +
        "m.content }}{% endfor %};{% endfor %}";

    [Theory]
    [InlineData("calls.jinja", "{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\", \"n\": 1.0}}")]
    [InlineData("calls_by_item.jinja", "\"arguments\": city=Rome;n=1.0;}")]
    public void A_text_is_learned_as_the_object_that_it_holds(string template, string expected)
    {
        string source = ChatFixture.Read(template);
        string ofObject = Text(Row.Replace("ARGUMENTS", AsObject, StringComparison.Ordinal), source);
        Assert.Contains(expected, ofObject, StringComparison.Ordinal);
        Assert.Equal(ofObject, Text(Row.Replace("ARGUMENTS", AsText, StringComparison.Ordinal), source));
        // A table has lists of calls as texts, too.
        string calls = System.Text.Json.JsonSerializer.Serialize(
            "[{\"function\": {\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\", \"n\": 1.0}}}]");
        string table = Row[..Row.IndexOf("\"tool_calls\"", StringComparison.Ordinal)] + $"\"tool_calls\": {calls}}},"
            + Row[(Row.IndexOf("ARGUMENTS", StringComparison.Ordinal) + "ARGUMENTS}}]},".Length)..];
        Assert.Equal(ofObject, Text(table, source));
    }

    [Fact]
    public void A_template_that_puts_texts_together_gets_texts()
    {
        string ofText = Text(Row.Replace("ARGUMENTS", AsText, StringComparison.Ordinal), Joins);
        Assert.Contains("""<weather {"city": "Rome", "n": 1.0}>""", ofText, StringComparison.Ordinal);
        Assert.Equal(ofText, Text(Row.Replace("ARGUMENTS", AsObject, StringComparison.Ordinal), Joins));
    }

    [Fact]
    public void A_template_that_prints_what_it_is_given_gets_what_the_row_has()
    {
        Assert.Contains(
            """<{"city": "Rome", "n": 1.0}>""",
            Text(Row.Replace("ARGUMENTS", AsText, StringComparison.Ordinal), Prints), StringComparison.Ordinal);
        Assert.Contains(
            "<{'city': 'Rome', 'n': 1.0}>", Text(Row.Replace("ARGUMENTS", AsObject, StringComparison.Ordinal), Prints),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("\"\"")]
    public void No_arguments_are_an_empty_object(string none) =>
        Assert.Contains(
            "\"arguments\": {}}",
            Text(Row.Replace("ARGUMENTS", none, StringComparison.Ordinal), ChatFixture.Read("calls.jinja")),
            StringComparison.Ordinal);

    [Fact]
    public void Every_form_that_carries_calls_comes_to_the_same_text()
    {
        const string calls =
            """[{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\", \"n\": 1.0}}, {\"name\": \"weather\", \"arguments\": \"{\\\"city\\\": \\\"Bonn\\\"}\"}]""";
        string share =
            $$"""{"conversations": [{"from": "human", "value": "Rome?"}, {"from": "function_call", "value": "{{calls}}"}, {"from": "observation", "value": "20"}, {"from": "gpt", "value": "20 degrees"}]}""";
        string text = Text(share, ChatFixture.Read("calls.jinja"));
        Assert.Contains("\"arguments\": {\"city\": \"Rome\", \"n\": 1.0}}", text, StringComparison.Ordinal);
        Assert.Contains("\"arguments\": {\"city\": \"Bonn\"}}", text, StringComparison.Ordinal);
        string row = Row.Replace("ARGUMENTS", AsText, StringComparison.Ordinal);
        string prompted = row.Replace("\"messages\"", "\"prompt\"", StringComparison.Ordinal)
            .Replace(", {\"role\": \"assistant\", \"content\": \"20",
            "], \"completion\": [{\"role\": \"assistant\", \"content\": \"20", StringComparison.Ordinal);
        Assert.Equal(Text(row, ChatFixture.Read("calls.jinja")), Text(prompted, ChatFixture.Read("calls.jinja")));
    }

    [Theory]
    [InlineData("\"weather(Rome)\"",
        "\"messages\"[1].\"tool_calls\"[0]: \"arguments\" is a text that is not a JSON object")]
    [InlineData("\"[1]\"", "is not a JSON object")]
    public void A_text_that_is_no_call_is_an_error(string arguments, string expected)
    {
        using var file =
            new TemporaryFile(Row.Replace("ARGUMENTS", arguments, StringComparison.Ordinal).ReplaceLineEndings(" "));
        string said = Assert.Throws<InputException>(
            () => ExampleLoader.Load(
                [file.Path], new ByteTokenizer { ChatTemplateSource = Prints }, new ExampleOptions())).Message;
        Assert.Contains(expected, said, StringComparison.Ordinal);
    }

    private static string Text(string row, string template)
    {
        using var file = new TemporaryFile(row.ReplaceLineEndings(" "));
        var tokenizer = new ByteTokenizer { ChatTemplateSource = template };
        LoadedExamples loaded =
            ExampleLoader.Load([file.Path], tokenizer, new ExampleOptions { TrainOn = TrainOn.All });
        return tokenizer.Decode(Assert.Single(loaded.Examples).InputIds);
    }
}
