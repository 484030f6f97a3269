using System.Text.Json.Nodes;

namespace LowRank.Jinja.Tests;

/// <summary>Every case of the reference: the same text to the last character, and an error where it has an
/// error.</summary>
public sealed class ChatTemplateParityTests
{
    public static TheoryData<string> Names { get; } = new(ChatTemplateCase.All.Keys);

    [Fact]
    public void The_cases_are_all_there()
    {
        Assert.Equal(396, ChatTemplateCase.All.Count);
        Assert.Equal(311, ChatTemplateCase.All.Values.Count(item => item.Rendered is not null));
        Assert.Equal(85, ChatTemplateCase.All.Values.Count(item => item.Error is not null));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_case_renders_as_in_the_reference(string name)
    {
        var item = ChatTemplateCase.All[name];
        var template = JinjaTemplate.Parse(item.Template);

        if (item.Rendered is not null)
        {
            Assert.Equal(item.Rendered, template.Render(item.Variables, new FixedClock()).Text);
            return;
        }

        var fault = Assert.Throws<TemplateException>(() => template.Render(item.Variables, new FixedClock()));
        var message = item.Error![(item.Error!.IndexOf(": ", StringComparison.Ordinal) + 2)..];
        if (item.Error!.StartsWith("TemplateError", StringComparison.Ordinal)
            || item.Error.StartsWith("UndefinedError", StringComparison.Ordinal))
        {
            Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        }
        else
        {
            Assert.Contains("TypeError", fault.Message, StringComparison.Ordinal);
        }
    }
}

/// <summary>
/// A case of Fixtures/chat_templates.jsonl: a template as a model ships it, a conversation, and what transformers 5.12
/// made of it, which is a text or an error.
/// </summary>
public sealed record ChatTemplateCase(
    string Name, string Template, JsonObject Variables, string? Rendered, string? Error)
{
    /// <summary>All cases.</summary>
    public static IReadOnlyDictionary<string, ChatTemplateCase> All { get; } = Read();

    private static Dictionary<string, ChatTemplateCase> Read() =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Fixtures", "chat_templates.jsonl"))
            .Select(line => JsonNode.Parse(line)!.AsObject())
            .Select(line => new ChatTemplateCase(
                (string)line["name"]!,
                (string)line["template"]!,
                line["variables"]!.AsObject(),
                (string?)line["rendered"],
                (string?)line["error"]))
            .ToDictionary(item => item.Name, StringComparer.Ordinal);
}

/// <summary>The day on which the reference rendered the cases: templates print it.</summary>
public sealed class FixedClock : TimeProvider
{
    /// <inheritdoc/>
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);
}
