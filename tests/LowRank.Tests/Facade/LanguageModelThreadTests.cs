using LowRank.Generation;
using LowRank.Training;
using Microsoft.Extensions.Logging;

namespace LowRank.Tests.Facade;

/// <summary>One model and many callers: whoever calls, the model's thread does one thing after the other.</summary>
public sealed class LanguageModelThreadTests : IDisposable
{
    private readonly LoadedModel tiny = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static GenerationOptions Long { get; } = new() { MaxNewTokens = 400 };

    private static GenerationOptions Short { get; } = new() { MaxNewTokens = 6 };

    public void Dispose() => tiny.Dispose();

    [Fact]
    public async Task Who_swaps_adapters_while_others_write_mixes_nothing_up()
    {
        await using LanguageModel model = await tiny.Open();
        LoadedAdapter?[] adapters = [null, await Adapt(model, "yes"), await Adapt(model, "no")];
        var expected = new HashSet<string>();
        foreach (LoadedAdapter? adapter in adapters)
        {
            await model.UseAdapterAsync(adapter, Token);
            expected.Add(await model.GenerateTextAsync("1:", Short, Token));
        }
        Assert.Equal(3, expected.Count);
        IReadOnlyList<float[]> vectors = await Vectors(model);

        var written = new System.Collections.Concurrent.ConcurrentBag<string>();
        await Task.WhenAll(Enumerable.Range(0, 12).Select(caller => Task.Run(async () =>
        {
            for (int round = 0; round < 6; round++)
            {
                if (caller % 3 == 0) await model.UseAdapterAsync(adapters[(caller + round) % 3], Token);
                if (caller % 4 == 1) written.Add(await model.GenerateTextAsync("1:", Short, Token));
                else written.Add(await Streamed(model));
                await model.ScoreAsync(Dataset.FromTexts("a b c"), null, Token);
            }
        }, Token)));

        Assert.Equal(72, written.Count);
        Assert.Subset(expected, written.ToHashSet());
        Assert.True(written.Distinct().Count() > 1);
        Assert.Equal(vectors, await Vectors(model));
    }

    [Fact]
    public async Task An_iterator_that_is_held_open_holds_nobody_up_and_keeps_its_text()
    {
        await using LanguageModel model = await tiny.Open();
        string expected = await model.GenerateTextAsync("1:", Short, Token);
        await using IAsyncEnumerator<string> open = model.GenerateAsync("1:", Short, Token).GetAsyncEnumerator(Token);
        Assert.True(await open.MoveNextAsync());
        string text = open.Current;
        await Adapt(model, "yes"); // with the iterator open
        await model.GenerateTextAsync("2:", Short, Token);
        while (await open.MoveNextAsync()) text += open.Current;
        Assert.Equal(expected, text);
    }

