using System.Text.Json.Nodes;
using LowRank.Data.Preferences;

namespace LowRank.Tests.Data.Preferences;

/// <summary>Rows of preferences in TRL's forms and those of data sets.</summary>
public sealed class PreferenceRowsTests
{
    private const string Asked = """{"role": "user", "content": "q"}""",
        Good = """{"role": "assistant", "content": "good"}""", Bad = """{"role": "assistant", "content": "bad"}""";

    [Theory]
    [InlineData("""{"prompt": "p ", "chosen": "a", "rejected": "b", "margin": 2}""",
        """{"prompt": "p ", "completion": "a"}""", """{"prompt": "p ", "completion": "b"}""", null)]
    // The prompt is what both begin with; the blank before a word belongs to it.
    [InlineData("""{"chosen": "The sky is blue.", "rejected": "The sky is green."}""",
        """{"prompt": "The sky is", "completion": " blue."}""", """{"prompt": "The sky is", "completion": " green."}""", null)]
    [InlineData("""{"chosen": "\n\nHuman: Hi\n\nAssistant: Good day.", "rejected": "\n\nHuman: Hi\n\nAssistant: Go away."}""",
        """{"prompt": "\n\nHuman: Hi\n\nAssistant:", "completion": " Good day."}""",
        """{"prompt": "\n\nHuman: Hi\n\nAssistant:", "completion": " Go away."}""", "HH-RLHF")]
    [InlineData($$"""{"prompt": "q", "chosen": [{{Asked}}, {{Good}}], "rejected": [{{Asked}}, {{Bad}}]}""",
        $$"""{"messages": [{{Asked}}, {{Good}}]}""", $$"""{"messages": [{{Asked}}, {{Bad}}]}""", "UltraFeedback")]
    [InlineData($$"""{"prompt": [{{Asked}}], "chosen": [{{Good}}], "rejected": [{{Bad}}]}""",
        $$"""{"messages": [{{Asked}}, {{Good}}]}""", $$"""{"messages": [{{Asked}}, {{Bad}}]}""", null)]
    [InlineData($$"""{"prompt": [{{Asked}}], "chosen": "good", "rejected": "bad"}""",
        $$"""{"messages": [{{Asked}}, {{Good}}]}""", $$"""{"messages": [{{Asked}}, {{Bad}}]}""", null)]
    [InlineData($$"""{"chosen": [{{Asked}}, {{Good}}], "rejected": [{{Asked}}, {{Bad}}], "chosen_rating": 5}""",
        $$"""{"messages": [{{Asked}}, {{Good}}]}""", $$"""{"messages": [{{Asked}}, {{Bad}}]}""", "Argilla")]
    [InlineData("""{"system": "s", "question": "q", "chosen": "good", "rejected": "bad"}""",
        $$"""{"messages": [{"role": "system", "content": "s"}, {{Asked}}, {{Good}}]}""",
        $$"""{"messages": [{"role": "system", "content": "s"}, {{Asked}}, {{Bad}}]}""", "Orca")]
    public void Pairs_of_every_form_become_prompts_with_completions(
        string row, string chosen, string rejected, string? named)
    {
        var rows = new PreferenceRows();
        (JsonObject better, JsonObject worse) = rows.Pair((JsonObject)JsonNode.Parse(row)!);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(chosen), better), better.ToJsonString());
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(rejected), worse), worse.ToJsonString());
        if (named is null) Assert.Empty(rows.Notes);
        else Assert.Contains(named, Assert.Single(rows.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void Turns_of_the_assistant_in_the_prompt_are_not_learned()
    {
        (JsonObject better, _) = new PreferenceRows().Pair((JsonObject)JsonNode.Parse(
            $$"""{"chosen": [{{Asked}}, {{Good}}, {{Asked}}, {{Good}}], "rejected": [{{Asked}}, {{Good}}, {{Asked}}, {{Bad}}]}""")!);
        var messages = (JsonArray)better["messages"]!;
        Assert.Equal(0, (int)messages[1]!["weight"]!);
        Assert.Null(messages[3]!["weight"]);
    }

    [Theory]
    [InlineData("true", true), InlineData("1", true), InlineData("\"False\"", false), InlineData("0", false)]
    public void A_rated_completion_is_wanted_or_not(string label, bool expected)
    {
        (JsonObject row, bool wanted) = PreferenceRows.Rated(
            (JsonObject)JsonNode.Parse($$"""{"prompt": "p", "completion": "c", "label": {{label}}}""")!);
        Assert.Equal(expected, wanted);
        Assert.Equal("""{"prompt":"p","completion":"c"}""", row.ToJsonString());
    }

    [Theory]
    [InlineData("""{"prompt": "p", "chosen": "a"}""", "the row has no \"rejected\"")]
    [InlineData("""{"prompt": "p", "chosen": "a", "rejected": "a"}""", "are the same, so there is nothing to prefer")]
    [InlineData("""{"chosen": "a b", "rejected": "c"}""", "do not begin alike")]
    [InlineData("""{"chosen": "a b", "rejected": "a b c"}""", "begins with all of the other")]
    [InlineData("""{"prompt": "p", "chosen": "a", "rejected": []}""", "\"rejected\" a list")]
    [InlineData($$"""{"chosen": [{{Asked}}, {{Good}}], "rejected": [{{Bad}}]}""", "have no message in common")]
    [InlineData("""{"prompt": 3, "chosen": "a", "rejected": "b"}""", "\"prompt\" is the number 3")]
    public void What_is_no_pair_is_refused_in_words(string row, string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(
            () => new PreferenceRows().Pair((JsonObject)JsonNode.Parse(row)!)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"prompt": "p", "completion": "c"}""", "the row has no \"label\"")]
    [InlineData("""{"prompt": "p", "completion": "c", "label": "good"}""", "\"label\" is a text, expected true")]
    [InlineData("""{"completion": "c", "label": true}""", "the row has no \"prompt\"")]
    public void What_is_no_rated_completion_is_refused_in_words(string row, string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(
            () => PreferenceRows.Rated((JsonObject)JsonNode.Parse(row)!)).Message, StringComparison.Ordinal);
}
