using System.Text.Json.Nodes;
using LowRank.Recipes;
using LowRank.Tests.Data.Rows;
using LowRank.Training;

namespace LowRank.Tests.Recipes;

/// <summary>Runs that learn from preferences, from the recipe to the adapter.</summary>
public sealed class PreferenceRunTests : IDisposable
{
    private readonly DataFolder folder = new();

    public PreferenceRunTests()
    {
        folder.Write("pairs.jsonl", string.Concat(Enumerable.Range(0, 12).Select(i =>
            $$"""{"prompt": "name: The Lamp {{i}}\n", "chosen": "The Lamp {{i}} is an inn.", "rejected": "A nice place {{i}}."}""" + "\n")));
        folder.Write("rated.jsonl", string.Concat(Enumerable.Range(0, 12).Select(i =>
            $$"""{"prompt": "name: The Lamp {{i}}\n", "completion": "The Lamp {{i}} is an inn.", "label": {{(i % 3 > 0 ? "true" : "false")}}}""" + "\n")));
    }

    public void Dispose() => folder.Dispose();

    [Theory, InlineData("dpo"), InlineData("kto"), InlineData("orpo")]
    public void A_run_that_was_stopped_and_resumed_is_the_one_that_was_not(string type)
    {
        byte[] whole = Train("whole", type, stopAfter: null), stopped = Train("stopped", type, stopAfter: 3);
        Assert.NotEqual(whole, stopped);
        Assert.Equal(whole, Train("stopped", type, stopAfter: null, resume: true));
        JsonNode[] lines = [.. File.ReadLines(Path.Combine(folder.Path, "whole", "metrics.jsonl"))
            .Select(line => JsonNode.Parse(line)!)];
        Assert.All(lines.Where(line => line["loss"] is not null), line => Assert.NotNull(line["rewards/chosen"]));
        Assert.All(lines.Where(line => line["eval_loss"] is not null), line => Assert.NotNull(
            line["eval_logps/chosen"]));
    }

    [Fact]
    public void A_run_goes_on_from_an_adapter_which_is_then_its_reference()
    {
        Train("first", "orpo", stopAfter: null);
        using RecipeRun run = RecipeRun.Prepare(Parse("second",
            "data: {train: pairs.jsonl}\nobjective: {type: dpo}\nadapter: {rank: 2}\n" +
            "training: {steps: 1, batch_size: 4, init_adapter: first/adapter, threads: 1}"));
        var losses = new List<double>();
        run.Train(new Losses(losses), resume: false, CancellationToken.None);
        Assert.Equal(Math.Log(2), Assert.Single(losses), 1e-6);
    }

    [Theory]
    [InlineData("objective: {type: dpo, gamma: 1}", "objective.gamma has no effect with objective.type dpo, only " +
        "with simpo")]
    [InlineData("objective: {type: kto, loss: hinge}", "objective.loss has no effect with objective.type kto, only " +
        "with dpo")]
    [InlineData("objective: {beta: 0.2}", "objective.beta has no effect with objective.type sft")]
    [InlineData("objective: {type: dpo, loss: [sigmoid, nca]}", "objective.loss has nca, expected some of sigmoid, " +
        "hinge")]
    [InlineData("objective: {type: dpo, loss: [sigmoid, sft], loss_weights: [1]}",
        "objective.loss_weights has 1 numbers, and objective.loss names 2")]
    [InlineData("objective: {type: dpo, label_smoothing: 0.1}",
        "objective.label_smoothing has no effect with objective.loss sigmoid, only with robust, exo, aot")]
    [InlineData("objective: {type: dpo, loss: exo}", "objective.label_smoothing is missing, and the loss exo")]
    [InlineData("objective: {type: dpo, reference: adapter}", "objective.reference is adapter, and training starts " +
        "from a new one")]
    [InlineData("objective: {type: orpo, reference: base}", "objective.reference has no effect with objective.type " +
        "orpo")]
    [InlineData("objective: {type: ppo}", "expected one of sft, dpo, kto, orpo, cpo, simpo")]
    [InlineData("objective: {type: dpo}\nadapter: {dropout: 0.1}", "adapter.dropout has no effect with " +
        "objective.type dpo")]
    [InlineData("objective: {type: reward}", "objective.type is reward, which is a task: set task: reward")]
    [InlineData("objective: {type: dpo}\ncomparison: {data: b, references: 3}",
        "comparison.references has no effect with objective.type dpo")]
    [InlineData("objective: {type: dpo}\ntask: masked_lm", "objective works with task causal_lm only")]
    [InlineData("objective: {type: dpo}\ntraining: {batch_tokens: 100}", "training.batch_tokens has no effect with " +
        "objective.type dpo")]
    public void What_contradicts_itself_is_refused(string yaml, string expected) => Assert.Contains(
        expected, Assert.Throws<InputException>(() => Parse("out", "data: {train: a}\n" + yaml)).Message,
        StringComparison.Ordinal);

