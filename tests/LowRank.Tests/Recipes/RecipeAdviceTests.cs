using LowRank.Recipes;
using LowRank.Tests.Models;
using LowRank.Tests.Tensors;

namespace LowRank.Tests.Recipes;

public sealed class RecipeAdviceTests : IDisposable
{
    private readonly TinyModel tiny = new();
    private readonly TemporaryFolder folder = new();

    public RecipeAdviceTests()
    {
        tiny.Save();
        File.WriteAllText(folder["rows.jsonl"], string.Concat(Enumerable.Repeat("{\"input_ids\": [1, 2, 3, 4], \"labels\": [-100, 2, 3, 4]}\n", 10)));
    }

    public void Dispose()
    {
        tiny.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData("adapter: {rank: 17, target_modules: all-linear}", "rank 17 is over the size of 14 adapted layers (first model.layers.0.self_attn.q_proj, 16 x 16)")]
    [InlineData("adapter: {rank: 9, target_modules: [k_proj]}", "rank 9 is over the size of 2 adapted layers")]
    [InlineData("adapter: {rank: 2, target_modules: [q_proj, k_proj], rank_pattern: {k_proj: 9}}", "rank 9 is over the size of 2 adapted layers")]
    [InlineData("adapter: {rank: 2, alpha: 64}", "scales every change by 32")]
    [InlineData("training: {learning_rate: 2e-5}", "an adapter takes about ten times the rate of training every weight")]
    [InlineData("training: {learning_rate: 0.5}", "far over 2e-4")]
    [InlineData("adapter: {method: full}\ntraining: {learning_rate: 1e-7}", "far below 2e-5")]
    [InlineData("training: {steps: 5, warmup_steps: 5}", "the run has 5 steps: the learning rate never reaches its value")]
    public void A_choice_that_is_known_to_fail_is_told(string yaml, string expected) => Assert.Contains(expected, string.Join('\n', Advice(yaml)));

    [Theory]
    [InlineData("")]
    [InlineData("adapter: {rank: 8, target_modules: [k_proj]}")]
    [InlineData("adapter: {rank: 16, alpha: 64, use_rslora: true, target_modules: [q_proj]}\ntraining: {learning_rate: 5e-3}")]
    [InlineData("adapter: {method: full}\ntraining: {learning_rate: 5e-5, epochs: 3, warmup_steps: 1}")]
    [InlineData("adapter: {method: ia3}")]
    public void Usual_choices_are_not_commented_on(string yaml) => Assert.Empty(Advice(yaml));

    [Fact]
    public void An_output_that_cannot_be_made_is_told_with_all_else()
    {
        File.WriteAllText(folder["file"], "x");
        InputException refused = Assert.Throws<InputException>(() => Prepare("", output: folder["file/run"]));
        Assert.Contains($"{folder["file"]} is a file", refused.Message);
    }

    [Fact]
    public void Sizes_are_those_of_the_weights()
    {
        using RecipeRun run = Prepare("adapter: {rank: 2, target_modules: [q_proj]}\ntraining: {batch_size: 3, epochs: 2}");
        TrainingEstimate sizes = run.Sizes();
        Assert.Equal(2 * 2 * (16 + 16), sizes.TrainedParameters);
        Assert.Equal(sizes.TrainedParameters * 4, sizes.AdapterBytes);
        Assert.Equal(sizes.TrainedParameters * 8, sizes.OptimizerBytes);
        Assert.Equal((4, 8), (sizes.StepsPerEpoch, sizes.TotalSteps));
        Assert.Null(run.MemoryProblem(sizes));
        Assert.Contains("are free", run.MemoryProblem(sizes with { WeightBytes = 1L << 50 }));
    }

    private IReadOnlyList<string> Advice(string yaml)
    {
        using RecipeRun run = Prepare(yaml);
        return run.Advice;
    }

    private RecipeRun Prepare(string yaml, string? output = null) =>
        RecipeRun.Prepare(Recipe.Parse($"model: {tiny.Path}\ndata: {{train: rows.jsonl}}\noutput: {output ?? "run"}\n{yaml}\n", folder.Path));
}
