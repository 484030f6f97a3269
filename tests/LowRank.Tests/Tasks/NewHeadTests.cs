using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tasks;
using LowRank.Training;

namespace LowRank.Tests.Tasks;

/// <summary>A classifier's base for a task with other labels.</summary>
public sealed class NewHeadTests : IDisposable
{
    private const string Classifier = """
        {"model_type": "bert", "vocab_size": 32, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
         "max_position_embeddings": 16, "type_vocab_size": 2, "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0,
         "architectures": ["BertForSequenceClassification"], "id2label": {"0": "x", "1": "y", "2": "z"}}
        """;

    private readonly TinyTask tiny = new(Classifier);

    public NewHeadTests()
    {
        using PretrainedModel model =
            tiny.Model("sequence_classification", new TaskSettings { Labels = ["x", "y", "z"] });
        tiny.Save(model);
        tiny.Rows(["""{"text": "good", "label": "a"}""", """{"text": "bad", "label": "b"}"""]);
    }

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void Without_the_key_the_refusal_names_it()
    {
        InputException failure = Assert.Throws<InputException>(() => RecipeRun.Prepare(Recipe("")));
        Assert.Contains(
            "is a classifier with 3 scores, and the data asks for 2 (a, b). Begin with a new head " +
            "(task_options.new_head: true)",
            failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void With_it_the_head_is_new_trained_saved_and_merged()
    {
        string adapter;
        using (RecipeRun run = RecipeRun.Prepare(Recipe("task_options: {new_head: true}, ")))
        {
            Assert.Contains(
                run.Notes, note =>
                note.Contains(
                    "the head is a new one (task_options.new_head), which starts at random: classifier.weight",
                    StringComparison.Ordinal));
            run.Train(new ObserverGroup([]));
            adapter = Path.Combine(run.Recipe.Output, "adapter");
        }
        using TaskModel opened = TaskModel.Open(tiny.Path, adapter);
        JsonObject[] answers = [.. opened.Task.Predict(RowSource.From([Path.Combine(tiny.Path, "rows.jsonl")]), 2)];
        Assert.Equal(["a", "b"], answers[0]["probabilities"]!.AsObject().Select(label => label.Key));
        string merged = Path.Combine(tiny.Path, "merged");
        AdapterMerge.Write(opened.Model, opened.Adapter!, merged);
        using TaskModel whole = TaskModel.Open(merged);
        JsonObject[] again = [.. whole.Task.Predict(RowSource.From([Path.Combine(tiny.Path, "rows.jsonl")]), 2)];
        for (int i = 0; i < answers.Length; i++)
            Assert.Equal(answers[i]["probability"]!.GetValue<float>(),
                again[i]["probability"]!.GetValue<float>(), 1e-5);
    }

    private Recipe Recipe(string options) => LowRank.Recipes.Recipe.Parse(
        $"{{model: '{tiny.Path}', task: sequence_classification, {options}data: {{train: rows.jsonl}}, training: " +
            "{steps: 1, batch_size: 2, max_length: 16}, output: out}", tiny.Path);
}