    [Fact]
    public void Without_an_adapter_no_reference_is_left()
    {
        string said = Assert.Throws<InputException>(() => RecipeRun.Prepare(Parse("full",
            "data: {train: pairs.jsonl}\nobjective: {type: dpo}\nadapter: {method: full}\ntraining: {steps: " +
                "1}"))).Message;
        Assert.Contains("adapter.method: full changes it", said, StringComparison.Ordinal);
    }

    [Fact]
    public void A_precomputed_reference_gives_the_same_run() => Assert.Equal(
        Train("base", "dpo", stopAfter: null), Train("first", "dpo, reference: precomputed", stopAfter: null));

    [Theory, InlineData("dpo, reference: precomputed"), InlineData("orpo")]
    public void Every_weight_is_trained_where_the_reference_needs_none_of_them(string objective)
    {
        using RecipeRun run = RecipeRun.Prepare(Parse("full",
            $"data: {{train: pairs.jsonl}}\nobjective: {{type: {objective}}}\nadapter: {{method: full}}\n" +
            "training: {steps: 3, batch_size: 4, learning_rate: 0.001, threads: 1}"));
        var losses = new List<double>();
        run.Train(new Losses(losses), resume: false, CancellationToken.None);
        if (objective != "orpo") Assert.Equal(Math.Log(2), losses[0], 1e-6);
        Assert.True(losses[2] < losses[0]);
    }

    // Initialisations look at gradients before there is a reference.
    [Theory, InlineData("lora_ga", "dpo"), InlineData("eva", "dpo"), InlineData("dora", "dpo"), InlineData("vera",
        "simpo"),
        InlineData("prompt_tuning", "dpo"), InlineData("ia3", "orpo"), InlineData("lora", "cpo")]
    public void Methods_and_objectives_go_together(string method, string type)
    {
        using RecipeRun run = RecipeRun.Prepare(Parse($"{method}-{type}",
            $"data: {{train: pairs.jsonl}}\nobjective: {{type: {type}}}\n" +
            $"adapter: {{method: {method}}}\ntraining: {{steps: 3, batch_size: 12, learning_rate: 0.01, threads: 1}}"));
        var losses = new List<double>();
        run.Train(new Losses(losses), resume: false, CancellationToken.None);
        Assert.True(losses[2] < losses[0], $"{method}, {type}: {string.Join(", ", losses)}");
    }

    [Fact]
    public void Preferences_are_learned_at_a_tenth_of_the_rate_of_texts()
    {
        Assert.Equal(2e-5, Parse("a", "data: {train: a}\nobjective: {type: dpo}").EffectiveLearningRate, 1e-12);
        Assert.Equal(2e-4, Parse("a", "data: {train: a}").EffectiveLearningRate, 1e-12);
    }

    [Fact]
    public void Rows_that_are_no_pairs_are_all_reported()
    {
        folder.Write("bad.jsonl", "{\"text\": \"a\"}\n{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"a\"}\n");
        string said = Assert.Throws<InputException>(() => RecipeRun.Prepare(Parse("bad",
            "data: {train: bad.jsonl}\nobjective: {type: dpo}\ntraining: {steps: 1}"))).Message;
        Assert.Contains("bad.jsonl:1: the row has no \"chosen\"", said, StringComparison.Ordinal);
        Assert.Contains("bad.jsonl:2: \"chosen\" and \"rejected\" are the same", said, StringComparison.Ordinal);
    }

    private byte[] Train(string output, string type, int? stopAfter, bool resume = false)
    {
        using var stop = new CancellationTokenSource();
        using RecipeRun run = RecipeRun.Prepare(Parse(output,
            $"data: {{train: {(type == "kto" ? "rated" : "pairs")}.jsonl, validation_share: 0.3}}\n" +
            $"objective: {{type: {type}}}\nadapter: {{rank: 2}}\ntraining: {{steps: 6, batch_size: 2, " +
            "gradient_accumulation: 2, learning_rate: 0.01, save_every: 2, eval_every: 3, threads: 1}"));
        run.Train(new Stopper(stop, stopAfter), resume, stop.Token);
        return File.ReadAllBytes(Path.Combine(folder.Path, output, "adapter", "adapter_model.safetensors"));
    }

    private Recipe Parse(string output, string yaml) =>
        Recipe.Parse($"model: {Path.Combine(RepositoryFiles.Root, "models", "base")}\noutput: {output}\n{yaml}\n",
            folder.Path);

    private sealed class Losses(List<double> losses) : ITrainingObserver
    {
        public void Started(TrainingPlan plan)
        {
        }

        public void Stepped(TrainingStep step) => losses.Add(step.Loss);

        public void Evaluated(EvaluationResult evaluation)
        {
        }

        public void Finished(TrainingResult result)
        {
        }
    }

    private sealed class Stopper(CancellationTokenSource stop, int? after) : ITrainingObserver
    {
        public void Started(TrainingPlan plan)
        {
        }

        public void Stepped(TrainingStep step)
        {
            if (step.Step == after) stop.Cancel();
        }

        public void Evaluated(EvaluationResult evaluation)
        {
        }

        public void Finished(TrainingResult result)
        {
        }
    }
}
