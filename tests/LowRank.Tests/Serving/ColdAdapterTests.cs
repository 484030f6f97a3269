using System.Collections.Concurrent;
using LowRank.Adapters;
using LowRank.Generation;
using LowRank.Serving;

namespace LowRank.Tests.Serving;

/// <summary>Requests whose adapters are not in memory, and what that is to others.</summary>
public sealed class ColdAdapterTests : IDisposable
{
    private readonly ServedModel served = new();
    private readonly ConcurrentQueue<string> reads = []; // names of the folders
    private volatile TaskCompletionSource gate = Opened();
    private volatile Exception? failure;
    private int read; // how many readings have ended

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => served.Dispose();

    private static TaskCompletionSource Opened()
    {
        var opened = new TaskCompletionSource();
        opened.SetResult();
        return opened;
    }

    // While the gate is closed, reading takes its time.
    private async Task<AdapterContent> Read(string folder, CancellationToken cancellation)
    {
        reads.Enqueue(Path.GetFileName(folder));
        await gate.Task;
        try
        {
            return failure is null ? await AdapterContent.ReadAsync(folder, cancellation) : throw failure;
        }
        finally
        {
            Interlocked.Increment(ref read);
        }
    }

    private void Close() => gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    private Task<ServingEngine> Start(LanguageModel model, ServingOptions options) =>
        ServingEngine.StartAsync(model, options with { ReadAdapter = Read }, Token);

    private async Task<ServingEngine> Start(LanguageModel model, ServingOptions options, params string[] names)
    {
        ServingEngine engine = await Start(model, options);
        foreach (string name in names)
            await engine.AddAdapterAsync(name, served.Adapter(name, seed: name[0]), cancellationToken: Token);
        return engine;
    }

    private static ServingRequest Ask(ServingEngine engine, string? adapter, int tokens = 5) =>
        new(engine.Encode("abc"))
        {
            Adapters = adapter is null ? [] : [new(adapter)],
            Generation = new GenerationOptions { MaxNewTokens = tokens },
            IgnoresEndOfText = true,
        };

    private static async Task<string> Text(ServingEngine engine, ServingRequest request) =>
        (await ServedModel.Write(engine, request)).Text;

    private static async Task<string> Text(ServedText text) => (await text.CollectAsync(Token)).Single().Text;

