using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Serving;

namespace LowRank.Tests.Serving;

/// <summary>Many clients at once, some of whom leave, while adapters come and go.</summary>
[Collection("alone")]
public sealed class ServingTrafficTests : IDisposable
{
    private const int Clients = 200, Rounds = 6;
    private readonly ServedModel served = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => served.Dispose();

    [Fact]
    public async Task Every_text_is_the_one_that_is_written_alone_and_nothing_is_left_behind()
    {
        string[] folders =
            [.. Enumerable.Range(0, 4).Select(i => served.Adapter($"kind{i}", ServedModel.Lora(2 + i), i))];
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new()
        {
            MaxBatch = 12, ChunkTokens = 48, MaxQueuedRequests = 60, MaxAdapters = 3,
            CacheBytes = 40 * served.PageBytes, Context = 300,
        }, Token);
        for (int i = 0; i < 4; i++) await engine.AddAdapterAsync($"kind{i}", folders[i], cancellationToken: Token);
        ServingRequest[] requests = [.. Enumerable.Range(0, 40).Select(i => Request(engine, new Random(i), i % 5))];
        List<string> alone = [];
        foreach (ServingRequest request in requests) alone.Add((await ServedModel.Write(engine, request)).Text);

        await Traffic(engine, requests, alone, folders[0], seed: 1);
        long before = Memory();
        await Traffic(engine, requests, alone, folders[1], seed: 2);

        Assert.InRange(Memory() - before, long.MinValue, 24 << 20);
        ServingStatistics statistics = engine.Statistics;
        Assert.Equal((0, 0, 0.0), (statistics.Running, statistics.Waiting, statistics.CacheUsage));
        Assert.InRange(statistics.LoadedAdapters, 0, 3);
    }

    private static ServingRequest Request(ServingEngine engine, Random random, int kind) =>
        new(engine.Encode((random.Next(2) == 0 ? "A beginning that many texts have in common. " : "")
            + new string((char)('a' + random.Next(20)), random.Next(1, 60))))
        {
            Adapters = kind == 4 ? [] : [new($"kind{kind}")],
            Generation = new GenerationOptions
                { MaxNewTokens = random.Next(1, 25), Temperature = random.Next(2), Seed = random.Next(9) },
            LogProbs = 0,
        };

    private static async Task Traffic(
        ServingEngine engine, ServingRequest[] requests, List<string> alone, string churned, int seed)
    {
        using var ended = new CancellationTokenSource();
        Task churn = Churn(engine, churned, ended.Token);
        int written = 0, left = 0, refused = 0, unknown = 0;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(async () =>
        {
            var random = new Random(seed * 1000 + client);
            int chosen = 0, kind = 0;
            bool isAgain = false;
            for (int round = 0; round < Rounds; round++)
            {
                if (!isAgain) (chosen, kind) = (random.Next(requests.Length), random.Next(8));
                isAgain = false;
                try
                {
                    switch (kind)
                    {
                        case 0: // leaves after the first piece
                            await foreach (ServedPiece _ in await engine.SubmitAsync(requests[chosen], Token)) break;
                            Interlocked.Increment(ref left);
                            break;
                        case 1: // leaves while it waits
                            (await engine.SubmitAsync(requests[chosen], Token)).Leave();
                            Interlocked.Increment(ref left);
                            break;
                        case 2: // is wrong
                            await Assert.ThrowsAsync<InputException>(() => engine.SubmitAsync(new([-1]), Token));
                            break;
                        case 3: // an adapter that comes and goes
                            await ServedModel.Write(engine, requests[chosen] with { Adapters = [new("churned")] });
                            break;
                        default:
                            Assert.InRange(engine.Statistics.LoadedAdapters, 0, 3);
                            Assert.Equal(alone[chosen], (await ServedModel.Write(engine, requests[chosen])).Text);
                            Interlocked.Increment(ref written);
                            break;
                    }
                }
                catch (ServingException e) when (e.Refusal == ServingRefusal.Busy)
                {
                    Interlocked.Increment(ref refused);
                    await Task.Delay(random.Next(1, 40), Token); // and asks again
                    isAgain = true;
                    round--;
                }
                catch (ServingException e) when (e.Refusal == ServingRefusal.UnknownAdapter)
                {
                    Interlocked.Increment(ref unknown);
                }
            }
        }, Token)));
        await ended.CancelAsync();
        await churn;
        await Wait.Until(() => engine.Statistics is { Running: 0, Waiting: 0 });
        Assert.True(written > Clients && left > 20 && refused > 0,
            $"{written} written, {left} left, {refused} refused, {unknown} unknown");
    }

    private static async Task Churn(ServingEngine engine, string folder, CancellationToken ended)
    {
        while (!ended.IsCancellationRequested)
        {
            await engine.AddAdapterAsync("churned", folder, cancellationToken: Token);
            await Task.Delay(3, Token);
            await engine.RemoveAdapterAsync("churned", Token);
        }
    }

    private static long Memory()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        ProcessMemory.ReturnFreed();
        return ProcessMemory.ResidentBytes();
    }
}
