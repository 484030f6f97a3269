using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using LowRank.Adapters;
using LowRank.Generation;
using LowRank.Tests.Facade;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LowRank.Tests.Documentation;

/// <summary>The code of docs/library.md, compiled and run.</summary>
public sealed partial class LibraryPageTests : IDisposable
{
    private readonly LoadedModel tiny = new();
    private readonly ILogger logger = NullLogger.Instance;
    private readonly IProgress<TrainingProgress>? progress = new Heard<TrainingProgress>([]);
    private readonly CancellationToken cancellationToken = TestContext.Current.CancellationToken;
    private readonly GenerationOptions sampling = new() { MaxNewTokens = 8 };

    private string output => tiny["output"];

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void The_page_shows_what_is_run_here()
    {
        string code = Squeezed(File.ReadAllText(Here()));
        string[] blocks = [.. Block().Matches(RepositoryFiles.Read("docs/library.md"))
            .Select(block => block.Groups["code"].Value)];
        Assert.True(blocks.Length >= 6);
        Assert.All(blocks, block => Assert.Contains(Squeezed(block), code));
    }

    [Fact]
    public async Task A_model_is_opened()
    {
        string folder = tiny.Path;
        var options = new LanguageModelOptions { Device = "cpu", Threads = 1, Seed = 7, Logger = logger };
        await using LanguageModel model =
            await LanguageModel.LoadAsync(folder, options, progress: null, cancellationToken);
        Assert.Equal(folder, model.Folder);
    }

    [Fact]
    public async Task It_is_adapted()
    {
        await using LanguageModel model = await tiny.Open();
        var orders = new[]
        {
            (Question: "Where is my order?", Answer: "On its way."), (Question: "Is it paid?", Answer: "It is."),
        };
        Dataset rows = Dataset.From(orders.Select(order => new { prompt = order.Question, completion = order.Answer }));
        var lora = new LoraConfig { Rank = 4, TargetModules = ModuleSelection.AllLinear };
        var training = new TrainingOptions { Epochs = 2, LearningRate = 1e-3, OutputFolder = output };
        AdaptationResult result = await model.AdaptAsync(rows, lora, training, progress, cancellationToken);
        Console.WriteLine($"{result.Steps} steps in {result.Elapsed}: loss {result.Losses[0]} to {result.Loss}");
        Assert.Equal(2, result.Steps);
    }

    [Fact]
    public async Task It_is_adapted_by_other_methods()
    {
        await using LanguageModel model = await tiny.Open();
        Dataset rows = LoadedModel.Data("yes");
        var vera = new VeraConfig { Rank = 16, TargetModules = ModuleSelection.AllLinear };
        await model.AdaptAsync(rows, vera, new TrainingOptions { Steps = 2 }, progress, cancellationToken);
        var plus = new TrainingOptions { Method = new LoraPlusMethod { Ratio = 8 }, Steps = 2 };
        await model.AdaptAsync(rows, new LoraConfig { Rank = 4 }, plus, progress, cancellationToken);
        Assert.Equal(2, model.Adapters.Count);
    }

    [Fact]
    public async Task It_classifies()
    {
        await using LanguageModel model = await tiny.Open();
        Dataset reviews = Dataset.From(new[]
        {
            new { text = "A fine place.", label = "good" }, new { text = "Never again.", label = "bad" },
        });
        var options = new TrainingOptions
        {
            Task = TaskOptions.SequenceClassification with { Labels = ["bad", "good"] },
            Validation = reviews, Patience = 2, KeepBest = true,
        };
        AdaptationResult result =
            await model.AdaptAsync(reviews, new LoraConfig { Rank = 4 }, options, null, cancellationToken);
        Prediction answer = (await model.PredictAsync(Dataset.FromTexts("A fine day."), null, cancellationToken))[0];
        double? accuracy = result.Evaluations[^1].Metrics["accuracy"];
        Console.WriteLine($"{answer.Label} ({answer.Probability:p0}); accuracy {accuracy}");
        Assert.Contains(answer.Label, new[] { "bad", "good" });
    }

    [Fact]
    public async Task It_writes()
    {
        await using LanguageModel model = await tiny.Open();
        var sampling = new GenerationOptions { MaxNewTokens = 20, Temperature = 0.7, TopP = 0.9 };
        await foreach (string piece in model.GenerateAsync("Once upon a time", sampling, cancellationToken))
            Console.Write(piece);
        List<ChatMessage> talk = [new("system", "Answer briefly."), new("user", "What is LoRA?")];
        talk.Add(new("assistant", await model.ChatTextAsync(talk, sampling, cancellationToken)));
        Assert.Equal(3, talk.Count);
    }

    [Fact]
    public async Task It_scores_and_embeds()
    {
        await using LanguageModel model = await tiny.Open();
        string[] answers = ["On its way.", "It is."];
        IReadOnlyList<TextScore> scores = await model.ScoreAsync(Dataset.From(
            answers.Select(answer => new { prompt = "Where is my order?", completion = answer })),
            null, cancellationToken);
        string best = answers[scores.Index().MaxBy(score => score.Item.LogLikelihood).Index];
        IReadOnlyList<float[]> vectors =
            await model.EmbedAsync(["a fine place", "a fine day"], null, cancellationToken);
        Assert.Contains(best, answers);
        Assert.Equal(2, vectors.Count);
    }

    [Fact]
    public async Task It_keeps_adapters()
    {
        await using LanguageModel model = await tiny.Open();
        string adapterFolder = tiny["adapter"];
        await (await model.AdaptAsync(LoadedModel.Data("yes"), LoadedModel.Lora, LoadedModel.Training, null,
            cancellationToken)).Adapter.SaveAsync(adapterFolder, cancellationToken);
        LoadedAdapter hotels = await model.LoadAdapterAsync(adapterFolder, cancellationToken);
        await model.UseAdapterAsync(null, cancellationToken);                  // only the base
        string plain = await model.GenerateTextAsync("The Blue Lamp", sampling, cancellationToken);
        await model.UseAdapterAsync(hotels, cancellationToken);
        await hotels.SaveAsync(Path.Combine(output, "copy"), cancellationToken);
        await model.MergeAsync(Path.Combine(output, "merged"), cancellationToken); // a separate model
        await model.RemoveAdapterAsync(hotels, cancellationToken);
        Assert.NotEmpty(plain);
        Assert.Single(model.Adapters);
    }

    private static string Here([CallerFilePath] string path = "") => path;

    private static string Squeezed(string code) => Blanks().Replace(code, " ").Trim();

    [GeneratedRegex("```csharp\n(?<code>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Block();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
