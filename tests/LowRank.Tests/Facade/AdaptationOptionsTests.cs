using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.Adapters;
using LowRank.Recipes;
using Microsoft.Extensions.Logging;

namespace LowRank.Tests.Facade;

/// <summary>Typed options are a recipe's keys: none is lost, each has the recipe's default, and messages name
/// them.</summary>
public sealed partial class AdaptationOptionsTests : IDisposable
{
    private readonly LoadedModel tiny = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void Every_key_of_a_recipe_is_an_option_or_has_no_place_in_a_program()
    {
        string[] without =
        [
            "base", // a record's `with`
            "data.weights", // several sources of one run
            "training.from_scratch", // needs adapter.method: full
            "adapter.method_options", // a config's own properties
        ];
        Assert.Equal([], RecipeKeys.All.Select(key => key.Full)
            .Where(key => !key.StartsWith("comparison", StringComparison.Ordinal) // EvaluateAsync before and after
            && !key.StartsWith("adapter.method_options.", StringComparison.Ordinal) && !without.Contains(key)
            && !RecipeKeys.Sections.ContainsKey(key)
            && !AdaptationRecipe.Options.Keys.Any(
                known => known == key || key.StartsWith(known + ".", StringComparison.Ordinal))));
        Assert.Equal([], AdaptationRecipe.Options.Keys.Where(
            key => !RecipeKeys.All.Any(known => known.Full == key)));
    }

    [Fact]
    public void Defaults_are_the_recipes()
    {
        (object?, object?)[] pairs = Pairs(new TrainingOptions(), new TrainingSection(), new DataSection { Train = [] },
            new TaskSection(), TaskOptions.CausalLanguageModel);
        Assert.All(pairs, pair => Assert.Equal(pair.Item1, pair.Item2));
        var minimal = Recipe.Parse("model: m\ndata: {train: r.jsonl}\noutput: o\n", "/");
        Assert.Equal(minimal.Task, new TrainingOptions().Task.Name);
        Assert.Equal((minimal.Device, minimal.BaseDtype, minimal.Tf32), (new LanguageModelOptions().Device,
            new LanguageModelOptions().BaseDtype, new LanguageModelOptions().Tf32));
        Assert.Equal((minimal.ComputeDtype, minimal.BaseHead),
            (new LanguageModelOptions().ComputeDtype, new LanguageModelOptions().BaseHead));
        Assert.Equal(minimal.Training.Seed, new LanguageModelOptions().Seed);
    }

    private static (object?, object?)[] Pairs(
        TrainingOptions o, TrainingSection t, DataSection d, TaskSection k, TaskOptions task) =>
    [
        (t.Epochs, o.Epochs), (t.Steps, o.Steps), (t.BatchSize, o.BatchSize),
        (t.GradientAccumulation, o.GradientAccumulation), (t.Packing, o.Packing), (t.BatchTokens, o.BatchTokens),
        (t.LearningRate, o.LearningRate), (t.Schedule, o.Schedule.ToString().ToLowerInvariant()),
        (t.WarmupSteps, o.WarmupSteps), (t.WarmupRatio, o.WarmupRatio), (t.WeightDecay, o.WeightDecay),
        (t.Beta1, o.Beta1), (t.Beta2, o.Beta2), (t.Epsilon, o.Epsilon), (t.MaxGradNorm, o.MaxGradientNorm),
        (t.MaxLength, o.MaxLength), (t.Shuffle, o.Shuffle), (t.EvalEvery, o.EvaluateEvery),
        (t.EvalBatchSize, o.EvaluationBatchSize), (t.InitAdapter, o.StartFrom), (t.SaveEvery, o.SaveEvery),
        (t.KeepCheckpoints, o.KeepCheckpoints), (t.MaxSkippedSteps, o.MaxSkippedSteps), (t.Patience, o.Patience),
        (t.MinDelta, o.MinDelta), (t.MaxTime, o.MaxTime), (t.MaxTokens, o.MaxTokens), (t.TensorBoard, o.TensorBoard),
        (t.GradientCheckpointing, o.GradientCheckpointing), (d.ValidationShare, o.ValidationShare),
        (d.SplitSeed, o.SplitSeed), (d.TrainOn, o.TrainOn.ToString().ToLowerInvariant()),
        (d.ChatTemplate, o.ChatTemplate), (d.Cache, o.CacheTokens), (d.Streaming, o.Streaming),
        (d.ShuffleBuffer, o.ShuffleBuffer), (k.Labels, task.Labels), (k.Problem, task.Problem),
        (k.NewHead, task.NewHead), (k.Pooling, task.Pooling), (k.Temperature, task.Temperature),
        (k.MaskShare, task.MaskShare), (k.Stride, task.Stride), (k.MaxAnswerTokens, task.MaxAnswerTokens),
        (k.CenterRewardsCoefficient, task.CenterRewardsCoefficient),
    ];

