using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using Microsoft.Extensions.Logging;

namespace LowRank.Tests.Facade;

/// <summary>What is asked for in vain or cannot be said is refused before any work, and nothing is left
/// behind.</summary>
public sealed class AdaptationChecksTests : IDisposable
{
    private readonly LoadedModel tiny = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => tiny.Dispose();

    private async Task Refused(
        TrainingOptions training, AdapterConfig? adapter, Dataset? rows, params string[] expected)
    {
        await using LanguageModel model = await tiny.Open();
        InputException refused = await Assert.ThrowsAsync<InputException>(
            () => model.AdaptAsync(rows ?? LoadedModel.Data("yes"), adapter, training, null, Token));
        Assert.Equal([], expected.Where(part => !refused.Message.Contains(part, StringComparison.Ordinal)));
        if (expected.Length > 1) Assert.Equal(expected.Length, refused.Problems.Count);
    }

    [Fact]
    public Task What_needs_a_folder_or_held_out_rows_says_so() => Refused(
        new TrainingOptions { KeepBest = true, Resume = true, TensorBoard = true, SaveEvery = 2, KeepCheckpoints = 3 },
        null, null, "TrainingOptions.KeepBest is true", "TrainingOptions.Resume has no effect",
        "TrainingOptions.TensorBoard has no effect", "TrainingOptions.SaveEvery has no effect",
        "TrainingOptions.KeepCheckpoints has no effect");

    [Fact]
    public Task Numbers_that_are_none_are_told_by_name() => Refused(
        new TrainingOptions
        {
            LearningRate = double.NaN, Epochs = double.PositiveInfinity, OutputFolder = " ",
            Task = TaskOptions.CausalLanguageModel with { Temperature = double.NaN },
        },
        new VeraConfig { DInitial = double.NaN, Dropout = double.NegativeInfinity }, null,
        "TrainingOptions.LearningRate is NaN", "TrainingOptions.Epochs is Infinity", "TaskOptions.Temperature is NaN",
        "VeraConfig.DInitial is NaN", "VeraConfig.Dropout is -Infinity", "TrainingOptions.OutputFolder is empty");

    [Fact]
    public async Task Nulls_are_told_by_name()
    {
        await Refused(new TrainingOptions { Task = null!, NewTokens = null! }, null,
            LoadedModel.Data("yes") with
            {
                Columns = null!, Template = new Dictionary<string, string> { ["text"] = null! },
            },
            "TrainingOptions.Task is null", "TrainingOptions.NewTokens is null", "Dataset.Columns is null",
            "Dataset.Template has an entry that is null");
        await Refused(
            new TrainingOptions { NewTokens = ["a", null!] }, LoadedModel.Lora with { ModulesToSave = [null!] }, null,
            "TrainingOptions.NewTokens has an entry that is null",
            "LoraConfig.ModulesToSave has an entry that is null");
        await Refused(new TrainingOptions { Task = new TaskOptions(null!) }, null, null, "TaskOptions.Name is null");
        await Refused(
            new TrainingOptions(), LoadedModel.Lora with { RankPattern = null!, InitLoraWeights = null! }, null,
            "LoraConfig.RankPattern is null", "LoraConfig.InitLoraWeights is null");
    }

    [Fact]
    public async Task A_model_is_not_opened_with_options_that_say_nothing()
    {
        InputException refused = await Assert.ThrowsAsync<InputException>(() => LanguageModel.LoadAsync(
            tiny.Path, new() { Device = null!, BaseDtype = "", Threads = 0, Logger = null! }, null, Token));
        foreach (string name in new[] { "Device is null", "BaseDtype is empty", "Threads is 0", "Logger is null" })
            Assert.Contains("LanguageModelOptions." + name, refused.Message);
    }

    [Fact]
    public async Task Held_out_rows_may_be_read_as_the_others_are_in_words_of_their_own()
    {
        Dataset Rows() => Dataset.From(LoadedModel.Rows("yes").Select(row => new { q = row.Prompt, row.Completion }))
            with { Columns = new Dictionary<string, string> { ["prompt"] = "q" } };
        await using LanguageModel model = await tiny.Open();
        AdaptationResult result = await model.AdaptAsync(Rows(), LoadedModel.Lora,
            LoadedModel.Training with { Validation = Rows() }, null, Token);
        Assert.NotNull(result.BestLoss);
        await Refused(new TrainingOptions { Validation = Rows() with { Deduplicate = true } }, null, Rows(),
            "TrainingOptions.Validation is to be read in another way");
    }

    [Fact]
    public async Task Nothing_is_read_or_written_where_options_are_wrong_and_nothing_left_where_rows_are()
    {
        await using LanguageModel model = await tiny.Open();
        int read = 0;
        Dataset rows = Dataset.From(Enumerable.Range(0, 3).Select(number =>
        {
            read++;
            return new { question = number };
        }));
        TrainingOptions training = new() { OutputFolder = tiny["deep/run"] };
        await Assert.ThrowsAsync<InputException>(
            () => model.AdaptAsync(rows, null, training with { BatchSize = 0 }, null, Token));
        Assert.Equal(0, read);
        await Assert.ThrowsAsync<InputException>(() => model.AdaptAsync(rows, null, training, null, Token));
        Assert.Equal(3, read);
        Assert.False(Directory.Exists(tiny["deep"]));
        await Assert.ThrowsAsync<InputException>(() => model.AdaptAsync(
            LoadedModel.Data("yes"), new LoraConfig { TargetModules = ["no_proj"] }, training, null, Token));
        Assert.False(Directory.Exists(tiny["deep"]));
        File.WriteAllText(tiny["file"], "");
        Assert.Contains("TrainingOptions.OutputFolder is ", (await Assert.ThrowsAsync<InputException>(
            () => model.AdaptAsync(rows, null, training with { OutputFolder = tiny["file"] }, null, Token))).Message);
    }

    [Fact]
    public async Task A_temporary_folder_that_cannot_be_deleted_is_a_warning()
    {
        var logger = new Warnings();
        var files = new AdaptationFiles(LoadedModel.Data("yes"), new TrainingOptions(), logger)
        {
            DeleteFolder = _ => throw new IOException("The folder is in use."),
        };
        await files.Write(Token);
        files.Dispose();
        Assert.Contains($"{files.Output} could not be cleared", Assert.Single(logger.Said));
        Directory.Delete(files.Output, recursive: true);
    }

    private sealed class Warnings : ILogger
    {
        public List<string> Said { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Said.Add(formatter(state, exception));
    }
}
