using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tasks;
using TorchSharp;

namespace LowRank.Tests.Tasks;

/// <summary>Entities and tags: where they stand is counted in code points, and what cannot be told exactly is a problem
/// of the row.</summary>
public sealed class EntityTests : IDisposable
{
    private const string Task = "token_classification";

    private static readonly string[] Names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

    private readonly TinyTask tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData("""{"text": "i met alice in rome", "entities": [{"start": 6, "end": 11, "label": "PER"}]}""", "alice")]
    [InlineData("""{"text": "😀😀 i met alice in rome", "entities": [{"start": 9, "end": 14, "label": "PER"}]}""",
        "alice")]
    [InlineData("""{"text": "👩‍👩 then alice in rome", "entities": [{"start": 9, "end": 14, "label": "PER"}]}""",
        "alice")]
    [InlineData("""{"text": "東京 in rome", "entities": [{"start": 0, "end": 1, "label": "PER"}]}""", "東")]
    [InlineData("""{"text": "alice lives", "entities": [{"start": 0, "end": 6, "label": "PER"}]}""", "alice")]
    public void A_span_counts_code_points(string row, string expected)
    {
        TaggedText text = Assert.Single(Read(row));
        string whole = JsonNode.Parse(row)!["text"]!.GetValue<string>();
        TaggedWord tagged = Assert.Single(text.Words, word => text.Labels[word.Token] == 1);
        Assert.Equal(expected, whole[tagged.Start..tagged.End]);
    }

    [Theory]
    [InlineData("alice lives in new rome", "0-5:PER 3-11:X",
        "\"entities\"[1] (3 to 11, X) overlaps \"entities\"[0] (0 to 5, PER)")]
    [InlineData("alice lives in new rome", "15-23:LOC 19-23:LOC", "overlaps")]
    [InlineData("alice lives in new rome", "1-4:PER", "cuts a word: \"lic\" of \"alice\"")]
    [InlineData("alicerome in", "0-5:PER", "cuts a word: \"alice\" of \"alicerome\"")]
    [InlineData("iphone14 in rome", "0-6:PER", "cuts the token \"iphone14\"")]
    [InlineData("alice in rome", "5-6:PER", "contains only blanks")]
    [InlineData("alice in rome", "3-3:PER",
        "spans 3 to 3, expected a span inside the text of 13 characters (code points")]
    [InlineData("😀 alice", "2-8:PER", "spans 2 to 8, expected a span inside the text of 7 characters")]
    [InlineData("alice in rome", "-1-5:PER", "spans -1 to 5")]
    [InlineData("alice \u200d\u200d rome", "6-8:PER", "contains no token")]
    public void A_span_that_cannot_be_told_exactly_is_a_problem_of_its_row(string text, string spans, string expected)
    {
        var entities = new JsonArray([.. spans.Split(' ').Select(Entity)]);
        string row = new JsonObject { ["text"] = text, ["entities"] = entities }.ToJsonString();
        InputException failure = Assert.Throws<InputException>(() => Read(row));
        Assert.Contains("rows.jsonl:1", failure.Message, StringComparison.Ordinal);
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
        TaskData rest = Data(BadRows.Skip, row, """{"text": "alice in rome", "entities": []}""");
        Assert.Single(rest.Examples);
        Assert.Contains(rest.Warnings, note => note.ToString().Contains(expected, StringComparison.Ordinal));
    }

    [Fact]
    public void An_entity_behind_the_cut_is_no_problem_of_its_row()
    {
        string text = string.Concat(Enumerable.Repeat("new ", 20)) + "alice";
        TaskData data =
            Data(BadRows.Error, $$"""{"text": "{{text}}", "entities": [{"start": 80, "end": 85, "label": "PER"}]}""");
        Assert.Contains("1 text was longer than training.max_length 16",
            Assert.Single(data.Warnings).In(Recipe.Wording), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_word_gets_a_tag_also_one_without_a_token_or_behind_the_cut()
    {
        string[] words = ["alice", "\u200d", "in", .. Enumerable.Repeat("rome", 20)];
        var notes = new List<Words>();
        JsonObject answer =
            Assert.Single(
                Predict(new JsonObject { ["tokens"] = new JsonArray([.. words.Select(word => (JsonNode?)word)]) },
                notes));
        Assert.Equal(words.Length, answer["tags"]!.AsArray().Count);
        Assert.Equal(words.Length, answer["probabilities"]!.AsArray().Count);
        Assert.Equal(("O", null), (answer["tags"]![1]!.GetValue<string>(), answer["probabilities"]![1]));
        Assert.Equal(("B-PER", "O"),
            (answer["tags"]![0]!.GetValue<string>(), answer["tags"]!.AsArray().Last()!.GetValue<string>()));
        Assert.Contains("1 text was longer than training.max_length 16", Assert.Single(notes).In(Recipe.Wording),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Found_entities_count_code_points()
    {
        JsonObject answer = Assert.Single(Predict(new JsonObject { ["text"] = "😀😀 alice in 😀 rome" }, []));
        JsonNode last = answer["entities"]!.AsArray().Last()!;
        Assert.Equal(("rome", 14, 18),
            (last["text"]!.GetValue<string>(), last["start"]!.GetValue<int>(), last["end"]!.GetValue<int>()));
    }

    [Fact]
    public void Words_that_have_no_token_are_not_learned_and_said()
    {
        TaskData data = Data(BadRows.Error, """{"tokens": ["alice", "\u200d", "in"], "tags": ["B-PER", "O", "O"]}""");
        Assert.Contains("1 word has no token, such as a control character, and cannot be learned; the first is at",
            Assert.Single(data.Warnings).ToString(), StringComparison.Ordinal);
        Assert.Equal(2, data.Examples[0].PredictedLabels);
    }

    [Fact]
    public void Numbered_tags_take_their_names_from_the_recipe()
    {
        RowSource rows = tiny.Rows(["""{"tokens": ["alice", "in", "rome"], "ner_tags": [1, 0, 3]}"""]);
        InputException failure = Assert.Throws<InputException>(() => tiny.Complete(Task, rows));
        Assert.Contains(
            "rows.jsonl:1: the tags are numbers without names", failure.Message, StringComparison.Ordinal);
        failure.Word(Recipe.Wording);
        Assert.Contains("such as [O, B-PER, I-PER] (task_options.labels)", failure.Message, StringComparison.Ordinal);
        Assert.Equal(Names, tiny.Complete(Task, rows, new TaskSettings { Labels = Names }).Labels);
        TaggedText text = Assert.Single(Read("""{"tokens": ["alice", "in", "rome"], "ner_tags": [1, 0, 3]}"""));
        Assert.Equal([1, 0, 3], text.Words.Select(word => text.Labels[word.Token]));
    }

    private static JsonNode Entity(string span)
    {
        string[] parts = span.Split(':');
        int dash = parts[0].IndexOf('-', 1);
        return new JsonObject { ["start"] = int.Parse(parts[0][..dash]), ["end"] = int.Parse(parts[0][(dash + 1)..]),
            ["label"] = parts[1] };
    }

    private IReadOnlyList<TaggedText> Read(params string[] rows) =>
        [.. Data(BadRows.Error, rows).Examples.Cast<TaggedText>()];

    private TaskData Data(BadRows onBadRow, params string[] rows)
    {
        var settings = new TaskSettings { Labels = [.. Names, "B-X", "I-X"] };
        using PretrainedModel model = tiny.Model(Task, settings);
        return tiny.Start(Task, model, settings).Read(tiny.Rows(rows, onBadRow: onBadRow));
    }

    // The head's bias has every token begin a person.
    private JsonObject[] Predict(JsonObject row, List<Words> notes)
    {
        var settings = new TaskSettings { Labels = Names };
        using PretrainedModel model = tiny.Model(Task, settings);
        using (torch.no_grad()) model.Network.Parameters["classifier.bias"].copy_(torch.tensor([0f, 50, 0, 0, 0]));
        return [.. tiny.Start(Task, model, settings).Predict(tiny.Rows([row.ToJsonString()]), 2, notes)];
    }
}
