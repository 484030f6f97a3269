using LowRank.Recipes;
using LowRank.Tests.Models;

namespace LowRank.Tests.Recipes;

public sealed class RecipeAdviceTests : IDisposable
{
    private readonly TinyModel tiny = new();
    private readonly TemporaryFolder folder = new();

    public RecipeAdviceTests()
    {
        tiny.Save();
        File.WriteAllText(
            folder["rows.jsonl"],
            string.Concat(Enumerable.Repeat("{\"input_ids\": [1, 2, 3, 4], \"labels\": [-100, 2, 3, 4]}\n", 10)));
    }

    public void Dispose()
    {
        tiny.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData("adapter: {rank: 17, target_modules: all-linear}",
        "rank 17 is over the size of 14 adapted layers (first model.layers.0.self_attn.q_proj, 16 x 16)")]
    [InlineData("adapter: {rank: 9, target_modules: [k_proj]}", "rank 9 is over the size of 2 adapted layers")]
    [InlineData("adapter: {rank: 2, target_modules: [q_proj, k_proj], rank_pattern: {k_proj: 9}}",
        "rank 9 is over the size of 2 adapted layers")]
    [InlineData("adapter: {rank: 2, alpha: 64}", "scales every change by 32")]
    [InlineData("training: {learning_rate: 2e-5}",
        "an adapter takes about ten times the rate of training every weight")]
    [InlineData("training: {learning_rate: 0.5}", "far over 2e-4")]
    [InlineData("adapter: {method: full}\ntraining: {learning_rate: 1e-7}", "far below 2e-5")]
    [InlineData("training: {steps: 5, warmup_steps: 5}",
        "the run has 5 steps: the learning rate never reaches its value. Set it to 0.")]
    [InlineData("training: {steps: 100, warmup_steps: 100}",
        "the learning rate never reaches its value. Lower it to about 5.")]
    [InlineData("training: {steps: 50, warmup_steps: 1}",
        "trains its only step at rate 0 and changes nothing. Set it to 0, or to 2 or more steps.")]
    [InlineData("training: {steps: 20, warmup_ratio: 0.03}",
        "training.warmup_ratio is 0.03, which is 1 step: a warm-up begins at rate 0")]
    [InlineData("training: {learning_rate: 0.5}",
        "far over 2e-4 to 2e-3, which are usual for lora on a model of this size: the loss tends to rise and not " +
        "come back. Try 2e-3 first.")]
    public void A_choice_that_is_known_to_fail_is_told(string yaml, string expected) =>
        Assert.Contains(expected, string.Join('\n', Advice(yaml)));

    [Theory]
    [InlineData("")]
    [InlineData("adapter: {rank: 8, target_modules: [k_proj]}")]
    [InlineData(
        "adapter: {rank: 16, alpha: 64, use_rslora: true, target_modules: [q_proj]}\ntraining: {learning_rate: 5e-3}")]
    [InlineData("adapter: {method: full}\ntraining: {learning_rate: 5e-5, epochs: 3, warmup_steps: 2}")]
    [InlineData("adapter: {method: ia3}")]
    public void Usual_choices_are_not_commented_on(string yaml) => Assert.Empty(Advice(yaml));

    // What is advised leads nowhere where other advice would be given: following all of it leaves none.
    [Fact]
    public void Following_all_advice_leaves_none()
    {
        foreach (string method in (string[])["lora", "full"])
            foreach (string rate in (string[])["1e-9", "0.5"])
                foreach ((int steps, int warmup) in ((int, int)[])[(5, 5), (100, 100), (50, 1), (1, 1)])
                    foreach ((int rank, double alpha) in method == "full" ? [(8, 16)]
                        : ((int, double)[])[(8, 16), (8, 4000), (40, 4000), (40, 80)])
                        foreach (bool rsLora in method == "full" ? [false] : (bool[])[false, true])
                        {
                            string Yaml(string learningRate, long warm, int r, double a) =>
                                (method == "full" ? "adapter: {method: full}"
                                    : string.Create(System.Globalization.CultureInfo.InvariantCulture,
                                        $"adapter: {{rank: {r}, alpha: {a}, use_rslora: " +
                                        $"{(rsLora ? "true" : "false")}, target_modules: [q_proj]}}"))
                                + $"\ntraining: {{learning_rate: {learningRate}, steps: {steps}, warmup_steps: " +
                                $"{warm}}}";
                            string told = string.Join('\n', Advice(Yaml(rate, warmup, rank, alpha)));
                            string Asked(string pattern, string otherwise) =>
                                System.Text.RegularExpressions.Regex.Match(told, pattern) is { Success: true } match
                                ? match.Groups[1].Value : otherwise;
                            string tried = Asked("Try ([0-9.e+-]+) first", rate);
                            long warm = long.Parse(
                                Asked("Lower it to about ([0-9]+)",
                                told.Contains("Set it to 0", StringComparison.Ordinal) ? "0" : $"{warmup}"));
                            int lower = told.Contains("Lower adapter.rank", StringComparison.Ordinal)
                                ? int.Parse(Asked("no more than ([0-9]+) directions", "")) : rank;
                            double less = double.Parse(
                                Asked("Lower adapter.alpha to about ([0-9]+(?:[.][0-9]+)?)",
                                FormattableString.Invariant($"{alpha * lower / rank}")),
                                System.Globalization.CultureInfo.InvariantCulture);
                            Assert.True(Advice(Yaml(tried, warm, lower, less)) is [],
                                $"{Yaml(rate, warmup, rank, alpha)}\n{told}\n{Yaml(tried, warm, lower,
                                    less)}\n{string.Join('\n', Advice(Yaml(tried, warm, lower, less)))}");
                        }
    }

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
        using RecipeRun run =
            Prepare("adapter: {rank: 2, target_modules: [q_proj]}\ntraining: {batch_size: 3, epochs: 2}");
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
        RecipeRun.Prepare(
            Recipe.Parse($"model: {tiny.Path}\ndata: {{train: rows.jsonl}}\noutput: {output ?? "run"}\n{yaml}\n",
            folder.Path));
}