    [Fact]
    public async Task Others_are_written_while_it_is_read_and_all_who_wait_for_it_have_it_read_once()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine alone = await Start(model, new(), "a", "b", "c");
        string[] expected = [await Text(alone, Ask(alone, "a", 300)), await Text(alone, Ask(alone, "b"))];
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 2 }, "b", "a", "c"); // b is out
        Assert.Equal((2, 3), (engine.Statistics.LoadedAdapters, engine.Statistics.AdapterLoads));
        reads.Clear();
        Close();
        ServedText[] cold = await Task.WhenAll(Enumerable.Range(0, 3)
            .Select(_ => engine.SubmitAsync(Ask(engine, "b"), Token)));
        await Wait.Until(() => reads.Count == 1);
        Assert.Equal(expected[0], await Text(engine, Ask(engine, "a", 300)));
        Assert.NotEmpty(await Text(engine, Ask(engine, null, 300)));
        Assert.Equal((0, 3, 3), (engine.Statistics.Running, engine.Statistics.Waiting, engine.Statistics.AdapterLoads));
        // Who waits for files does not keep the processor busy.
        long steps = engine.Statistics.Steps;
        gate.SetResult();
        foreach (ServedText text in cold) Assert.Equal(expected[1], await Text(text));
        Assert.Equal(["b"], reads);
        Assert.Equal((2, 4), (engine.Statistics.LoadedAdapters, engine.Statistics.AdapterLoads));
        Assert.InRange(engine.Statistics.Steps - steps, 1, 20);
    }

    [Fact]
    public async Task Who_leaves_while_it_is_read_is_gone_at_once_and_nothing_is_loaded()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 1 }, "a", "b");
        Close();
        using var cancel = new CancellationTokenSource();
        ServedText cancelled = await engine.SubmitAsync(Ask(engine, "a"), cancel.Token);
        ServedText left = await engine.SubmitAsync(Ask(engine, "a"), Token);
        Assert.Equal(2, engine.Statistics.Waiting);
        left.Leave();
        await Wait.Until(() => engine.Statistics.Waiting == 1);
        await cancel.CancelAsync();
        await Wait.Until(() => engine.Statistics.Waiting == 0); // nothing else is under way that would see it
        gate.SetResult();
        Assert.NotEmpty(await Text(engine, Ask(engine, "b")));
        Assert.Equal(2, engine.Statistics.AdapterLoads);
        _ = cancelled;
    }

    [Fact]
    public async Task What_goes_wrong_is_told_to_those_who_asked_for_it_alone()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 1 }, "a", "b");
        string expected = await Text(engine, Ask(engine, "a"));
        await Text(engine, Ask(engine, "b")); // a is out
        Close();
        failure = new InputException("The disk is away.");
        ServedText[] cold = [await engine.SubmitAsync(Ask(engine, "a"), Token),
            await engine.SubmitAsync(Ask(engine, "a") with { Count = 3 }, Token)];
        ServedText other = await engine.SubmitAsync(Ask(engine, "b", 300), Token);
        gate.SetResult();
        foreach (ServedText text in cold)
            Assert.Equal("The disk is away.",
                (await Assert.ThrowsAsync<InputException>(() => text.CollectAsync(Token))).Message);
        Assert.NotEmpty(await Text(other));
        failure = null;
        Assert.Equal(expected, await Text(engine, Ask(engine, "a")));
        Assert.Equal((0, 0), (engine.Statistics.Running, engine.Statistics.Waiting));
        // What reads well and cannot be loaded is told, too.
        await Text(engine, Ask(engine, "b"));
        File.Delete(Path.Combine(served["a"], Adapter.FileName));
        Assert.Contains(Adapter.FileName, (await Assert.ThrowsAsync<InputException>(
            () => Text(engine, Ask(engine, "a")))).Message, StringComparison.Ordinal);
        Assert.NotEmpty(await Text(engine, Ask(engine, "b")));
    }

    [Fact]
    public async Task Files_that_change_after_they_were_read_are_read_again_and_refused()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 1, MaxBatch = 1 }, "a", "b");
        ServedText long1 = await engine.SubmitAsync(Ask(engine, "b", 400), Token);
        ServedText cold = await engine.SubmitAsync(Ask(engine, "a"), Token);
        await Wait.Until(() => Volatile.Read(ref read) == 3);
        await Task.Delay(20, Token); // the clock of the file system
        served.Adapter("a", seed: 9);
        Assert.NotEmpty(await Text(long1));
        Assert.Contains("\"a\" was added with other files", (await Assert.ThrowsAsync<InputException>(
            () => Text(cold))).Message, StringComparison.Ordinal);
        Assert.Equal(["a", "b", "a", "a"], reads); // added, added, asked for, read again
    }

    [Fact]
    public async Task Who_has_no_room_waits_is_passed_as_often_as_a_batch_has_texts_and_then_is_next()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 1, MaxBatch = 2 }, "b", "a");
        var ended = new ConcurrentQueue<string>();
        async Task Write(string name, ServedText text)
        {
            await Text(text);
            ended.Enqueue(name);
            Assert.InRange(engine.Statistics.LoadedAdapters, 0, 1);
        }
        (string Name, ServingRequest Request)[] asked =
        [
            ("long", Ask(engine, "a", 400)), ("cold", Ask(engine, "b")),
            .. Enumerable.Range(1, 4).Select(i => ($"a{i}", Ask(engine, "a", 3))), ("base", Ask(engine, null, 3)),
        ];
        List<Task<ServedText>> texts = [];
        Task rest = Task.CompletedTask;
        await ServedModel.Hold(model, () =>
        {
            texts.AddRange(asked.Take(2).Select(one => engine.SubmitAsync(one.Request, Token)));
            // Before the first step, too, which would not count who passes while the files are read.
            rest = ServedModel.Hold(model, async () =>
            {
                await Wait.Until(() => Volatile.Read(ref read) == 3);
                texts.AddRange(asked.Skip(2).Select(one => engine.SubmitAsync(one.Request, Token)));
            });
            return Task.CompletedTask;
        });
        await rest;
        await Task.WhenAll(asked.Zip(texts, async (one, text) => await Write(one.Name, await text)));
        Assert.Equal(["a1", "a2", "base", "long", "cold"], ended.Take(5));
        Assert.Equal(["a3", "a4"], ended.Skip(5).Order()); // they end in the same step
        Assert.Equal(4, engine.Statistics.AdapterLoads); // b, a, b, a
    }

    [Fact]
    public async Task An_adapter_that_is_replaced_where_nothing_else_fits_is_used_by_those_who_come_later()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 1 }, "a");
        string before = await Text(engine, Ask(engine, "a", 300));
        ServedText under = await engine.SubmitAsync(Ask(engine, "a", 300), Token);
        ServedAdapter replaced = await engine.AddAdapterAsync(
            "a", served.Adapter("a", seed: 7), replace: true, cancellationToken: Token);
        ServedText waits = await engine.SubmitAsync(Ask(engine, "a", 300), Token);
        Assert.Equal(before, await Text(under));
        string after = await Text(waits);
        Assert.NotEqual(before, after);
        Assert.Equal(after, await Text(engine, Ask(engine, "a", 300)));
        Assert.Equal(replaced.Digest, engine.Adapters.Single().Digest);
        Assert.Equal((1, engine.Adapters.Single().Bytes),
            (engine.Statistics.LoadedAdapters, engine.Statistics.AdapterBytes));
    }

    [Fact]
    public async Task Who_waits_for_an_adapter_that_is_removed_gets_it_still_and_then_it_is_gone()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 1 }, "a", "b");
        string expected = await Text(engine, Ask(engine, "a"));
        await Text(engine, Ask(engine, "b"));
        Close();
        ServedText cold = await engine.SubmitAsync(Ask(engine, "a"), Token);
        await engine.RemoveAdapterAsync("a", Token);
        await engine.RemoveAdapterAsync("b", Token);
        gate.SetResult();
        Assert.Equal(expected, await Text(cold));
        Assert.Empty(engine.Adapters);
        await engine.AddAdapterAsync("c", served.Adapter("c", seed: 3), cancellationToken: Token);
        Assert.True(engine.Adapters.Single().IsLoaded); // nothing of the others takes its room
    }

    [Fact]
    public async Task Who_ends_the_use_of_one_that_was_removed_loads_others_before_who_waits_for_the_room()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine =
            await Start(model, new() { MaxAdapters = 2, MaxBatch = 2 }, "c", "d", "e", "a", "b"); // a and b are in
        ServingRequest Both(string one, string other, int tokens) =>
            Ask(engine, null, tokens) with { Adapters = [new(one), new(other)] };
        string expected = await Text(engine, Both("a", "c", 5));
        Task<ServedText>[] texts = [];
        Task removed = Task.CompletedTask;
        await ServedModel.Hold(model, () =>
        {
            texts = [.. new[] { Both("a", "b", 400), Both("d", "e", 5), Both("a", "c", 5) }
                .Select(request => engine.SubmitAsync(request, Token))];
            removed = engine.RemoveAdapterAsync("a", Token);
            return Task.CompletedTask;
        });
        await removed;
        (ServedText under, ServedText waits, ServedText ends) = (await texts[0], await texts[1], await texts[2]);
        Assert.NotEmpty(await Text(under));
        Assert.Equal(expected, await Text(ends).WaitAsync(CommandLine.Longest, Token));
        Assert.NotEmpty(await Text(waits));
    }

    [Fact]
    public async Task Requests_that_hold_removed_adapters_do_not_wait_for_each_others_room()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 2 }, "a", "b", "c", "d");
        ServingRequest Both(string one, string other) =>
            Ask(engine, null) with { Adapters = [new(one), new(other)] };
        string[] expected = [await Text(engine, Both("a", "c")), await Text(engine, Both("b", "d"))];
        await Text(engine, Both("a", "b")); // now these are in
        Task<ServedText>[] texts = [];
        Task[] removed = [];
        await ServedModel.Hold(model, () =>
        {
            texts = [.. new[] { Both("a", "c"), Both("b", "d") }.Select(both => engine.SubmitAsync(both, Token))];
            removed = [engine.RemoveAdapterAsync("a", Token), engine.RemoveAdapterAsync("b", Token)];
            return Task.CompletedTask;
        });
        await Task.WhenAll(removed);
        foreach ((Task<ServedText> text, string written) in texts.Zip(expected))
            Assert.Equal(written, await Text(await text).WaitAsync(CommandLine.Longest, Token));
        Assert.Equal(["c", "d"], engine.Adapters.Select(adapter => adapter.Name));
    }

    [Fact]
    public async Task The_bytes_of_adapters_in_memory_are_never_more_than_allowed()
    {
        await using LanguageModel model = await served.Open();
        long bytes;
        await using (ServingEngine first = await Start(model, new(), "a")) bytes = first.Adapters.Single().Bytes;
        long limit = 5 * bytes / 2;
        await using ServingEngine engine = await Start(model, new() { AdapterBytes = limit, MaxBatch = 4 });
        string message = (await Assert.ThrowsAsync<InputException>(() => engine.AddAdapterAsync(
            "wide", served.Adapter("wide", ServedModel.Lora(12)), cancellationToken: Token))).Message;
        Assert.Contains($"its weights take {3 * bytes} bytes, and those in memory at most {limit}", message,
            StringComparison.Ordinal);
        string[] names = ["a", "b", "c", "d"];
        List<string> alone = [];
        foreach ((int i, string name) in names.Index())
        {
            await engine.AddAdapterAsync(name, served.Adapter(name, seed: i + 1), cancellationToken: Token);
            alone.Add(await Text(engine, Ask(engine, name, 20)));
        }
        Assert.Contains("may be in memory at the same time", (await Assert.ThrowsAsync<InputException>(
            () => engine.SubmitAsync(Ask(engine, null) with { Adapters = [.. names.Take(3).Select(
                name => new AdapterChoice(name))] }, Token))).Message, StringComparison.Ordinal);
        using var ended = new CancellationTokenSource();
        long most = 0;
        Task watch = Task.Run(async () =>
        {
            while (!ended.IsCancellationRequested)
            {
                most = Math.Max(most, engine.Statistics.AdapterBytes);
                await Task.Yield();
            }
        }, Token);
        string[] texts = await Task.WhenAll(Enumerable.Range(0, 60).Select(
            i => Text(engine, Ask(engine, names[i * 7 % 4], 20))));
        // Two of them together have room, too.
        await Task.WhenAll(Enumerable.Range(0, 12).Select(i => Text(engine, Ask(engine, null)
            with { Adapters = [new(names[i % 4]), new(names[(i + 1) % 4], 0.5)] })));
        await ended.CancelAsync();
        await watch;
        for (int i = 0; i < texts.Length; i++) Assert.Equal(alone[i * 7 % 4], texts[i]);
        Assert.InRange(most, bytes, limit);
        Assert.Equal(2 * bytes, engine.Statistics.AdapterBytes);
    }

    // vLLM's in-place reload reads the disk in each step.
    [Fact]
    public async Task Fault_9_nothing_is_read_for_an_adapter_in_memory()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new(), "a");
        await engine.AddAdapterAsync("a", served.Adapter("a", seed: 7), replace: true, cancellationToken: Token);
        string expected = await Text(engine, Ask(engine, "a", 50));
        Directory.Delete(served["a"], recursive: true);
        string[] texts = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Text(engine, Ask(engine, "a", 50))));
        Assert.All(texts, text => Assert.Equal(expected, text));
        Assert.Equal(["a", "a"], reads); // as it was added, and replaced
        Assert.Equal(2, engine.Statistics.AdapterLoads);
    }
}
