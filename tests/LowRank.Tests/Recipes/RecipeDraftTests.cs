using LowRank.Recipes;
using LowRank.Tests.Models;
using LowRank.Tests.Tensors;

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
        var draft = new RecipeDraft { Model = "org/name", Train = folder["rows #1 'a'.jsonl"], Validation = folder["held.jsonl"], Task = task, Preset = preset, Output = folder["run"] };
        string yaml = draft.ToYaml(folder.Path, "recipe.schema.json");
        Recipe recipe = Recipe.Parse(yaml, folder.Path), expected = Recipe.Parse(RecipePresets.Text(preset) + $"\nmodel: org/name\noutput: run\ndata: {{train: t, validation: held.jsonl}}\n", folder.Path);
        Assert.Equal([folder["rows #1 'a'.jsonl"]], recipe.Data.Train);
        Assert.Equal([folder["held.jsonl"]], recipe.Data.Validation);
        Assert.Equal(expected.Output, recipe.Output);
        Assert.Equal(expected.Training.ToString(), (recipe.Training with { LearningRate = expected.Training.LearningRate }).ToString());
        Assert.Equal(expected.EffectiveLearningRate, recipe.EffectiveLearningRate);
        Assert.Equal(expected.ToYaml().Split("adapter:")[1].Split("training:")[0], recipe.ToYaml().Split("adapter:")[1].Split("training:")[0]);
        Assert.All(yaml.Split('\n').Skip(3).Where(line => line.Contains(": ", StringComparison.Ordinal) && !line.Contains("task:") && !line.Contains("output:")), line => Assert.Contains("  # ", line));
    }
}
