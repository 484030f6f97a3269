using System.Text.Json.Nodes;

namespace LowRank.Jinja.Tests;

/// <summary>
/// Small templates, construct by construct, rendered by the engine of transformers 5.12 (jinja2 3.1.6, Python 3.14)
/// with one set of variables: Fixtures/jinja_cases.jsonl, whose first line has the variables.
/// </summary>
public sealed class JinjaConstructTests
{
    private static readonly JsonObject[] Lines = [.. File
        .ReadLines(Path.Combine(AppContext.BaseDirectory, "Fixtures", "jinja_cases.jsonl"))
        .Select(line => JsonNode.Parse(line)!.AsObject())];

    private static readonly JsonObject Variables = Lines[0]["variables"]!.AsObject();

    private static readonly Dictionary<string, JsonObject> Cases = Lines.Skip(1)
        .ToDictionary(line => (string)line["name"]!);

    public static TheoryData<string> Names { get; } = new(Cases.Keys);

    [Theory]
    [MemberData(nameof(Names))]
    public void A_construct_renders_as_in_the_reference(string name)
    {
        var item = Cases[name];
        var source = (string)item["template"]!;
        if (item["error"] is { } error)
        {
            var fault = Record.Exception(() => JinjaTemplate.Parse(source).Render(Variables));
            Assert.True(fault is TemplateException,
                $"{source}\nexpected {error}\ngot {fault?.GetType().Name ?? Text(source)}");
            return;
        }

        var rendered = JinjaTemplate.Parse(source).Render(Variables);
        Assert.True((string)item["rendered"]! == rendered.Text,
            $"{source}\nexpected {item["rendered"]}\ngot      {rendered.Text}");
        if (item["spans"] is JsonArray spans && rendered.GenerationSpansComplete)
        {
            var expected = spans
                .Select(span =>
                (Start: Offset(rendered.Text, (int)span![0]!), End: Offset(rendered.Text, (int)span[1]!)))
                .Where(span => span.End > span.Start)
                .Select(span => (span.Start, span.End - span.Start))
                .Order();
            Assert.Equal(expected, rendered.GenerationSpans.Order());
        }
    }

    private static string Text(string source) => JinjaTemplate.Parse(source).Render(Variables).Text;

    // The reference counts code points.
    private static int Offset(string text, int codePoints)
    {
        var offset = 0;
        foreach (var rune in text.EnumerateRunes().Take(codePoints))
        {
            offset += rune.Utf16SequenceLength;
        }

        return offset;
    }
}
