using System.Text;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Tasks;

namespace LowRank.Tests.Data;

public sealed class RowErrorTests
{
    private const string Shapes =
        "{\"text\"} | {\"prompt\", \"completion\"} | {\"messages\": [{\"role\", \"content\"}, …][, \"tools\"]} | " +
        "{\"input_ids\", \"labels\"[, \"attention_mask\"]}";

    [Theory]
    [InlineData("""{"txt": "a", "prompt": "b"}""",
        "the row has no \"completion\"; columns found: \"txt\", \"prompt\". Map one of " +
        $"them: {{completion: …}}. Expected one of the forms {Shapes}.")]
    [InlineData("{}",
        $"the row has no text to learn from; columns found: (none). Expected one of the forms {Shapes}; " +
        "columns of other names are mapped, such as {prompt: …, completion: …}.")]
    [InlineData("""{"text": "a", "prompt": "b"}""",
        $"the row has the form {{\"text\"}} and also \"prompt\" of another. Expected one of the forms {Shapes}: " +
        "remove or rename what does not belong to it.")]
    [InlineData("""{"text": 1}""", "\"text\" is the number 1, expected a text.")]
    [InlineData("""{"text": ""}""", "\"text\" is empty. Expected a document; remove the row.")]
    [InlineData("""{"prompt": "", "completion": 1}""",
        "\"prompt\" is empty. Expected a text to continue; a text without a prompt is a row {\"text\": \"…\"}.",
        "\"completion\" is the number 1, expected a text.")]
    [InlineData("""{"prompt": "a", "completion": null}""",
        "the row has no \"completion\"; columns found: \"prompt\". Map one of them: " +
        $"{{completion: …}}. Expected one of the forms {Shapes}.")]
    [InlineData("""{"input_ids": [1, 2], "labels": [1, 2], "attention_mask": [0, 0]}""",
        "\"attention_mask\" is 0 everywhere. Expected 1 at each token of a text; remove the row.")]
    [InlineData("""{"prompt": ["a"], "completion": ""}""", "\"prompt\" is a list, expected a text.",
        "\"completion\" is empty. Expected the text to learn.")]
    [InlineData("""{"messages": "a"}""", "\"messages\" is a text, expected a list of {\"role\", \"content\"}.")]
    [InlineData("""{"messages": []}""", "\"messages\" is empty. Expected a conversation.")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}], "tools": {}}""",
        "\"tools\" is an object, expected a list of tools.",
        "no message has the role \"assistant\" (roles: user). Expected a turn to learn, unless all tokens are " +
        "learned.")]
    [InlineData(
        """{"messages": [1, {"content": "a"}, {"role": 2}, {"role": "assistant", "content": ""}, {"role": "user", "content": null}]}""",
        "\"messages\"[0] is the number 1, expected {\"role\", \"content\"}.",
        "\"messages\"[1] has no \"role\". Expected one such as \"user\" or \"assistant\".",
        "\"messages\"[2].\"role\" is the number 2, expected one such as \"user\" or \"assistant\".",
        "\"messages\"[2] has no \"content\". Expected a text.",
        "\"messages\"[3].\"content\" is empty. Expected what the assistant says.",
        "\"messages\"[4].\"content\" is null, expected a text.")]
    [InlineData("""{"messages": [{"role": "assistant", "content": "a"}], "tools": [{}]}""",
        "\"tools\" needs a chat template that supports tools, but the model has no template.")]
    [InlineData("""{"input_ids": [1, 260, 2.5, "a"], "labels": [1]}""",
        "\"input_ids\"[1] is the number 260, expected a token from 0 to 259 (2 more in this list are wrong).")]
    [InlineData("""{"input_ids": [1, 2], "labels": [-100, -1]}""",
        "\"labels\"[1] is the number -1, expected -100 or a token from 0 to 259.")]
    [InlineData("""{"input_ids": [1, 2], "labels": [1], "attention_mask": [1]}""",
        "\"labels\" has 1 numbers and \"input_ids\" 2. Expected a label for each token, -100 where none is learned.",
        "\"attention_mask\" has 1 numbers and \"input_ids\" 2. Expected one for each token.")]
    [InlineData("""{"input_ids": [1, 2], "labels": [1, -100]}""",
        "the row has no token to learn: of its 2 tokens none after the first has a label.")]
    [InlineData("[1]", "the line is a list, expected a JSON object such as {\"text\": \"…\"}.")]
    [InlineData("""{"text": "\ud800"}""",
        "a text contains half of a surrogate pair (\\ud800 to \\udfff without its partner). Write the whole " +
        "character.")]
    public void A_wrong_row_says_what_was_found_and_expected(string row, params string[] expected)
    {
        using var file = new TemporaryFile("", row);
        InputException failure = Load(file);
        Assert.Equal(expected.Select(problem => $"{file.Path}:2: {problem}"), failure.Problems);
    }

    [Fact]
    public void A_key_that_stands_twice_is_wrong()
    {
        using var file = new TemporaryFile("""{"text": "a", "text": "b"}""");
        Assert.StartsWith(
            $"{file.Path}:1: invalid JSON at byte ", Assert.Single(Load(file).Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Ten_problems_are_shown_and_all_are_counted()
    {
        using var file =
            new TemporaryFile([.. Enumerable.Repeat("""{"text": "good"}""", 3), .. Enumerable.Repeat("{", 12)]);
        InputException failure = Load(file, "missing.jsonl");
        Assert.StartsWith("The data has 13 problems:\n", failure.Message, StringComparison.Ordinal);
        Assert.Equal(2, failure.Problems.Count);
        Assert.Equal("missing.jsonl: there is no such file. Expected a data file, such as JSONL.", failure.Problems[0]);
        Assert.StartsWith(
            $"12 rows, first at {file.Path}:4: invalid JSON at byte 2 (", failure.Problems[1],
            StringComparison.Ordinal);
    }

    [Fact]
    public void Ten_kinds_of_problems_are_shown_and_all_rows_are_counted()
    {
        using var file = new TemporaryFile(
            [.. Enumerable.Range(0, 13)
            .SelectMany(i =>
            Enumerable.Repeat($$"""{"conversations": [{"from": "{{(char)('a' + i)}}", "value": "x"}]}""", 2))]);
        InputException failure = Load(file);
        Assert.StartsWith("The data has 26 problems:\n", failure.Message, StringComparison.Ordinal);
        Assert.StartsWith($"2 rows, first at {file.Path}:1: \"conversations\"[0].\"from\" is \"a\", expected one of",
            failure.Problems[0], StringComparison.Ordinal);
        Assert.Equal(11, failure.Problems.Count);
        Assert.EndsWith("\n  - and 6 more", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_field_that_rows_lack_is_the_setting_that_mends_them()
    {
        using var file = new TemporaryFile("""{"prompt": "a", "answer": "b"}""");
        Problem problem = Assert.Single(Load(file).Details);
        Assert.Equal((ProblemCodes.RowLacksField, "completion", KnownSettings.Columns.To("completion")),
            (problem.Code, problem.Expected, problem.Remedy));
    }

    [Fact]
    public void Rows_that_lack_the_same_are_one_problem_whatever_else_they_have()
    {
        using var file =
            new TemporaryFile(
                [.. Enumerable.Range(0, 10).Select(i => $$"""{"prompt": "a", "{{(char)('a' + i)}}": 1}""")]);
        Assert.StartsWith(
            $"10 rows, first at {file.Path}:1: the row has no \"completion\"; columns found: \"prompt\", \"a\". " +
            "Map one of them: {completion: …}", Assert.Single(Load(file).Problems),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_problem_of_any_length_is_shown_in_part()
    {
        using var file = new TemporaryFile($$"""{"input_ids": [1, {{new string('9', 100_000)}}], "labels": [1, 1]}""");
        Assert.InRange(Load(file).Message.Length, 100, 3000);
    }

    [Fact]
    public void Bytes_that_are_no_text_and_files_without_rows_are_named()
    {
        using var file =
            new TemporaryFile((byte[])[.. Encoding.UTF8.GetBytes("{\"text\": \""), 0xFF, (byte)'"', (byte)'}']);
        Assert.Equal($"{file.Path}:1: byte 11 of the line is not valid UTF-8. Save the file as UTF-8.",
            Assert.Single(Load(file).Problems));
        using var empty = new TemporaryFile("", " ");
        Assert.Equal($"{empty.Path}: the file has no rows. Expected one JSON object per line.",
            Assert.Single(Load(empty).Problems));
    }

    [Fact]
    public void Text_without_a_tokenizer_says_so()
    {
        using var file = new TemporaryFile("""{"text": "a"}""");
        InputException failure = Assert.Throws<InputException>(
            () => ExampleLoader.Load([file.Path], null, new ExampleOptions { VocabularySize = 5 }));
        Assert.Equal(
            $"{file.Path}:1: the row has no text to learn from; columns found: \"text\". Expected one of the forms " +
            "{\"input_ids\", \"labels\"[, \"attention_mask\"]} " +
            "(rows of text need a tokenizer, and the model has none); columns of other names are mapped, such as " +
                "{prompt: …, completion: …}.", Assert.Single(failure.Problems));
    }

    [Fact]
    public void A_tokenizer_of_another_model_is_found()
    {
        using var file = new TemporaryFile("""{"text": "ab"}""");
        InputException failure = Assert.Throws<InputException>(
            () => ExampleLoader.Load([file.Path], new ByteTokenizer(), new ExampleOptions { VocabularySize = 98 }));
        Assert.Equal(
            $"{file.Path}:1: token 256 at position 0 is outside the model's vocabulary of 98. Check that the " +
            "tokenizer belongs to the model.", Assert.Single(failure.Problems));
    }

    private static InputException Load(TemporaryFile file, params string[] before) =>
        Assert.Throws<InputException>(
            () => ExampleLoader.Load([.. before, file.Path], new ByteTokenizer(), new ExampleOptions()));

    [Fact]
    public void A_prompt_that_is_no_text_is_told_with_its_place_once()
    {
        using var file = new TemporaryFolder();
        File.WriteAllText(file["rows.jsonl"], "{\"prompt\": 3}\n");
        InputException wrong = Assert.Throws<InputException>(
            () => PromptRows.Read(RowSource.From([file["rows.jsonl"]]), referenced: false, notes: null));
        Assert.Equal([$"{file["rows.jsonl"]}:1: \"prompt\" is the number 3, expected a text."], wrong.Problems);
    }
}
