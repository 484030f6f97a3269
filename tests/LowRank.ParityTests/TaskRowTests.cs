using LowRank.Data;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tokenizers;

namespace LowRank.ParityTests;

/// <summary>Rows of texts to examples, and what is said of those that cannot be used.</summary>
public sealed class TaskRowTests : IDisposable
{
    private static readonly string[] Words =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "lives", "in", "par", "##is", "where",
        "good", "bad", "."];
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-rows-");
    private readonly Tokenizer tokenizer;

    public TaskRowTests()
    {
        File.WriteAllLines(Path.Combine(folder.FullName, "vocab.txt"), Words);
        tokenizer = Tokenizer.Load(folder.FullName);
    }

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void A_pair_of_texts_has_types_and_its_label_a_number()
    {
        ClassifiedText example = Assert.IsType<ClassifiedText>(
            Read("sequence_classification", """{"text": "anna", "text_pair": "in paris", "label": "yes"}""",
            new TaskSettings { Labels = ["no", "yes"], Problem = Problems.SingleLabel })[0]);
        Assert.Equal([2, 5, 3, 7, 8, 9, 3], example.Input.Ids);
        Assert.Equal([0, 0, 0, 1, 1, 1, 1], example.Input.Types!);
        Assert.Equal([1.0], example.Target!);
    }

    [Fact]
    public void A_word_is_tagged_at_its_first_token()
    {
        var tagged = Assert.IsType<TaggedText>(
            Read("token_classification", """{"tokens": ["Anna", "in", "Paris"], "tags": ["B", "O", "C"]}""",
            new TaskSettings { Labels = ["O", "B", "C"] })[0]);
        Assert.Equal([2, 5, 7, 8, 9, 3], tagged.Input.Ids);
        Assert.Equal([-100, 1, 0, 2, -100, -100], tagged.Labels);
        Assert.Equal([1, 2, 3], tagged.Words.Select(word => word.Token));
    }

    [Fact]
    public void An_entity_marks_every_token_it_covers()
    {
        var tagged = Assert.IsType<TaggedText>(
            Read("token_classification",
            """{"text": "anna in paris", "entities": [{"start": 8, "end": 13, "label": "LOC"}]}""",
            new TaskSettings { Labels = ["O", "B-LOC", "I-LOC"] })[0]);
        Assert.Equal([-100, 0, 0, 1, 2, -100], tagged.Labels);
    }

    [Fact]
    public void An_answer_is_found_by_code_point_as_SQuAD_counts()
    {
        var window = Assert.IsType<AnswerWindow>(
            Read("question_answering",
            """{"question": "where", "context": "😀 anna in paris", "answers": {"text": ["paris"], "answer_start": [10]}}""",
            new TaskSettings { MaxLength = 40, Stride = 2 })[0]);
        Assert.Equal("paris",
            window.Question.Context[
                window.Spans![window.Start!.Value]!.Value.Start..window.Spans[window.End!.Value]!.Value.End]);
        Assert.Equal([2, 10, 3, 1, 5, 7, 8, 9, 3], window.Input.Ids);
    }

    [Fact]
    public void Windows_without_the_answer_point_at_the_beginning()
    {
        IReadOnlyList<IExample> windows = Read("question_answering",
            """{"question": "where", "context": "anna lives in paris . anna . anna . anna . anna .", "answers": {"text": ["paris"], "answer_start": [14]}}""", new TaskSettings { MaxLength = 10, Stride = 3 });
        Assert.True(windows.Count > 2);
        Assert.Equal((6, 7), (((AnswerWindow)windows[0]).Start, ((AnswerWindow)windows[0]).End));
        Assert.All(windows.Skip(2).Cast<AnswerWindow>(), window => Assert.Equal((0, 0), (window.Start, window.End)));
    }

    [Theory]
    [InlineData("sequence_classification", """{"text": "anna", "label": "maybe"}""",
        "the label \"maybe\" is unknown; expected one of O, B-X")]
    [InlineData("sequence_classification", """{"text": "", "label": "O"}""", "\"text\" is empty")]
    [InlineData("sequence_classification", """{"text": "anna"}""", "the row has no \"label\"")]
    [InlineData("sequence_classification", """{"input_ids": [2, 999], "label": "O"}""",
        "expected a token id from 0 to 255")]
    [InlineData("sequence_classification", """{"input_ids": [2, 3], "attention_mask": [1], "label": "O"}""",
        "\"attention_mask\" has 1 entries, expected 2")]
    [InlineData("token_classification", """{"tokens": ["anna"], "tags": []}""", "\"tags\" has 0 entries, expected 1")]
    [InlineData("token_classification", """{"text": "anna", "entities": [{"start": 2, "end": 9, "label": "X"}]}""",
        "spans 2 to 9, expected a span inside the text of 4 characters")]
    [InlineData("token_classification", """{"other": 1}""", "Expected {\"tokens\", \"tags\"}")]
    [InlineData("question_answering",
        """{"question": "where", "context": "anna", "answers": {"text": ["anna"], "answer_start": [1]}}""",
        "is not at character 1")]
    [InlineData("question_answering", """{"question": "where", "context": "anna", "answers": "anna"}""",
        "\"answers\" is \"anna\", expected")]
    [InlineData("masked_lm", """{"text": 3}""", "\"text\" is the number 3, expected a text")]
    [InlineData("embedding", """{"text": "anna"}""", "the row has no \"positive\"; columns found: \"text\"")]
    public void A_row_that_cannot_be_used_is_named_with_its_place(string task, string row, string expected)
    {
        InputException failure = Assert.Throws<InputException>(
            () => Read(task, row,
            new TaskSettings { Labels = ["O", "B-X"], Problem = Problems.SingleLabel, MaxLength = 40, Stride = 2 }));
        Assert.Contains("rows.jsonl:1", failure.Message, StringComparison.Ordinal);
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Labels_come_from_the_data_and_rows_agree_on_one_form()
    {
        string file = Write("""{"text": "a", "label": 10}""", """{"text": "a", "label": 9}""");
        ConfigReader config = ConfigReader.Parse("""{"model_type": "bert"}""", "config.json");
        ITaskKind kind = TaskRegistry.Get("sequence_classification");
        Assert.Equal(["9", "10"],
            kind.Complete(new TaskSettings(), LowRank.Data.Rows.RowSource.From([file]), config).Labels);
        file = Write("""{"text": "a", "label": 1}""", """{"text": "a", "label": 2.5}""");
        Assert.Equal(Problems.Regression,
            kind.Complete(new TaskSettings(), LowRank.Data.Rows.RowSource.From([file]), config).Problem);
        file = Write("""{"text": "a", "label": "x"}""", """{"text": "a", "labels": ["x"]}""");
        Assert.Contains(
            "Some rows have \"label\" and some \"labels\"",
            Assert.Throws<InputException>(
                () => kind.Complete(new TaskSettings(), LowRank.Data.Rows.RowSource.From([file]), config)).Message,
                StringComparison.Ordinal);
    }

    private IReadOnlyList<IExample> Read(string task, string row, TaskSettings settings)
    {
        ITaskKind kind = TaskRegistry.Get(task);
        string golden = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", task == "masked_lm"
            ? "bert_masked_lm" : "bert");
        // as many as the golden's classifier has
        using PretrainedModel model = PretrainedModel.Open(golden, head: new HeadRequest(kind.Head, Labels: 3));
        return kind.Start(model, tokenizer, settings).Read([Write(row)]).Examples;
    }

    private string Write(params string[] rows)
    {
        string path = Path.Combine(folder.FullName, "rows.jsonl");
        File.WriteAllLines(path, rows);
        return path;
    }
}
