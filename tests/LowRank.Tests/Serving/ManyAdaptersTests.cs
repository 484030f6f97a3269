using System.Diagnostics;
using System.Globalization;
using LowRank.Adapters;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Serving;

namespace LowRank.Tests.Serving;

/// <summary>Hundreds of adapters on one base.</summary>
[Collection("alone")]
public sealed class ManyAdaptersTests : IDisposable
{
    private const int Count = 500;
    private readonly ServedModel served = new(hidden: 512);

    public void Dispose() => served.Dispose();

    [Fact]
    public async Task Five_hundred_cost_the_bytes_of_their_weights_and_give_them_back()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        string[] folders =
            [.. Enumerable.Range(0, 10).Select(i => served.Adapter($"kind{i}", ServedModel.Lora(8), i))];
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, token);
        var request = new ServingRequest(engine.Encode("abc")) { Generation = new() { MaxNewTokens = 8 } };
        async Task<string> Text(string name) =>
            (await ServedModel.Write(engine, request with { Adapters = [new(name)] })).Text;
        for (int i = 0; i < 20; i++) // what the first ones need besides is taken once
            await engine.AddAdapterAsync($"warm{i}", folders[i % 10], cancellationToken: token);
        string[] texts = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Text($"warm{i}")));
        Assert.True(texts.Distinct().Count() > 5);
        for (int i = 0; i < 20; i++) await engine.RemoveAdapterAsync($"warm{i}", token);
        await SeenAgain.Fail(async () =>
        {
            long before = Memory(), bytes = 0;
            for (int i = 0; i < Count; i++)
                bytes += (await engine.AddAdapterAsync($"a{i}", folders[i % 10], cancellationToken: token)).Bytes;
            Assert.Equal((Count, bytes), (engine.Statistics.LoadedAdapters, engine.Statistics.AdapterBytes));
            long grown = Memory() - before;

            // Any of them writes what its content writes.
            string[] found = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Text($"a{i * 21}")));
            for (int i = 0; i < 20; i++) Assert.Equal(texts[i * 21 % 10], found[i]);

            for (int i = 0; i < Count; i++) await engine.RemoveAdapterAsync($"a{i}", token);
            long left = Memory() - before;
            return grown >= 0.8 * bytes && grown <= 1.1 * bytes && left <= 0.1 * bytes ? null
                : $"{bytes} bytes of weights took {grown} bytes of memory and left {left}";
        });
    }

    [Fact]
    public async Task Files_beside_an_adapter_are_not_kept_in_memory()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        const int Some = 24, Spaces = 1 << 20; // PEFT's users save the tokenizer of the base with each
        string folder = served.Adapter("one", ServedModel.Lora(1));
        await File.WriteAllTextAsync(Path.Combine(folder, "tokenizer.json"),
            await File.ReadAllTextAsync(Path.Combine(served.Path, "tokenizer.json"), token) + new string(' ', Spaces),
            token);
        await File.WriteAllTextAsync(Path.Combine(folder, "chat_template.jinja"), "{{ messages }}", token);
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, token);
        // The pool of arrays keeps some of those that files are read into, and no more after as many readings.
        for (int i = 0; i < Some; i++) await engine.AddAdapterAsync($"warm{i}", folder, cancellationToken: token);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int i = 0; i < Some; i++) await engine.AddAdapterAsync($"a{i}", folder, cancellationToken: token);
        Assert.NotSame(engine.Tokenizer, engine.TokenizerOf("a1"));
        // As text, each has two bytes for a character.
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, Some * Spaces / 2);
    }

    // That others go on meanwhile is held by ColdAdapterTests.
    [Fact]
    public async Task A_request_for_a_cold_one_costs_its_load_alone()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        string[] folders = [.. Enumerable.Range(0, 3).Select(i => served.Adapter($"big{i}", ServedModel.Lora(300), i))];
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new() { MaxAdapters = 2 }, token);
        for (int i = 0; i < 3; i++) await engine.AddAdapterAsync($"{i}", folders[i], cancellationToken: token);
        ServingRequest Ask(int adapter, int tokens) => new(engine.Encode("abc"))
        {
            Adapters = [new($"{adapter}")],
            IgnoresEndOfText = true,
            Generation = new()
            {
                MaxNewTokens = tokens,
                LogitBias = new Dictionary<int, double> { [engine.Encode("x")[0]] = 100 }, // a piece for each token
            },
        };
        async Task<TimeSpan> First(int adapter)
        {
            ServedText text = await engine.SubmitAsync(Ask(adapter, 1), token);
            await text.CollectAsync(token);
            return text.Times.Queue + text.Times.Prefill;
        }
        int turn = 0;
        await First(2);
        await SeenAgain.Fail(async () =>
        {
            (double warm, double cold, double load, double place) = (0, 0, 0, 0);
            for (int round = 0; round < 6; round++)
            {
                // 2 stays in use, so that the others take turns.
                warm += (await First(2)).TotalMilliseconds;
                long start = Stopwatch.GetTimestamp();
                await AdapterContent.ReadAsync(folders[turn], token);
                load += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                double placed = await model.Do(_ =>
                {
                    long begun = Stopwatch.GetTimestamp();
                    using Adapter adapter = Adapter.Load(folders[turn], model.OpenBase().Model);
                    return Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
                }, token);
                (load, place) = (load + placed, place + placed);
                cold += (await First(turn)).TotalMilliseconds;
                turn = 1 - turn;
            }
            string found = string.Create(CultureInfo.InvariantCulture, $"""
                {engine.Statistics.AdapterBytes / 2 >> 20} MiB: first token {warm / 6:F1} ms warm, {cold / 6:F1} cold;
                load {load / 6:F1}, of it on the model's thread {place / 6:F1}
                """);
            TestContext.Current.TestOutputHelper?.WriteLine(found);
            return cold > 1.5 * (warm + load) + 12 ? found : null;
        });
    }

    private static long Memory()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        return ProcessMemory.ResidentBytes();
    }
}
