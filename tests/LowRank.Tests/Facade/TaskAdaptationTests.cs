using LowRank.Adapters;
using LowRank.Data.Rows;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tests.Tasks;
using LowRank.Training;

namespace LowRank.Tests.Facade;

/// <summary>Every task through the front door, from rows of a program.</summary>
public sealed class TaskAdaptationTests : IDisposable
{
    private readonly TinyTask tiny = new();

    public TaskAdaptationTests()
    {
        using PretrainedModel model = tiny.Model("masked_lm", new TaskSettings());
        tiny.Save(model);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static TrainingOptions For(TaskOptions task) =>
        new() { Task = task, Steps = 3, BatchSize = 2, LearningRate = 0.01, MaxLength = 16 };

    public void Dispose() => tiny.Dispose();

    private Task<LanguageModel> Open() => LanguageModel.LoadAsync(tiny.Path, LoadedModel.Options, null, Token);

    [Fact]
    public async Task Texts_are_classified_measured_and_told_from_another_adapters()
    {
        Dataset rows = Dataset.From(new[] {
            new { text = "good new paris", label = "good" }, new { text = "bad tower", label = "bad" },
            new { text = "alice is good", label = "good" }, new { text = "bob is bad", label = "bad" } });
        await using LanguageModel model = await Open();
        TrainingOptions options = For(TaskOptions.SequenceClassification with { Labels = ["bad", "good"] });
        AdaptationResult result = await model.AdaptAsync(
            rows, null, options with { Validation = rows, KeepBest = true }, null, Token);
        Assert.Contains("accuracy", result.Evaluations[^1].Metrics.Keys);
        Assert.Equal(result.BestLoss!.Value, (await model.EvaluateAsync(rows, null, Token)).Loss, 1e-5);

        IReadOnlyList<Prediction> answers =
            await model.PredictAsync(Dataset.FromTexts("alice is good", "bad bob", "rome"), null, Token);
        Assert.Equal(3, answers.Count);
        Assert.All(answers, answer =>
        {
            Assert.Contains(answer.Label, new[] { "bad", "good" });
            Assert.Equal(answer.Probability, answer.Probabilities.Values.Max());
            Assert.Equal(1, answer.Probabilities.Values.Sum(), 1e-5);
        });
        // Another task on the same base has a head of its own.
        LoadedAdapter classifier = result.Adapter;
        await model.AdaptAsync(Dataset.FromTexts("alice lives in rome", "the tower is new"), null,
            For(TaskOptions.MaskedLanguageModel), null, Token);
        Assert.Contains("masks", (await model.PredictAsync(
            Dataset.FromTexts("alice [MASK] rome"), null, Token))[0].Fields.Select(field => field.Key));
        await model.UseAdapterAsync(classifier, Token);
        IReadOnlyList<Prediction> again =
            await model.PredictAsync(Dataset.FromTexts("alice is good", "bad bob", "rome"), null, Token);
        Assert.Equal(answers.Select(answer => answer.Fields.ToJsonString()),
            again.Select(answer => answer.Fields.ToJsonString()));
    }

    [Fact]
    public async Task Texts_become_vectors_by_the_base_and_by_an_adapter()
    {
        await using LanguageModel model = await Open();
        IReadOnlyList<float[]> before = await model.EmbedAsync(["alice", "the tower is new"], null, Token);
        Assert.All(before, vector => Assert.Equal(8, vector.Length));
        await model.AdaptAsync(Dataset.From([
            new { anchor = "alice", positive = "bob" }, new { anchor = "rome", positive = "paris" }]), null,
            For(TaskOptions.Embedding), null, Token);
        IReadOnlyList<float[]> after = await model.EmbedAsync(["alice", "the tower is new"], null, Token);
        Assert.NotEqual(before, after);
        Assert.Equal(after, await model.EmbedAsync(["alice", "the tower is new"], new() { BatchSize = 2 }, Token));
    }

    [Fact]
    public async Task Words_are_tagged_and_questions_answered()
    {
        await using LanguageModel model = await Open();
        await model.AdaptAsync(Dataset.From([
            new { tokens = new[] { "alice", "lives", "in", "rome" }, tags = new[] { "B-PER", "O", "O", "B-LOC" } },
            new { tokens = new[] { "bob", "met", "alice" }, tags = new[] { "B-PER", "O", "B-PER" } }]), null,
            For(TaskOptions.TokenClassification), null, Token);
        Assert.Contains("tags", (await model.PredictAsync(Dataset.From([
            new { tokens = new[] { "alice", "lives" } }]), null, Token))[0].Fields.Select(field => field.Key));
        await model.AdaptAsync(Dataset.From([new { question = "where ?", context = "alice lives in rome",
            answers = new { text = new[] { "rome" }, answer_start = new[] { 15 } } }]), null,
            For(TaskOptions.QuestionAnswering with { Stride = 2 }), null, Token);
        Prediction answer = (await model.PredictAsync(
            Dataset.From([new { question = "where ?", context = "bob is in paris" }]), null, Token))[0];
        Assert.NotNull(answer.Answer);
        Assert.InRange(answer.Probability!.Value, 0, 1);
    }

    [Fact]
    public async Task Biases_alone_are_trained_where_the_base_has_them()
    {
        await using LanguageModel model = await Open();
        AdaptationResult result = await model.AdaptAsync(
            Dataset.FromTexts("alice lives in rome", "the tower is new"), null,
            For(TaskOptions.MaskedLanguageModel) with { Method = new BitFitMethod() }, null, Token);
        var saved = (LoraConfig)result.Adapter.Config;
        Assert.Equal((BiasTraining.All, 1), (saved.Bias, saved.Rank));
    }

    [Fact]
    public async Task A_model_that_does_not_fit_what_is_asked_says_so()
    {
        await using LanguageModel model = await Open();
        Assert.Contains("Continuing a text needs a decoder", (await Assert.ThrowsAsync<InputException>(
            () => model.GenerateTextAsync("alice", null, Token))).Message);
        Assert.Contains("Scoring texts needs a decoder", (await Assert.ThrowsAsync<InputException>(
            () => model.ScoreAsync(Dataset.FromTexts("alice in rome"), null, Token))).Message);
        await model.AdaptAsync(Dataset.FromTexts("alice lives in rome", "the tower is new"), null,
            For(TaskOptions.MaskedLanguageModel), null, Token);
        Assert.Contains("for masked_lm, not for embedding", (await Assert.ThrowsAsync<InputException>(
            () => model.EmbedAsync(["alice"], null, Token))).Message);
        InputException refused = await Assert.ThrowsAsync<InputException>(() => model.AdaptAsync(
            Dataset.FromTexts("alice"), null, For(TaskOptions.CausalLanguageModel) with { Packing = false }, null,
            Token));
        Assert.Contains("cannot be adapted to", refused.Message);
    }
}
