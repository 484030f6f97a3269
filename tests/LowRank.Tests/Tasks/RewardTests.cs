using System.Text.Json.Nodes;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tasks;
using LowRank.Training;

namespace LowRank.Tests.Tasks;

/// <summary>Reward models on a tiny BERT: rows, what they learn, and scores.</summary>
public sealed class RewardTests : IDisposable
{
    private const string Task = "reward";
    private static readonly string[] Pairs =
    [
        """{"prompt": "the tower", "chosen": " is good", "rejected": " is bad"}""",
        """{"chosen": "rome is good", "rejected": "rome is bad", "margin": 0.5}""",
        """{"prompt": "paris", "chosen": " good", "rejected": " bad", "margin": 0}""",
    ];

    private readonly TinyTask tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void Pairs_contain_their_prompt_and_margin()
    {
        using PretrainedModel model = tiny.Model(Task, new TaskSettings());
        TaskData data = tiny.Start(Task, model, new TaskSettings()).Read(tiny.Rows(Pairs));
        RewardPair[] pairs = [.. data.Examples.Cast<RewardPair>()];
        Assert.Equal(tiny.Tokenizer.Encode("the tower is good"), pairs[0].Chosen.Ids);
        Assert.Equal(tiny.Tokenizer.Encode("the tower is bad"), pairs[0].Rejected.Ids);
        Assert.Equal([0, 0.5, 0], pairs.Select(pair => pair.Margin));
        Assert.Equal(tiny.Tokenizer.Encode("rome is good"), pairs[1].Chosen.Ids);
    }

    [Theory]
    [InlineData("""{"prompt": "a", "chosen": "good"}""", "the row has no \"rejected\"")]
    [InlineData("""{"chosen": "good", "rejected": 3}""", "expected texts, or lists of messages")]
    [InlineData("""{"chosen": "good", "rejected": "bad", "margin": "much"}""", "expected a number: by how much the chosen answer is better")]
    [InlineData("""{"prompt": "a", "chosen": [{"role": "user", "content": "a"}], "rejected": "bad"}""",
        "\"chosen\" is a list of messages and \"prompt\" is")]
    [InlineData("""{"chosen": "", "rejected": "bad"}""", "The text is empty")]
    public void Rows_that_are_no_pairs_say_why(string row, string reason)
    {
        using PretrainedModel model = tiny.Model(Task, new TaskSettings());
        ITask task = tiny.Start(Task, model, new TaskSettings());
        Assert.Contains(reason, Assert.Throws<InputException>(() => task.Read(tiny.Rows([row]))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Pairs_with_a_longer_answer_are_left_out_and_told()
    {
        using PretrainedModel model = tiny.Model(Task, new TaskSettings());
        var settings = new TaskSettings { MaxLength = 6 };
        TaskData data = tiny.Start(Task, model, settings).Read(tiny.Rows(
            [.. Pairs, """{"chosen": "good", "rejected": "bad bad bad bad bad"}"""]));
        Assert.Equal(3, data.Examples.Count);
        Assert.Contains(data.Warnings, note => note.ToString().Contains("1 pair has an answer longer than"));
        Assert.Contains("the shortest has 7", Assert.Throws<InputException>(() => tiny.Start(Task, model,
            settings).Read(
            tiny.Rows(["""{"chosen": "good", "rejected": "bad bad bad bad bad"}"""]))).Message);
    }

    [Fact]
    public void A_trained_reward_model_prefers_the_better_answers_and_scores_texts()
    {
        using (PretrainedModel model = tiny.Model(Task, new TaskSettings())) tiny.Save(model);
        tiny.Rows(Pairs);
        var recipe = LowRank.Recipes.Recipe.Parse(
            $"{{model: '{tiny.Path}', task: reward, task_options: {{center_rewards_coefficient: 0.01, new_head: " +
                $"true}}, " +
            "data: {train: rows.jsonl, validation: rows.jsonl}, training: {steps: 30, batch_size: 3, max_length: 16, " +
            "learning_rate: 0.05}, output: out}", tiny.Path);
        var seen = new Evaluations();
        using (RecipeRun run = RecipeRun.Prepare(recipe)) run.Train(seen);
        IReadOnlyDictionary<string, double?> metrics = seen.Last!.Metrics;
        Assert.Equal(1, metrics["accuracy"]);
        Assert.True(metrics["margin"] > 0.2, $"margin {metrics["margin"]}");
        Assert.InRange(metrics["mean_reward"]!.Value, metrics["min_reward"]!.Value, metrics["max_reward"]!.Value);
        using TaskModel opened = TaskModel.Open(tiny.Path, Path.Combine(tiny.Path, "out", "adapter"));
        Assert.Equal(Task, opened.Kind.Name);
        JsonObject[] answers = [.. opened.Task.Predict(tiny.Rows(
        [
            """{"prompt": "the tower", "completion": " is good"}""", """{"text": "the tower is bad"}""",
            """{"prompt": "the tower", "chosen": " is good", "rejected": " is bad"}""",
        ]), 2)];
        float good = answers[0]["score"]!.GetValue<float>(), bad = answers[1]["score"]!.GetValue<float>();
        Assert.True(good > bad + 0.2);
        Assert.Equal(good, answers[2]["chosen_score"]!.GetValue<float>(), 1e-5);
        Assert.Equal(bad, answers[2]["rejected_score"]!.GetValue<float>(), 1e-5);
        Assert.Contains("\"text_pair\"", Assert.Throws<InputException>(() => opened.Task.Predict(
            tiny.Rows(["""{"text": "a", "text_pair": "b"}"""]), 2).ToList()).Message);
    }

    private sealed class Evaluations : ITrainingObserver
    {
        public EvaluationResult? Last { get; private set; }

        public void Started(TrainingPlan plan) => Assert.Equal(30, plan.Steps);

        public void Stepped(TrainingStep step) => Assert.Null(step.Skipped);

        public void Evaluated(EvaluationResult evaluation) => Last = evaluation;

        public void Finished(TrainingResult result) => Assert.Equal(30, result.Steps);
    }
}
