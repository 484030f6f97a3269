using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Generation;

namespace LowRank.Tests.Facade;

/// <summary>What is wrong in a program is said where it is given, by its name there.</summary>
public sealed class MisuseTests : IDisposable
{
    private readonly LoadedModel tiny = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => tiny.Dispose();

    private static async Task Refused<T>(Func<Task> call, string expected) where T : Exception =>
        Assert.Contains(expected, (await Assert.ThrowsAsync<T>(call)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_dataset_needs_paths_and_texts()
    {
        Assert.Equal("paths", Assert.Throws<ArgumentNullException>(() => Dataset.FromFiles(null!)).ParamName);
        Assert.Equal("texts", Assert.Throws<ArgumentNullException>(() => Dataset.FromTexts(null!)).ParamName);
        Assert.Contains("The path at 1 is null", Assert.Throws<ArgumentException>(
            () => Dataset.FromFiles("a", null!)).Message);
        Assert.Contains("The path at 0 is empty", Assert.Throws<ArgumentException>(() => (Dataset)"").Message);
    }

    [Fact]
    public async Task Rows_that_JSON_cannot_say_are_told_by_their_number()
    {
        await using LanguageModel model = await tiny.Open();
        var rows = new[] { new { text = "a b", share = 0.5 }, new { text = "a b", share = double.NaN } };
        foreach (Dataset data in new[] { Dataset.From(rows), Dataset.From(rows.ToAsyncEnumerable()) })
            foreach (Func<Task> call in new Func<Task>[] {
                () => model.ScoreAsync(data, null, Token), () => model.AdaptAsync(data, null, null, null, Token) })
                await Refused<InputException>(call, "rows, row 2 cannot be written as JSON");
        await Refused<ArithmeticException>( // what the program itself throws is the program's
            () => model.ScoreAsync(Dataset.From(Enumerable.Range(0, 2).Select(Throw)), null, Token), "of the program");

        static object Throw(int number) => throw new ArithmeticException("of the program");
    }

    [Fact]
    public async Task How_rows_are_read_is_checked_alike_by_every_call_and_said_once()
    {
        await using LanguageModel model = await tiny.Open();
        Dataset rows = LoadedModel.Data("yes");
        foreach ((Dataset data, string expected) in new[]
        {
            (rows with { Template = new Dictionary<string, string> { ["text"] = "{{ " } },
                "Dataset.Template.text cannot be used"),
            (rows with { Template = new Dictionary<string, string> { ["bogus"] = "x" } },
                "Dataset.Template has bogus; expected text"),
            (rows with { OnBadRow = (BadRows)9 }, "Dataset.OnBadRow is 9, expected one of Error, Skip"),
            (Dataset.FromFiles("rows.txt") with { Text = (PlainText)9 }, "Dataset.Text is 9, expected one of Pairs"),
        })
            foreach (Func<Task> call in new Func<Task>[] {
                () => model.EvaluateAsync(data, null, Token), () => model.PredictAsync(data, null, Token),
                () => model.AdaptAsync(data, null, null, null, Token) })
            {
                InputException refused = await Assert.ThrowsAsync<InputException>(call);
                Assert.Contains(expected, Assert.Single(refused.Problems), StringComparison.Ordinal);
            }
    }

    [Fact]
    public async Task Writing_needs_somebody_who_asks_and_tokens_that_can_be()
    {
        await using LanguageModel model = await tiny.Open();
        await Refused<ArgumentException>(() => model.ChatTextAsync([], null, Token), "There is no message");
        await Refused<ArgumentException>(
            () => model.ChatTextAsync([new("user", "a"), new("", "b")], null, Token), "The message at 1 has no role");
        await Refused<InputException>(
            () => model.GenerateTextAsync("1:", new GenerationOptions { StopTokenIds = [3, -5] }, Token),
            "GenerationOptions.StopTokenIds has -5");
    }

    [Fact]
    public async Task A_prompt_that_no_memory_holds_is_not_trained()
    {
        await using LanguageModel model = await tiny.Open();
        await Refused<InputException>(
            () => model.AdaptAsync(LoadedModel.Data("yes"), new PromptTuningConfig { NumVirtualTokens = int.MaxValue },
                LoadedModel.Training, null, Token), "num_virtual_tokens: found 2147483647, expected at most 65536");
    }

    [Fact]
    public async Task Options_out_of_range_open_no_model()
    {
        await Refused<InputException>(
            () => tiny.Open(new() { Seed = -1 }), "LanguageModelOptions.Seed is -1, expected at least 0");
        await Refused<InputException>(
            () => tiny.Open(new() { Threads = 9999 }), "LanguageModelOptions.Threads is 9999, expected at most 1024");
    }

    [Fact]
    public async Task A_place_that_cannot_be_written_to_is_said_to_be_one()
    {
        await using LanguageModel model = await tiny.Open();
        AdaptationResult result = await model.AdaptAsync(
            LoadedModel.Data("yes"), LoadedModel.Lora, LoadedModel.Training with { Steps = 1 }, null, Token);
        File.WriteAllText(tiny["file"], "");
        await Assert.ThrowsAsync<RunStorageException>(() => result.Adapter.SaveAsync(tiny["file/adapter"], Token));
        await Assert.ThrowsAsync<RunStorageException>(() => model.MergeAsync(tiny["file/merged"], Token));
        Assert.Equal("adapter", (await Assert.ThrowsAsync<ArgumentNullException>(
            () => model.RemoveAdapterAsync(null!, Token))).ParamName);
    }

    [Fact]
    public async Task A_model_is_opened_while_another_writes()
    {
        await using LanguageModel model = await tiny.Open();
        GenerationOptions few = new() { MaxNewTokens = 6 };
        Task<string> writing = model.GenerateTextAsync("1:", few with { MaxNewTokens = 400 }, Token);
        await using LanguageModel other = await tiny.Open();
        string text = await other.GenerateTextAsync("1:", few, Token);
        await writing;
        Assert.Equal(text, await model.GenerateTextAsync("1:", few, Token));
    }
}
