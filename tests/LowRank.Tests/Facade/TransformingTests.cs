using LowRank.Generation;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tests.Tasks;

namespace LowRank.Tests.Facade;

/// <summary>A model that turns one text into another (T5) heeds the options of writing as a decoder does.</summary>
public sealed class TransformingTests : IDisposable
{
    private const string T5 = """
        {"model_type": "t5", "vocab_size": 32, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 1, "num_heads": 2,
         "decoder_start_token_id": 0,
         "pad_token_id": 0, "eos_token_id": 31, "dropout_rate": 0, "initializer_range": 0.5}
        """;

    private readonly TinyTask tiny = new(T5);

    public TransformingTests()
    {
        using PretrainedModel model = tiny.Model("seq2seq", new TaskSettings());
        tiny.Save(model);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => tiny.Dispose();

    private Task<LanguageModel> Open() => LanguageModel.LoadAsync(tiny.Path, LoadedModel.Options, null, Token);

    [Fact]
    public async Task Sampling_changes_what_is_written_and_wrong_options_are_refused()
    {
        await using LanguageModel model = await Open();
        GenerationOptions sampled = new() { MaxNewTokens = 20, Temperature = 3 };
        var texts = new HashSet<string>();
        foreach (int seed in new[] { 1, 2, 3 })
            texts.Add(await model.GenerateTextAsync("alice in rome", sampled with { Seed = seed }, Token));
        Assert.True(texts.Count > 1);
        string again = await model.GenerateTextAsync("alice in rome", sampled with { Seed = 3 }, Token);
        Assert.Contains(again, texts);
        Assert.Contains("GenerationOptions.TopP", (await Assert.ThrowsAsync<InputException>(
            () => model.GenerateTextAsync("alice", sampled with { TopP = 2 }, Token))).Message);
    }

    [Fact]
    public async Task Several_texts_are_written_as_one_is()
    {
        await using LanguageModel model = await Open();
        GenerationOptions five = new() { MaxNewTokens = 5 };
        string[] prompts = ["alice in rome", "bob"];
        IReadOnlyList<string> together = await model.GenerateTextsAsync(prompts, five, cancellationToken: Token);
        for (int i = 0; i < prompts.Length; i++)
            Assert.Equal(await model.GenerateTextAsync(prompts[i], five, Token), together[i]);
    }

    [Fact]
    public async Task Writing_ends_when_it_is_cancelled()
    {
        await using LanguageModel model = await Open();
        GenerationOptions greedy = new() { MaxNewTokens = 50 };
        Assert.NotEqual(await model.GenerateTextAsync("alice in rome", greedy, Token), // which has not come to an end
            await model.GenerateTextAsync("alice in rome", greedy with { MaxNewTokens = 60 }, Token));
        using var cancel = new CancellationTokenSource();
        Task<string> writing = model.GenerateTextAsync( // for minutes
            "alice in rome", greedy with { MaxNewTokens = 200_000 }, cancel.Token);
        cancel.CancelAfter(TimeSpan.FromMilliseconds(50));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writing);
    }
}
