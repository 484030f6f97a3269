using LowRank.Adapters;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tests.Data.Rows;
using LowRank.Training;

namespace LowRank.Tests.Recipes;

/// <summary>Runs on streamed, mixed and split data, from the recipe to the adapter.</summary>
[Collection("alone")]
public sealed class StreamingRunTests : IDisposable
{
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_run_on_a_stream_that_was_stopped_and_resumed_is_the_one_that_was_not()
    {
        folder.Write("rows.csv",
            "question,answer\n"
            + string.Concat(Enumerable.Range(0, 30).Select(i => $"name: The Lamp {i},It is hotel {i}.\n")));
        byte[] whole = Train("whole", stopAfter: null), stopped = Train("stopped", stopAfter: 3);
        Assert.NotEqual(whole, stopped);
        Assert.Equal(whole, Train("stopped", stopAfter: null, resume: true));
        Assert.True(File.Exists(Path.Combine(folder.Path, "stopped", "stream.marks")));
    }

    [Fact]
    public void Weights_and_a_share_held_out_reach_the_run()
    {
        folder.Write("a.jsonl",
            string.Concat(
                Enumerable.Range(0, 40)
                .Select(i => $"{{\"instruction\": \"Name hotel {i}.\", \"output\": \"The Lamp {i}\"}}\n")));
        folder.Write("b.jsonl",
            string.Concat(Enumerable.Range(0, 10).Select(i => $"{{\"text\": \"The Red Fox {i} is an inn.\"}}\n")));
        using RecipeRun run = RecipeRun.Prepare(
            Parse("mixed",
            "data: {train: [a.jsonl, b.jsonl], weights: [1, 1], validation_share: 0.2}\ntraining: {steps: 1, " +
            "batch_size: 2}\ncomparison: {generations: 1, max_new_tokens: 2}"));
        int kept = run.Rows.Training / 2; // of the larger source; the smaller one gives as many
        Assert.InRange(kept, 22, 39); // 32 expected, the standard deviation is 2.5; which ones is fixed
        Assert.InRange(kept + run.Rows.Validation, 40, 50);
        Assert.Contains(
            run.Notes, note =>
            note.Contains(
                $"b.jsonl: {kept} of {2 * kept} rows per pass (50.0 %), each of its", StringComparison.Ordinal));
        Assert.Contains(run.Notes, note => note.Contains("rows have Alpaca's form", StringComparison.Ordinal));
        Assert.StartsWith(
            "Below is an instruction", run.Compare(run.Measure()!, run.Measure()!).Prompts[0],
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_bad_row_in_the_first_steps_of_a_stream_is_reported_and_leaves_a_lent_base_without_an_adapter()
    {
        folder.Write("rows.jsonl", """{"text": "The Lamp"}""" + "\n" + """{"text": 3}""" + "\n");
        using PretrainedModel lent = PretrainedModel.Open(Path.Combine(RepositoryFiles.Root, "models", "base"));
        Recipe recipe = Parse("broken",
            "base_dtype: float32\ndata: {train: rows.jsonl, streaming: true}\n" +
            "training: {steps: 4, batch_size: 1, shuffle: false}");
        string said = Assert.Throws<InputException>(
            () => RecipeRun.Prepare(
                recipe, progress: null, hub: null, (_, _, _, _) => lent, CancellationToken.None)).Message;
        Assert.Contains("rows.jsonl:2", said, StringComparison.Ordinal);
        Assert.All(AdaptableLayer.From(lent.Network).Values, layer => Assert.Empty(layer.Slot.Adapters));
    }

    [Fact]
    public void A_side_of_a_split_without_rows_is_said_in_words()
    {
        folder.Write("a.jsonl", "{\"text\": \"one\"}\n");
        string said = Assert.Throws<InputException>(
            () => RecipeRun.Prepare(Parse("split", "data: {train: a.jsonl, validation_share: 0.5}"))).Message;
        Assert.Matches(
            @"No row of \S+a\.jsonl is (held out|left for training) \(data\.validation_share, 50.0 %, seed 42\)",
            said);
    }

    [Theory]
    [InlineData("data: {train: a, streaming: true}", "data.streaming needs training.steps")]
    [InlineData("data: {train: a, streaming: true, deduplicate: true}\ntraining: {steps: 1}",
        "data.deduplicate needs all rows")]
    [InlineData("data: {train: a, streaming: true}\ntraining: {steps: 1, share_prompts: grouped}",
        "data.streaming does not go with training.share_prompts: grouped")]
    [InlineData("data: {train: a, streaming: true}\ntask: masked_lm\ntraining: {steps: 1}",
        "data.streaming works with task causal_lm only")]
    [InlineData("data: {train: a, shuffle_buffer: 5}",
        "data.shuffle_buffer has no effect without data.streaming: true")]
    [InlineData("data: {train: [a, b], weights: [1]}", "data.weights has 1 numbers, expected 2")]
    [InlineData("data: {train: a, weights: [0]}", "data.weights is 0, expected a number above 0")]
    [InlineData("data: {train: a, streaming: true, shuffle_buffer: 8}\ntraining: {steps: 1, shuffle: false}",
        "data.shuffle_buffer has no effect with training.shuffle: false")]
    [InlineData("data: {train: a, validation: b, validation_share: 0.1}",
        "data.validation_share and data.validation are both given")]
    [InlineData("data: {train: a, split_seed: 1}", "data.split_seed has no effect without data.validation_share")]
    [InlineData("data: {train: a, template: {prompt: x}}",
        "data.template cannot be used: data.template has prompt; expected text")]
    [InlineData("data: {train: a, template: {text: '{% if %}'}}",
        "data.template cannot be used: data.template.text cannot be used: line 1")]
    [InlineData("data: {train: a, columns: [b]}", "data.columns is a list, expected a map of names to names")]
    public void What_contradicts_itself_is_refused(string yaml, string expected) =>
        Assert.Contains(
            expected, Assert.Throws<InputException>(() => Parse("out", yaml)).Message, StringComparison.Ordinal);

    private byte[] Train(string output, int? stopAfter, bool resume = false)
    {
        using var stop = new CancellationTokenSource();
        using RecipeRun run = RecipeRun.Prepare(Parse(output,
            "data: {train: rows.csv, columns: {prompt: question, completion: answer}, streaming: true, " +
                "shuffle_buffer: 8}\nadapter: {rank: 2, dropout: 0.1}\ntraining: {steps: 6, batch_size: 3, " +
                "gradient_accumulation: 2, learning_rate: 0.01, save_every: 2, threads: 1}"));
        run.Train(new Stopper(stop, stopAfter), resume, stop.Token);
        return File.ReadAllBytes(Path.Combine(folder.Path, output, "adapter", "adapter_model.safetensors"));
    }

    private Recipe Parse(string output, string yaml) =>
        Recipe.Parse($"model: {Path.Combine(RepositoryFiles.Root, "models", "base")}\noutput: {output}\n{yaml}\n",
            folder.Path);

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

    [Fact]
    public void A_share_that_is_held_out_serves_all_that_needs_held_out_data()
    {
        Recipe recipe =
            Parse("share",
            "data: {train: a.jsonl, validation_share: 0.5}\ntraining: {patience: 2}\ncomparison: {generations: 1, " +
            "every_evaluation: true}");
        Assert.Equal(recipe.ToYaml(), Recipe.Parse(recipe.ToYaml(), "/").ToYaml());
    }
}
