using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Recipes;

namespace LowRank.Tests.Data.Rows;

public sealed class RowFormTests : IDisposable
{
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("""{"instruction": "Add.", "input": "1 1", "output": "2", "id": 3}""",
        """{"id":3,"prompt":"Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 1\n\n### Response:\n","completion":"2"}""")]
    [InlineData("""{"instruction": "Say.", "input": "", "output": "2", "text": "Below"}""",
        """{"prompt":"Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay.\n\n### Response:\n","completion":"2"}""")]
    [InlineData(
        """{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s"}""",
        """{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""")]
    [InlineData(
        """{"conversations": [{"role": "user", "content": "a"}, {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"}], "tools": "[{\"a\": 1}]"}""",
        """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]}],"tools":[{"a":1}]}""")]
    [InlineData(
        """{"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "completion": [{"role": "assistant", "content": "c"}]}""",
        """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0},{"role":"assistant","content":"c"}]}""")]
    [InlineData("""{"messages": [{"role": "user", "content": "a"}], "tools": "", "parallel_tool_calls": true}""",
        """{"messages":[{"role":"user","content":"a"}]}""")]
    [InlineData("""{"text": "a", "facts": ["b"]}""", """{"text":"a","facts":["b"]}""")]
    [InlineData("""{"instruction": "Say.", "context": "", "response": "2", "category": "qa"}""",
        """{"category":"qa","prompt":"Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay.\n\n### Response:\n","completion":"2"}""")]
    [InlineData("""{"conversation": [{"input": "a", "output": "b"}], "source": "x"}""",
        """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"source":"x"}""")]
    [InlineData("""{"conversation": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}""",
        """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""")]
    [InlineData("""{"question": "a", "answer": "b"}""", """{"prompt":"a\n","completion":"b"}""")]
    [InlineData("""{"query": "a", "response": "b", "n": null}""", """{"prompt":"a\n","completion":"b"}""")]
    [InlineData("""{"question": "a", "context": "c", "answer": "b"}""",
        """{"question":"a","context":"c","answer":"b"}""")]
    [InlineData(
        """{"prompt": "a", "prompt_id": "i", "messages": [{"role": "user", "content": "a"}], "tools": "[{}]"}""",
        """{"prompt_id":"i","messages":[{"role":"user","content":"a"}],"tools":[{}]}""")]
    [InlineData("""{"text": "a", "messages": [{"role": "user", "content": "a"}]}""",
        """{"messages":[{"role":"user","content":"a"}]}""")]
    [InlineData(
        """{"text": null, "prompt": null, "tools": null, "messages": [{"role": "user", "content": "a", "name": null}, {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1, "y": null}}}]}]}""",
        """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}]}""")]
    public void Forms_of_others_are_read_as_ours(string row, string expected)
    {
        string read = Assert.Single(
            RowSource.From([folder.Write("x.jsonl", row)]).ReadAll(foreign: true)).Fields.ToJsonString();
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(read)), read);
    }

    [Theory]
    [InlineData("""{"prompt": "a", "chosen": "b", "rejected": "c"}""", "the row is a preference")]
    [InlineData("""{"prompt": "a", "completion": "b", "label": false}""", "the row is a completion with a verdict")]
    [InlineData("""{"prompt": "a", "completions": ["b"], "labels": [true]}""",
        "the row has \"completions\" with \"labels\"")]
    [InlineData("""{"instruction": "a", "output": 3}""", "\"output\" is the number 3, expected a text")]
    [InlineData("""{"instruction": "a", "output": "b", "system": "s"}""", "\"system\" is not part of Alpaca's prompt")]
    [InlineData("""{"conversations": [{"from": "narrator", "value": "a"}]}""",
        "\"conversations\"[0].\"from\" is \"narrator\", expected one of human")]
    [InlineData("""{"messages": [], "functions": []}""", "\"functions\" is OpenAI's earlier form")]
    [InlineData("""{"messages": [], "tools": "{"}""", "\"tools\" is a text, expected a list of tools")]
    public void What_cannot_be_learned_is_refused_in_words(string row, string expected) =>
        Assert.Contains(
            $"x.jsonl:1: {expected}", DataFolder.Refusal(RowSource.From([folder.Write("x.jsonl", row)]), foreign: true),
            StringComparison.Ordinal);

    [Fact]
    public void Recognised_forms_are_named_and_counted()
    {
        string path = folder.Write("x.jsonl", """
            {"instruction": "a", "output": "b"}
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
            {"instruction": "a", "output": "c"}
            """);
        LoadedExamples loaded = ExampleLoader.Load([path], new ByteTokenizer(), new ExampleOptions());
        Assert.Equal(3, loaded.Examples.Count);
        Assert.StartsWith("2 rows have Alpaca's form", loaded.Notes[0].ToString(), StringComparison.Ordinal);
        Assert.EndsWith("; data.template can change it.", loaded.Notes[0].In(Recipe.Wording), StringComparison.Ordinal);
        Assert.StartsWith("1 row has ShareGPT's form", loaded.Notes[1].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Turns_of_weight_0_are_not_learned()
    {
        string path = folder.Write("x.jsonl", """
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "weight": 1}]}
            """);
        var tokenizer = new ByteTokenizer();
        TokenizedExample example = Assert.Single(ExampleLoader.Load([path], tokenizer, new ExampleOptions()).Examples);
        string learned = tokenizer.Decode([.. example.Labels.Where(label => label >= 0)]);
        Assert.StartsWith("d", learned, StringComparison.Ordinal);
        Assert.DoesNotContain("b", learned, StringComparison.Ordinal);
        string conversation = folder.Write("z.jsonl", """
            {"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}], "completion": [{"role": "assistant", "content": "d"}]}
            """);
        Assert.Equal(example.Labels,
            Assert.Single(ExampleLoader.Load([conversation], tokenizer, new ExampleOptions()).Examples).Labels);
        foreach ((string message, string expected) in new[]
        {
            ("""{"role": "assistant", "content": "b", "weight": 0}""", "every turn of the assistant has \"weight\": 0"),
            ("""{"role": "assistant", "content": "b", "weight": 0.5}""",
            "\"weight\" is the number 0.5, expected 0 (not learned) or 1"),
        })
        {
            string wrong = folder.Write("y.jsonl", $$"""{"messages": [{{message}}]}""");
            Assert.Contains(
                expected, Assert.Throws<InputException>(
                    () => ExampleLoader.Load([wrong], tokenizer, new ExampleOptions())).Message,
                    StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Columns_are_renamed_and_missing_ones_named()
    {
        RowSource Source(string name, string text) => RowSource.From([folder.Write(name, text)],
            new RowOptions { Columns = new Dictionary<string, string> { ["prompt"] = "question",
                ["completion"] = "answer" } });
        Assert.Equal(["""{"id":"1","prompt":"q","completion":"a"}"""],
            DataFolder.Rows(Source("x.csv", "id,question,answer\n1,q,a\n")));
        RowSource swapped = RowSource.From([folder.Write("s.csv", "prompt,completion\n1,2\n")],
            new RowOptions { Columns = new Dictionary<string, string> { ["prompt"] = "completion",
                ["completion"] = "prompt" } });
        Assert.Equal(["""{"prompt":"2","completion":"1"}"""], DataFolder.Rows(swapped));
        Assert.Contains(
            "x.csv:2: the row has no \"answer\", which the column map gives for \"completion\"; columns " +
            "found: \"id\", \"question\"", DataFolder.Refusal(Source("x.csv", "id,question\n1,q\n")),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_writes_the_users_own_words()
    {
        RowSource Source(string row, params (string Key, string Text)[] parts) =>
            RowSource.From([folder.Write("x.jsonl", row)],
            new RowOptions { Template = new RowTemplate(parts.ToDictionary(part => part.Key, part => part.Text)) });
        const string Row = """{"q": "Wer?", "a": ["x", "y"], "text": "old", "facts": ["f"]}""";
        Assert.Equal(["""{"q":"Wer?","a":["x","y"],"facts":["f"],"prompt":"F: Wer?\n","completion":"x, y."}"""],
            DataFolder.Rows(
                Source(Row, ("prompt", "F: {{ q }}\n"),
                ("completion", "{% for part in a %}{{ part }}{% if not loop.last %}, {% endif %}{% endfor %}."))));
        JsonObject turns =
            Assert.Single(
                Source(Row, ("user", "{{ q }}"), ("assistant", "{{ a[0] }}"), ("system", "Kurz."))
                .ReadAll(foreign: true)).Fields;
        Assert.Equal(
            """[{"role":"system","content":"Kurz."},{"role":"user","content":"Wer?"},{"role":"assistant","content":"x"}]""", turns["messages"]!.ToJsonString());
        Assert.Contains("x.jsonl:1: the row has no \"frage\", which the row template names; columns found: \"q\", " +
            "\"a\"",
            DataFolder.Refusal(Source(Row, ("text", "{{ frage }}"))), StringComparison.Ordinal);
        Assert.Equal(["""{"q":"Wer?","a":["x","y"],"facts":["f"],"text":"-"}"""],
            DataFolder.Rows(Source(Row, ("text", "{{ frage | default('-') }}"))));
        Assert.EndsWith("x.jsonl:1: the template's text failed at line 1: the template refuses this input: no.",
            DataFolder.Refusal(Source(Row, ("text", "{{ raise_exception('no') }}{{ q }}"))), StringComparison.Ordinal);
        Assert.Contains(
            "the template's text cannot be used: line 1",
            Assert.Throws<InputException>(() => Source(Row, ("text", "{% if %}"))).Message, StringComparison.Ordinal);
        Assert.Contains(
            "the row template has prompt; expected text",
            Assert.Throws<InputException>(() => Source(Row, ("prompt", "x"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_that_came_before_are_left_out_where_asked()
    {
        string path = folder.Write("x.jsonl", """
            {"text": "a", "n": 1}
            {"n": 1, "text": "a"}
            {"text": "A", "n": 1}
            """);
        RowReading reading = RowSource.From([path], new RowOptions { Deduplicate = true }).Reading(foreign: true);
        Assert.Equal([1L, 3L], reading.Rows().Select(row => row.Place.Line));
        Words note = Assert.Single(reading.Notes);
        Assert.Equal("1 row was skipped as repeated.", note.ToString());
        Assert.Equal("1 row was skipped as repeated (data.deduplicate).", note.In(Recipe.Wording));
        Assert.Equal("1 row was skipped as repeated (Dataset.Deduplicate).", note.In(AdaptationRecipe.Wording()));
    }

    [Fact]
    public void A_split_parts_rows_by_their_words_whatever_stands_around_them()
    {
        string[] rows = [.. Enumerable.Range(0, 2000).Select(i => $$"""{"text": "Row {{i}}."}""")];
        string[] Side(IEnumerable<string> lines, bool heldOut, long seed = 1) =>
            DataFolder.Rows(
                RowSource.From([folder.Write("x.jsonl", string.Join('\n', lines))], null,
                new RowSplit(0.1, seed, heldOut)));
        string[] held = Side(rows, true), kept = Side(rows, false);
        Assert.Equal(2000, held.Union(kept).Count());
        Assert.Empty(held.Intersect(kept));
        Assert.InRange(held.Length, 130, 270); // 200 expected, the standard deviation is 13.4
        Assert.Equal(held.Order(), Side(rows.Reverse(), true).Order());
        Assert.NotEqual(held, Side(rows, true, seed: 2));
        string[] loud = [.. rows.Select(row => row.Replace("Row", "ROW ", StringComparison.Ordinal))];
        Assert.Equal(held.Length, Side(loud, true).Length);
    }

    [Theory]
    [InlineData("""{"sentence1": "a", "sentence2": "b", "label": 1}""", """{"label":1,"text":"a","text_pair":"b"}""")]
    [InlineData("""{"premise": "a", "hypothesis": "b", "label": 1, "idx": 7}""",
        """{"label":1,"idx":7,"text":"a","text_pair":"b"}""")]
    [InlineData("""{"sentence": "a", "label": 1}""", """{"label":1,"text":"a"}""")]
    [InlineData("""{"text": "a", "sentence": "b"}""", """{"text":"a","sentence":"b"}""")]
    [InlineData("""{"anchor": "a", "positive": "b"}""", """{"positive":"b","text":"a"}""")]
    [InlineData("""{"tokens": ["a"], "ner_tags": [1], "pos_tags": [2]}""",
        """{"tokens":["a"],"pos_tags":[2],"tags":[1]}""")]
    [InlineData("""{"question": "q", "context": "c", "answers": [{"text": "c", "answer_start": 0}]}""",
        """{"question":"q","context":"c","answers":{"text":["c"],"answer_start":[0]}}""")]
    public void Columns_of_well_known_sets_are_read_as_the_tasks_own(string row, string expected)
    {
        string read = Assert.Single(
            RowSource.From([folder.Write("x.jsonl", row)]).ReadAll(foreign: false)).Fields.ToJsonString();
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(read)), read);
    }

    [Fact]
    public void Templates_report_what_is_null_or_absent_at_any_depth_and_answers_may_be_absent_where_rows_are_answered()
    {
        string path = folder.Write("x.jsonl", """
            {"question": "a", "answer": null, "qa": {"q": "x", "a": null}}
            """);
        var template = new RowTemplate(
            new Dictionary<string, string> { ["prompt"] = "{{ question }}{{ qa.q.upper() }}",
            ["completion"] = "{{ answer }}{{ qa.a }}" });
        Assert.Contains("the row has no \"answer\", \"qa.a\", which the row template names",
            DataFolder.Refusal(RowSource.From([path], new RowOptions { Template = template })),
                StringComparison.Ordinal);
        JsonObject answered = RowSource.From([path], new RowOptions { Template = template, Unanswered = true })
            .ReadAll(foreign: true)[0].Fields;
        Assert.Equal(("aX", false), (answered["prompt"]!.GetValue<string>(), answered.ContainsKey("completion")));
        Assert.Equal("a",
            RowSource.From([path],
            new RowOptions { Columns = new Dictionary<string, string> { ["text"] = "question", ["label"] = "answer" },
            Unanswered = true }).ReadAll(foreign: false)[0].Text("text"));
    }
}
