using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tasks;

namespace LowRank.Tests.Tasks;

/// <summary>Labels are read by one rule for the whole column, however single rows spell them; the rule is
/// said.</summary>
public sealed class LabelTests : IDisposable
{
    private const string Task = "sequence_classification";
    private readonly TinyTask tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData("0 1 2 0", "0,1,2", "whole numbers, read as 3 classes")]
    [InlineData("10 9", "9,10", "whole numbers")]
    [InlineData("1 5 1", "1,5", "whole numbers")]
    [InlineData("0.0 1.0", "0,1", "whole numbers, read as 2 classes")]
    [InlineData("1 \"1\" 1.0 0", "0,1", "labels that mean the same are one: 1 and \"1\" and 1.0")]
    [InlineData("true false", "false,true", null)]
    [InlineData("\"True\" \"TRUE\" \"False\"", "false,true",
        "labels that mean the same are one: \"True\" and \"TRUE\"")]
    [InlineData("\"True\" \"False\"", "False,True", null)]
    [InlineData("\"Good\" \"good\" \"good_\"", "Good,good",
        "labels that differ in upper and lower case alone are different ones: Good and good")]
    [InlineData("\"Good\" \"good\" \"good_\"", "Good,good", "1 label has blanks around it, which are left out")]
    [InlineData("\"x\" 1", "1,x", "labels are names and numbers")]
    [InlineData("\"01\" \"02\"", "01,02", null)]
    [InlineData("0 1 -1", "0,1",
        "whole numbers, read as 2 classes; regression (task_options.problem) learns them as numbers")]
    public void Names_follow_from_the_column(string labels, string names, string? note)
    {
        TaskSettings settings = tiny.Complete(Task, Column(labels));
        Assert.Equal(Problems.SingleLabel, settings.Problem);
        Assert.Equal(names.Split(','), settings.Labels!);
        if (note is null) Assert.Empty(settings.Notes);
        else Assert.Contains(settings.Notes, said => said.In(Recipe.Wording).Contains(note, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("0.5 1.0 2")]
    [InlineData("\"4.22\" \"3\"")]
    public void Numbers_with_fractions_are_predicted_as_numbers_also_where_a_file_has_texts_alone(string labels)
    {
        TaskSettings settings = tiny.Complete(Task, Column(labels));
        Assert.Equal(Problems.Regression, settings.Problem);
        Assert.Contains("single_label_classification (task_options.problem) learns them as names",
            Assert.Single(settings.Notes).In(Recipe.Wording), StringComparison.Ordinal);
        settings = tiny.Complete(Task, Column(labels), new TaskSettings { Problem = Problems.SingleLabel });
        Assert.All(settings.Labels!, name => Assert.Contains(name, labels, StringComparison.Ordinal));
    }

    [Fact]
    public void A_CSV_file_is_read_by_the_same_rule()
    {
        TaskSettings settings = tiny.Complete(Task, tiny.Rows(["text,label", "good,4.22", "bad,3"], "rows.csv"));
        Assert.Equal(Problems.Regression, settings.Problem);
        Assert.Equal([4.22, 3], Targets(settings, tiny.Rows(["text,label", "good,4.22", "bad,3"], "rows.csv")));
        RowSource whole = tiny.Rows(["text,label", "good,1.0", "bad,0.0"], "rows.csv");
        Assert.Equal(["0", "1"], tiny.Complete(Task, whole).Labels!);
        Assert.Equal([1, 0], Targets(tiny.Complete(Task, whole), whole));
        RowSource lists =
            tiny.Rows(["text,labels", "good,\"[\"\"x\"\", \"\"y\"\"]\"", "bad,\"[\"\"y\"\"]\""], "rows.csv");
        settings = tiny.Complete(Task, lists);
        Assert.Equal((Problems.MultiLabel, "x,y"), (settings.Problem, string.Join(',', settings.Labels!)));
        Assert.Equal([1, 1, 0, 1], Targets(settings, lists));
    }

    [Theory]
    [InlineData("[1, 0, 1] [0, 0, 0] [0, 1, 0]")]
    [InlineData("[1.0, 0.0, 1.0] [0.0, 0.0, 0.0] [0, 1, 0]")]
    [InlineData("[true, false, true] [false, false, false] [false, true, false]")]
    public void Lists_of_0_and_1_are_a_place_for_each_label(string lists)
    {
        RowSource rows = Lists(lists);
        TaskSettings settings = tiny.Complete(Task, rows);
        Assert.Equal((Problems.MultiLabel, "0,1,2"), (settings.Problem, string.Join(',', settings.Labels!)));
        Assert.Contains(
            settings.Notes,
            note => note.ToString().Contains("read as one position for each of 3 labels", StringComparison.Ordinal));
        Assert.Equal([1, 0, 1, 0, 0, 0, 0, 1, 0], Targets(settings, rows));
        settings = tiny.Complete(Task, rows, new TaskSettings { Labels = ["a", "b", "c"] });
        Assert.Equal([1, 0, 1, 0, 0, 0, 0, 1, 0], Targets(settings, rows));
        InputException failure = Assert.Throws<InputException>(
            () => tiny.Complete(Task, rows, new TaskSettings { Labels = ["a", "b"] }));
        Assert.Contains("lists of 3 numbers, 0 and 1, and 2 labels are named", failure.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Lists_of_class_numbers_and_of_names_stay_lists_of_labels()
    {
        RowSource rows = Lists("[0, 2] [1] []");
        TaskSettings settings = tiny.Complete(Task, rows);
        Assert.Equal(["0", "1", "2"], settings.Labels!);
        Assert.Equal([1, 0, 1, 0, 1, 0, 0, 0, 0], Targets(settings, rows));
        rows = Lists("[\"a\",\"a\"] [\"b\"]");
        Assert.Equal([1, 0, 0, 1], Targets(tiny.Complete(Task, rows), rows));
    }

    [Theory]
    [InlineData("""{"text": "good"}""", "the row has no \"label\"")]
    [InlineData("""{"text": "good", "label": null}""", "the row has no \"label\"")]
    [InlineData("""{"text": "good", "label": ""}""", "the label is empty")]
    [InlineData("""{"text": "good", "label": "  "}""", "the label is empty")]
    [InlineData("""{"text": "good", "label": -1}""",
        "Classes are whole numbers from 0; a -1 marks rows without a label")]
    [InlineData("""{"text": "good", "label": ["0"]}""", "put a list of labels under \"labels\"")]
    public void A_row_without_a_label_that_can_be_learned_is_named(string row, string expected)
    {
        RowSource rows = tiny.Rows([row, """{"text": "good", "label": 0}""", """{"text": "bad", "label": 1}"""]);
        TaskSettings settings = tiny.Complete(Task, rows);
        Assert.Equal(["0", "1"], settings.Labels!);
        InputException failure = Assert.Throws<InputException>(() => Targets(settings, rows));
        Assert.Contains("rows.jsonl:1", failure.Message, StringComparison.Ordinal);
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_that_are_no_classes_are_told_from_those_to_predict()
    {
        Assert.Contains(
            "are numbers and no classes",
            Assert.Throws<InputException>(() => tiny.Complete(Task, Column("-3 -2"))).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "Learn them as numbers, or name all labels",
            Assert.Throws<InputException>(() => tiny.Complete(Task, Column("1e+300 2e+300"))).Message,
            StringComparison.Ordinal);
        var regression = new TaskSettings { Problem = Problems.Regression };
        Assert.Equal([0, 1, -1], Targets(regression, Column("0 1 -1")));
        Assert.Contains(
            "beyond float32", Assert.Throws<InputException>(() => Targets(regression, Column("1e+300"))).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "expected a number", Assert.Throws<InputException>(() => Targets(regression, Column("\"1,5\""))).Message,
            StringComparison.Ordinal);
        Assert.Equal([0, 1, 2],
            Targets(tiny.Complete(Task, Column("-1 0 1"), new TaskSettings { Labels = ["-1", "0", "1"] }),
            Column("-1 0 1")));
    }

    [Fact]
    public void A_column_with_nothing_to_tell_apart_is_said()
    {
        Assert.Contains(
            "The data has one label, a:",
            Assert.Throws<InputException>(() => tiny.Complete(Task, Column("\"a\" \"a\""))).Message,
            StringComparison.Ordinal);
        TaskSettings named = tiny.Complete(Task, Column("\"a\" \"a\""), new TaskSettings { Labels = ["a", "b"] });
        Assert.Contains("every row has the same label", Assert.Single(named.Notes).ToString(),
            StringComparison.Ordinal);
        TaskSettings tags =
            tiny.Complete("token_classification", tiny.Rows(["""{"tokens": ["alice", "in"], "tags": ["O", "O"]}"""]));
        Assert.Contains(tags.Notes,
            note => note.ToString().Contains("every word has the same tag", StringComparison.Ordinal));
    }

    [Fact]
    public void A_number_that_is_no_name_is_no_place_among_names_that_are_numbers()
    {
        var set = new LabelSet(["1", "5"]);
        Assert.Equal(1, set.Number(5));
        Assert.Throws<InputException>(() => set.Number(0)); // not the first
        Assert.Equal(1, new LabelSet(["bad", "good"]).Number("1"));
    }

    private RowSource Column(string labels) =>
        tiny.Rows(labels.Split(' ')
        .Select((label, i) => $$"""{"text": "good", "label": {{label.Replace('_', ' ')}}}"""));

    private RowSource Lists(string lists) =>
        tiny.Rows(lists.Split("] ").Select(list => $$"""{"text": "good", "labels": {{list.TrimEnd(']')}}]}"""));

    private double[] Targets(TaskSettings settings, RowSource rows)
    {
        using PretrainedModel model = tiny.Model(Task, settings);
        return [.. tiny.Start(Task, model, settings).Read(rows).Examples.Cast<ClassifiedText>()
            .SelectMany(text => text.Target!)];
    }
}
