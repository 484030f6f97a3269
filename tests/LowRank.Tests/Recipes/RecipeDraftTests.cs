using LowRank.Recipes;
using LowRank.Tests.Models;

namespace LowRank.Tests.Recipes;

public sealed class RecipeDraftTests
{
    [Theory]
    [InlineData("""{"text": "a", "label": "x"}""", "sequence_classification")]
    [InlineData("""{"tokens": ["a"], "tags": ["O"]}""", "token_classification")]
    [InlineData("""{"question": "q", "context": "c", "answers": {}}""", "question_answering")]
    [InlineData("""{"text": "a", "positive": "b"}""", "embedding")]
    [InlineData("""{"prompt": "a", "completion": "b"}""", "causal_lm")]
    public void Rows_tell_the_task(string row, string task)
    {
        using var tiny = new TinyModel();
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["rows.jsonl"], row + "\n");
        Assert.Equal(task, RecipeDraft.SuggestTask(tiny.Path, folder["rows.jsonl"]));
        Assert.Equal(task, RecipeDraft.SuggestTask("org/name", folder["rows.jsonl"]));
    }

    [Fact]
    public void A_small_model_takes_the_small_preset_and_a_name_on_the_hub_the_usual_one()
    {
        using var tiny = new TinyModel();
        tiny.Save();
        Assert.Equal("small", RecipeDraft.SuggestPreset(tiny.Path, "causal_lm"));
        Assert.Equal("classifier", RecipeDraft.SuggestPreset(tiny.Path, "sequence_classification"));
        Assert.Equal("lora", RecipeDraft.SuggestPreset("org/name", "causal_lm"));
    }

    public static TheoryData<string> Presets => [.. RecipePresets.Names];

    [Theory, MemberData(nameof(Presets))]
    public void What_is_written_is_a_recipe_with_the_presets_values(string preset)
    {
        using var folder = new TemporaryFolder();
        string task = preset == "classifier" ? "sequence_classification" : "causal_lm";
        var draft = new RecipeDraft { Model = "org/name", Train = folder["rows #1 'a'.jsonl"],
            Validation = folder["held.jsonl"], Task = task, Preset = preset, Output = folder["run"] };
        string yaml = draft.ToYaml(folder.Path, "recipe.schema.json");
        Recipe recipe = Recipe.Parse(yaml, folder.Path),
            expected = Recipe.Parse(
                RecipePresets.Text(preset)
                + $"\nmodel: org/name\noutput: run\ndata: {{train: t, validation: held.jsonl}}\n", folder.Path);
        Assert.Equal([folder["rows #1 'a'.jsonl"]], recipe.Data.Train);
        Assert.Equal([folder["held.jsonl"]], recipe.Data.Validation);
        Assert.Equal(expected.Output, recipe.Output);
        Assert.Equal(expected.Training.ToString(),
            (recipe.Training with { LearningRate = expected.Training.LearningRate }).ToString());
        Assert.Equal(expected.EffectiveLearningRate, recipe.EffectiveLearningRate);
        Assert.Equal(expected.ToYaml().Split("adapter:")[1].Split("training:")[0], recipe.ToYaml().Split("adapter:")[1]
            .Split("training:")[0]);
        Assert.All(yaml.Split('\n').Skip(3)
            .Where(line => line.Contains(": ", StringComparison.Ordinal) && !line.Contains("task:")
            && !line.Contains("output:")), line => Assert.Contains("  # ", line));
    }

    [Theory]
    [InlineData("review,sentiment\nlovely stay,good\n", "sequence_classification", "text=review label=sentiment",
        "sequence_classification")]
    [InlineData("id,Answer,Query\n1,green,what colour\n", "causal_lm", "prompt=Query completion=Answer", "causal_lm")]
    [InlineData("stars,opinion of the guest\n5,a long stay with a view\n", "sequence_classification",
        "text=opinion of the guest label=stars", "sequence_classification")]
    [InlineData("passage,q,answer\nc,w,a\n", "question_answering", "question=q context=passage answers=answer",
        "question_answering")]
    [InlineData("a1,b1\nx,y\n", "sequence_classification", "", null)]
    [InlineData("text,label\nx,y\n", "sequence_classification", "", "sequence_classification")]
    public void Columns_that_do_not_fit_are_proposed(string rows, string task, string expected, string? suggested)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["rows.csv"], rows);
        IReadOnlyDictionary<string, string> proposed = ColumnProposal.Create(folder["rows.csv"], task);
        Assert.Equal(expected.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length > 0, proposed.Count > 0);
        Assert.All(proposed,
            column => Assert.Contains($"{column.Key}={column.Value}", expected, StringComparison.Ordinal));
        Assert.Equal(proposed.Count == 0 && !rows.StartsWith("text", StringComparison.Ordinal) ? 2
            : proposed.Count, ColumnProposal.Missing(folder["rows.csv"], task).Count);
        using var bert = new TinyModel("""
            {"model_type": "bert", "vocab_size": 32, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16, "type_vocab_size": 2}
            """);
        if (suggested is not null && task != "causal_lm")
            Assert.Equal(suggested, RecipeDraft.SuggestTask(bert.Path, folder["rows.csv"]));
        var draft = new RecipeDraft { Model = "org/name", Train = folder["rows.csv"], Task = task, Preset = "lora",
            Output = folder["run"], Columns = proposed, UnknownColumns = proposed.Count == 0 ? ["text"] : [] };
        string yaml = draft.ToYaml(folder.Path);
        Assert.Equal(proposed, Recipe.Parse(yaml, folder.Path).Data.Columns);
        Assert.Equal(proposed.Count == 0, yaml.Contains("# columns: {text: …}", StringComparison.Ordinal));
    }
}