    [Fact]
    public async Task All_that_is_wrong_is_told_at_once_in_the_names_of_options()
    {
        await using LanguageModel model = await tiny.Open();
        InputException wrong = await Assert.ThrowsAsync<InputException>(() => model.AdaptAsync(
            "no such file.jsonl", new LoraConfig { Rank = 0 },
            new TrainingOptions { BatchSize = 0, Patience = 3, Task = new TaskOptions("poetry") }, null, Token));
        foreach (string option in new[] { "TrainingOptions.BatchSize", "TrainingOptions.Patience", "LoraConfig.Rank",
            "TaskOptions.Name" })
            Assert.Contains(wrong.Problems, problem => problem.Contains(option, StringComparison.Ordinal));
        Assert.DoesNotMatch(KeysAndFlags(), wrong.Message);

        InputException prepared = await Assert.ThrowsAsync<InputException>(() => model.AdaptAsync(
            Dataset.From(new[] { new { question = "?" } }),
            new LoraConfig { TargetModules = ["no_proj"] }, null, null, Token));
        Assert.Equal(2, prepared.Problems.Count);
        Assert.Contains("rows:1", prepared.Message);
        Assert.Contains("Dataset.Columns", prepared.Message);
        Assert.Contains("no_proj", prepared.Message);
        Assert.DoesNotMatch(KeysAndFlags(), prepared.Message);
    }

    [Fact]
    public async Task Rows_that_are_no_rows_are_told_with_their_number()
    {
        await using LanguageModel model = await tiny.Open();
        Assert.Contains("rows, row 2 is the number 5", (await Assert.ThrowsAsync<InputException>(
            () => model.EvaluateAsync(Dataset.From(new object[] { "a b", 5 }), null, Token))).Message);
        Assert.Contains("There is no row", (await Assert.ThrowsAsync<InputException>(
            () => model.EvaluateAsync(Dataset.FromTexts(), null, Token))).Message);
        InputException lacks = await Assert.ThrowsAsync<InputException>(
            () => model.PredictAsync(Dataset.From([new { other = 1 }]), null, Token));
        Assert.Contains("rows, row 1", lacks.Message);
        Assert.DoesNotMatch(KeysAndFlags(), lacks.Message);
        Assert.Contains("PredictionOptions.BatchSize", (await Assert.ThrowsAsync<InputException>(
            () => model.PredictAsync(Dataset.FromTexts("a"), new() { BatchSize = 0 }, Token))).Message);
    }

    [Fact]
    public async Task Rows_come_from_objects_dictionaries_json_and_streams_alike()
    {
        await using LanguageModel model = await tiny.Open();
        async IAsyncEnumerable<Pair> Stream()
        {
            foreach ((string prompt, string completion) in LoadedModel.Rows("yes"))
            {
                await Task.Yield();
                yield return new Pair(prompt, completion);
            }
        }
        Dataset[] same =
        [
            LoadedModel.Data("yes"), Dataset.From(Stream()),
            Dataset.From(LoadedModel.Rows("yes").Select(
                row => new JsonObject { ["prompt"] = row.Prompt, ["completion"] = row.Completion })),
            Dataset.From(LoadedModel.Rows("yes").Select(
                row => new Dictionary<string, string> { ["q"] = row.Prompt, ["completion"] = row.Completion }))
                with { Columns = new Dictionary<string, string> { ["prompt"] = "q" } },
        ];
        var losses = new HashSet<double>();
        foreach (Dataset rows in same) losses.Add((await model.EvaluateAsync(rows, null, Token)).Loss);
        Assert.Single(losses);
    }

    [Fact]
    public async Task The_logger_hears_of_the_model_and_of_each_step_by_number()
    {
        var heard = new List<(int Id, LogLevel Level)>();
        await using LanguageModel model = await tiny.Open(LoadedModel.Options with { Logger = new Listener(heard) });
        await model.AdaptAsync(LoadedModel.Data("yes"), LoadedModel.Lora,
            LoadedModel.Training with { ValidationShare = 0.3, EvaluateEvery = 4 }, null, Token);
        Assert.Contains((1, LogLevel.Information), heard);
        Assert.Equal([10, 11, 11, 11, 11, 12, 13], heard.Select(entry => entry.Id).Where(id => id is >= 10 and <= 13));
    }

    private sealed record Pair(string Prompt, string Completion);

    private sealed class Listener(List<(int, LogLevel)> heard) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => heard.Add((id.Id, level));
    }

    [GeneratedRegex(@"--[a-z]|\b(data|adapter|training|task_options)\.[a-z_]+|recipe")]
    private static partial Regex KeysAndFlags();
}
