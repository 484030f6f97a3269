using System.Text.Json.Nodes;
using LowRank.Cli.Commands;
using LowRank.Cli.Common;
using LowRank.Data;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tasks;

namespace LowRank.Tests.Tasks;

/// <summary>What answering and training say of texts that do not fit the model.</summary>
public sealed class PredictionNoteTests : IDisposable
{
    private const string Gpt2 = """
        {"model_type": "gpt2", "vocab_size": 32, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 12, "embd_pdrop": 0, "attn_pdrop": 0, "resid_pdrop": 0}
        """;

    private readonly TinyTask tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData("sequence_classification")]
    [InlineData("embedding")]
    [InlineData("masked_lm")]
    public void A_text_that_is_cut_is_said_before_the_first_answer(string task)
    {
        var settings = new TaskSettings { Labels = ["a", "b"] };
        using PretrainedModel model = tiny.Model(task, settings);
        var notes = new List<Words>();
        IEnumerable<JsonObject> answers = tiny.Start(task, model, settings)
            .Predict(
                tiny.Rows(
                    ["""{"text": "good"}""".Replace(
                        "good", task == "masked_lm" ? "[MASK]" : "good", StringComparison.Ordinal),
            $$"""{"text": "[MASK] {{string.Concat(Enumerable.Repeat("rome ", 30))}}"}"""]), 4, notes);
        Assert.Contains(
            "1 text was longer than --max-length 16 and lost its end",
            Assert.Single(notes).In(CommandWording.Of(new PredictCommand().Build())), StringComparison.Ordinal);
        Assert.Equal(2, answers.Count());
    }

    [Fact]
    public void An_answer_stands_where_code_points_say()
    {
        var settings = new TaskSettings { MaxLength = 16, Stride = 2 };
        using PretrainedModel model = tiny.Model("question_answering", settings);
        const string context = "😀😀😀 the tower is in paris today";
        JsonObject answer =
            Assert.Single(
                tiny.Start("question_answering", model, settings)
                .Predict(
                    tiny.Rows([new JsonObject { ["question"] = "where", ["context"] = context }.ToJsonString()]), 1));
        int[] points = [.. context.EnumerateRunes().Select(rune => rune.Value)];
        string text = string.Concat(
            points[answer["start"]!.GetValue<int>()..answer["end"]!.GetValue<int>()].Select(char.ConvertFromUtf32));
        Assert.Equal(answer["answer"]!.GetValue<string>(), text);
        Assert.NotEmpty(text);
    }

    [Fact]
    public void An_answer_that_cuts_a_token_is_said()
    {
        var settings = new TaskSettings { MaxLength = 16, Stride = 2 };
        using PretrainedModel model = tiny.Model("question_answering", settings);
        TaskData data = tiny.Start("question_answering", model, settings)
            .Read(tiny.Rows(
                ["""{"question": "where", "context": "the tower is in paris", "answers": {"text": ["par"], "answer_start": [16]}}""",
            """{"question": "where", "context": "😀 tower is in paris", "answers": {"text": ["paris"], "answer_start": [14]}}"""]));
        Assert.Contains(
            "1 answer begins or ends inside a token", Assert.Single(data.Warnings).ToString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_prompt_near_the_models_positions_does_not_end_all()
    {
        using var decoder = new TinyTask(Gpt2);
        var settings = new TaskSettings();
        using PretrainedModel model = decoder.Model("causal_lm", settings);
        var task = (IGeneratingTask)decoder.Start("causal_lm", model, settings);
        Row[] prompts =
            [.. new[] { 1, 8, 9, 20, 2 }.Select(
                words => new Row(
                    default, new JsonObject { ["prompt"] = string.Join(' ', Enumerable.Repeat("rome", words)) }))];
        var four = new LowRank.Generation.GenerationOptions { MaxNewTokens = 4 };
        string[] together = [.. task.Generate(prompts, 5, four)];
        string[] notes = [.. task.GenerationNotes.Select(note => note.ToString())];
        Assert.Equal(5, together.Length);
        Assert.Equal("", together[3]);
        for (int i = 0; i < prompts.Length; i++)
            Assert.Equal(task.Generate([prompts[i]], 1, four).Single(), together[i]);
        Assert.Equal(2, notes.Length);
        Assert.Contains(
            "2 texts were ended early: the model's context holds 12 tokens", notes[0], StringComparison.Ordinal);
        Assert.Contains("1 prompt leaves no room for a text", notes[1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_length_beyond_the_models_positions_is_said_to_be_lowered()
    {
        using (PretrainedModel model = tiny.Model("sequence_classification", new TaskSettings { Labels = ["a", "b"] }))
            tiny.Save(model);
        tiny.Rows(["""{"text": "good", "label": "a"}""", """{"text": "bad", "label": "b"}"""]);
        Recipe Of(int length) =>
            Recipe.Parse(
                $"{{model: '{tiny.Path}', task: sequence_classification, data: {{train: rows.jsonl}}, training: " +
                $"{{max_length: {length}}}, output: out}}", tiny.Path);
        using (RecipeRun run = RecipeRun.Prepare(Of(2000)))
            Assert.Contains(
                "training.max_length 2000 is lowered to 16, the number of positions of the model", run.Notes);
        using (RecipeRun run = RecipeRun.Prepare(Of(16)))
            Assert.DoesNotContain(run.Notes, note => note.Contains("max_length", StringComparison.Ordinal));
    }
}
