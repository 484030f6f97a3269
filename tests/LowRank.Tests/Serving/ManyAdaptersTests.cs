using System.Diagnostics;
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
        long before = Memory(), bytes = 0;
        for (int i = 0; i < Count; i++)
            bytes += (await engine.AddAdapterAsync($"a{i}", folders[i % 10], cancellationToken: token)).Bytes;
        Assert.Equal((Count, bytes), (engine.Statistics.LoadedAdapters, engine.Statistics.AdapterBytes));
        long grown = Memory() - before;
        Assert.InRange(grown, 0.8 * bytes, 1.1 * bytes);

        // Any of them writes what its content writes.
        string[] found = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Text($"a{i * 21}")));
        for (int i = 0; i < 20; i++) Assert.Equal(texts[i * 21 % 10], found[i]);

        for (int i = 0; i < Count; i++) await engine.RemoveAdapterAsync($"a{i}", token);
        Assert.InRange(Memory() - before, long.MinValue, 0.1 * bytes);
    }

    private static long Memory()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        return ProcessMemory.ResidentBytes();
    }
}