    [Fact]
    public async Task Leaving_the_loop_and_cancelling_end_the_writing()
    {
        await using LanguageModel model = await tiny.Open(LoadedModel.Options);
        int pieces = 0;
        await foreach (string piece in model.GenerateAsync("1:", Long, Token))
            if (++pieces == 1) break;
        using var cancel = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (string piece in model.GenerateAsync("1:", Long, Token).WithCancellation(cancel.Token))
                await cancel.CancelAsync();
        });
        using var late = new CancellationTokenSource();
        Task<string> waits = model.GenerateTextAsync("1:", Long, late.Token);
        await late.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waits);
        Assert.NotEmpty(await model.GenerateTextAsync("1:", Short, Token));
    }

    [Fact]
    public async Task Work_that_waits_is_refused_when_the_model_is_disposed_and_what_runs_is_stopped()
    {
        LanguageModel model = await tiny.Open();
        var begun = new TaskCompletionSource();
        Task<AdaptationResult> running = model.AdaptAsync(
            LoadedModel.Data("yes"), LoadedModel.Lora, LoadedModel.Training with { Steps = 1_000_000 },
            new Begun(begun), Token);
        await begun.Task;
        Task<string>[] waiting = [.. Enumerable.Range(0, 5).Select(_ => model.GenerateTextAsync("1:", Short, Token))];
        await model.DisposeAsync();
        await model.DisposeAsync(); // a second time does nothing

        foreach (Task task in (IEnumerable<Task>)[running, .. waiting])
            Assert.Contains("The LanguageModel was disposed of",
                (await Assert.ThrowsAsync<ObjectDisposedException>(() => task)).Message);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => model.GenerateTextAsync("1:", null, Token));
        Assert.Throws<ObjectDisposedException>(() => model.GenerateAsync("1:", null, Token));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => model.EvaluateAsync("rows.jsonl", null, Token));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => model.UseAdapterAsync(null, Token));
    }

    [Fact]
    public async Task A_cancelled_run_leaves_the_model_as_it_was_and_goes_on_from_its_folder()
    {
        await using LanguageModel model = await tiny.Open();
        string before = await model.GenerateTextAsync("1:", Short, Token);
        TrainingOptions training = LoadedModel.Training with { OutputFolder = tiny["run"], Steps = 6 };
        using var cancel = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => model.AdaptAsync(
            LoadedModel.Data("yes"), LoadedModel.Lora, training, new CancelAt(2, cancel), cancel.Token));
        Assert.Null(model.Adapter);
        Assert.Equal(before, await model.GenerateTextAsync("1:", Short, Token));

        AdaptationResult rest = await model.AdaptAsync(
            LoadedModel.Data("yes"), LoadedModel.Lora, training with { Resume = true }, null, Token);
        Assert.Equal((6, 4), (rest.Steps, rest.Losses.Count));
        await rest.Adapter.SaveAsync(tiny["resumed"], Token);
        AdaptationResult whole = await model.AdaptAsync(LoadedModel.Data("yes"), LoadedModel.Lora,
            training with { OutputFolder = null }, null, Token);
        await whole.Adapter.SaveAsync(tiny["whole"], Token);
        Assert.Equal(File.ReadAllBytes(tiny["whole/adapter_model.safetensors"]),
            File.ReadAllBytes(tiny["resumed/adapter_model.safetensors"]));
    }

    [Fact]
    public async Task What_a_listener_throws_is_what_the_caller_gets()
    {
        await using LanguageModel model = await tiny.Open();
        await Assert.ThrowsAsync<ArithmeticException>(() => model.AdaptAsync(
            LoadedModel.Data("yes"), LoadedModel.Lora, LoadedModel.Training, new Throws(), Token));
        Assert.NotEmpty(await model.GenerateTextAsync("1:", Short, Token));
    }

    [Fact]
    public async Task A_listener_that_calls_the_model_is_refused_instead_of_waiting_for_itself()
    {
        await using LanguageModel model = await tiny.Open();
        foreach (Func<Task> call in new Func<Task>[] {
            () => model.GenerateTextAsync("1:", Short, Token), () => model.DisposeAsync().AsTask() })
        {
            var calls = new Does(() => call().GetAwaiter().GetResult());
            InvalidOperationException refused = await Assert.ThrowsAsync<InvalidOperationException>(
                () => model.AdaptAsync(LoadedModel.Data("yes"), LoadedModel.Lora, LoadedModel.Training, calls, Token));
            Assert.Contains("from its own thread", refused.Message);
        }
        Assert.NotEmpty(await model.GenerateTextAsync("1:", Short, Token));
    }

    [Fact]
    public async Task What_a_listener_sets_off_goes_on_elsewhere_and_may_wait()
    {
        await using LanguageModel model = await tiny.Open();
        var begun = new TaskCompletionSource(); // whose continuations run where it is completed, unless that is barred
        Task<string> waits = Wait();
        await model.AdaptAsync(
            LoadedModel.Data("yes"), LoadedModel.Lora, LoadedModel.Training, new Begun(begun), Token);
        Assert.NotEmpty(await waits);

        async Task<string> Wait()
        {
            await begun.Task.ConfigureAwait(false);
#pragma warning disable xUnit1031 // waiting is what is tried
            return model.GenerateTextAsync("1:", Short, Token).GetAwaiter().GetResult();
#pragma warning restore xUnit1031
        }
    }

    [Fact]
    public async Task The_context_of_a_call_holds_for_its_work()
    {
        var name = new AsyncLocal<string?> { Value = "of the load" };
        await using LanguageModel model = await tiny.Open();
        var heard = new List<string?>();
        foreach (string call in new[] { "first", "second" })
        {
            name.Value = call;
            await model.AdaptAsync(LoadedModel.Data("yes"), LoadedModel.Lora, LoadedModel.Training with { Steps = 1 },
                new Does(() => heard.Add(name.Value)), Token);
        }
        Assert.Equal(["first", "first", "second", "second"], heard);
    }

    [Fact]
    public async Task Each_model_computes_with_its_own_number_of_threads()
    {
        int seen = 0;
        var logger = new Hears(() => seen = TorchSharp.torch.get_num_threads());
        await using LanguageModel one = await tiny.Open(new() { Threads = 1, Logger = logger });
        await using LanguageModel two = await tiny.Open(new() { Threads = 2, Logger = logger });
        await using LanguageModel three = await tiny.Open(new() { Threads = 3, Logger = logger });
        foreach ((LanguageModel model, int expected) in new[] { (one, 1), (three, 3), (two, 2), (one, 1) })
        {
            seen = 0;
            // A length over the model's is noted while it computes.
            await model.EvaluateAsync(Dataset.FromTexts("a b c d"), new() { MaxLength = 100_000 }, Token);
            Assert.Equal(expected, seen);
        }
    }

    [Fact]
    public async Task A_hundred_calls_at_once_are_answered_alike()
    {
        await using LanguageModel model = await tiny.Open();
        string[] texts = await Task.WhenAll(Enumerable.Range(0, 100).Select(
            _ => Task.Run(() => model.GenerateTextAsync("1:", Short, Token), Token)));
        Assert.Single(texts.Distinct());
    }

    private static async Task<LoadedAdapter> Adapt(LanguageModel model, string word) => (await model.AdaptAsync(
        LoadedModel.Data(word), LoadedModel.Lora, LoadedModel.Training, null, Token)).Adapter;

    private static async Task<string> Streamed(LanguageModel model)
    {
        string text = "";
        await foreach (string piece in model.GenerateAsync("1:", Short, Token)) text += piece;
        return text;
    }

    private static async Task<IReadOnlyList<float[]>> Vectors(LanguageModel model)
    {
        await model.UseAdapterAsync(null, Token);
        return await model.EmbedAsync(["a b", "c"], null, Token);
    }

    private sealed class Begun(TaskCompletionSource begun) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.Step > 0) begun.TrySetResult();
        }
    }

    private sealed class CancelAt(long step, CancellationTokenSource source) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.Step == step) source.Cancel();
        }
    }

    private sealed class Throws : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => throw new ArithmeticException();
    }

    private sealed class Hears(Action action) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel == LogLevel.Warning;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => action();
    }

    private sealed class Does(Action action) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => action();
    }
}
