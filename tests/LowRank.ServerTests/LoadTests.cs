using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;

namespace LowRank.ServerTests;

/// <summary>Many clients at once, with mixed adapters, leaving at random, adapters loaded and unloaded, and bad
/// requests between: no wrong text, no failure of the server.</summary>
public sealed class LoadTests
{
    private const int Clients = 40, Kinds = 12;

    // LOWRANK_LOAD_SECONDS=300 is the long run.
    private static TimeSpan Lasting => TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("LOWRANK_LOAD_SECONDS"), out int seconds) ? seconds : 10);

    [Fact]
    public async Task Under_load_each_text_is_the_one_that_is_written_alone()
    {
        using var models = new TinyModels();
        await using RunningServer server = await RunningServer.Start(WriterFixture.Options(models) with
        {
            AdapterRoot = models.Root, AllowAdapterLoading = true,
            Serving = new() { MaxBatch = 8, MaxQueuedRequests = 1000 },
        });
        string[] bodies = [.. Enumerable.Range(0, Kinds).Select(Body)];
        string[] alone = new string[Kinds];
        for (int kind = 0; kind < Kinds; kind++)
            alone[kind] = (await server.Post("/v1/completions", bodies[kind])).Good().Written;
        var counts = new ConcurrentDictionary<string, int>();
        long started = Stopwatch.GetTimestamp();
        bool Lasts() => Stopwatch.GetElapsedTime(started) < Lasting;
        Task changes = Task.Run(async () =>
        {
            while (Lasts())
            {
                Answer loaded = await server.Post(
                    "/v1/load_lora_adapter", new { lora_name = "extra", lora_path = "trained" });
                counts.AddOrUpdate($"load {loaded.Status}", 1, (_, count) => count + 1);
                await server.Post("/v1/completions", new { model = "extra", prompt = "a", max_tokens = 3 });
                Answer unloaded = await server.Post("/v1/unload_lora_adapter", new { lora_name = "extra" });
                counts.AddOrUpdate($"unload {unloaded.Status}", 1, (_, count) => count + 1);
            }
        });
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(async () =>
        {
            var random = new Random(client);
            while (Lasts()) await Ask(server, bodies, alone, random, counts);
        })).Append(changes));
        TestContext.Current.TestOutputHelper?.WriteLine(
            string.Join(", ", counts.OrderBy(count => count.Key).Select(count => $"{count.Key}: {count.Value}")));
        Assert.DoesNotContain(counts, count => count.Key.Contains(" 5", StringComparison.Ordinal));
        foreach (string kind in (string[])["text 200", "left", "bad 400", "load 200", "unload 200"])
            Assert.True(counts.GetValueOrDefault(kind) > 0, $"{kind} did not happen");
        await LifeTests.Until(async () => await LifeTests.Metric(server, "lowrank_requests_running") == 0);
        for (int kind = 0; kind < Kinds; kind++)
            Assert.Equal(alone[kind], (await server.Post("/v1/completions", bodies[kind])).Good().Written);
    }

    private static string Body(int kind) => JsonSerializer.Serialize(new
    {
        model = (string[])["writer", "golden", "trained"] is var names ? names[kind % 3] : "",
        prompt = "A beginning that they share, and number " + kind / 3, max_tokens = 4 + kind, seed = kind,
        temperature = kind % 2, ignore_eos = true,
    });

    private static async Task Ask(RunningServer server, string[] bodies, string[] alone, Random random,
        ConcurrentDictionary<string, int> counts)
    {
        int kind = random.Next(Kinds), what = random.Next(10);
        string said;
        if (what == 0) said = $"bad {(await server.Post("/v1/completions", """{"prompt": "a", "n": -1}""")).Status}";
        else if (what == 1)
        {
            using var leaving = new CancellationTokenSource(random.Next(1, 30));
            try
            {
                using var content = new StringContent(bodies[kind]);
                using HttpResponseMessage response =
                    await server.Http.PostAsync("/v1/completions", content, leaving.Token);
                said = $"stayed {(int)response.StatusCode}";
            }
            catch (OperationCanceledException)
            {
                said = "left";
            }
        }
        else
        {
            Answer answer = await server.Post("/v1/completions", bodies[kind]);
            if (answer.Status == 200) Assert.Equal(alone[kind], answer.Written);
            said = $"text {answer.Status}";
        }
        counts.AddOrUpdate(said, 1, (_, count) => count + 1);
    }
}
