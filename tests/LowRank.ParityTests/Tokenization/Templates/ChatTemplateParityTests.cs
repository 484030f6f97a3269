using LowRank.Tokenization.Templates;

namespace LowRank.ParityTests.Tokenization.Templates;

/// <summary>Every case of the reference: the same text to the last character, and an error where it has an error.</summary>
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
        var template = ChatTemplate.Parse(item.Template);

        if (item.Rendered is not null)
        {
            Assert.Equal(item.Rendered, template.Render(item.Variables, new FixedClock()).Text);
            return;
        }

        var fault = Assert.Throws<InputException>(() => template.Render(item.Variables, new FixedClock()));
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
