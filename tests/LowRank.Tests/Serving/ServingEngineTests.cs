using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Generation;
using LowRank.Serving;

namespace LowRank.Tests.Serving;

public sealed class ServingEngineTests : IDisposable
{
    private readonly ServedModel served = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => served.Dispose();

    private static ServingRequest Request(Random random, ServingEngine engine, string?[] adapters)
    {
        string prompt = string.Concat(Enumerable.Range(0, random.Next(1, 90)).Select(_ => (char)random.Next('a', 'e')));
        if (random.Next(3) == 0) prompt = string.Concat(Enumerable.Repeat("the same beginning ", 4)) + prompt;
        string? adapter = adapters[random.Next(adapters.Length)];
        return new ServingRequest(engine.Encode(prompt))
        {
            Adapters = adapter is null ? [] : random.Next(4) > 0 ? [new(adapter)]
                : [new(adapter, 0.5), .. adapters.Where(other => other is not null && other != adapter).Take(1)
                    .Select(other => new AdapterChoice(other!, 0.25))],
            Generation = new GenerationOptions
            {
                MaxNewTokens = random.Next(1, 40),
                Temperature = random.Next(2) * 0.9,
                Seed = random.Next(1000),
                RepetitionPenalty = random.Next(2) == 0 ? 1 : 1.2,
            },
        };
    }

    // A text alone, in an engine that computes nothing beside it, in one part, with nothing kept.
    private static async Task<List<(string, ServedEnd?, float[])>> Alone(
        LanguageModel model, IEnumerable<ServingRequest> requests, Func<ServingEngine, Task> prepare)
    {
        List<(string, ServedEnd?, float[])> texts = [];
        foreach (ServingRequest request in requests)
        {
            await using ServingEngine engine = await ServingEngine.StartAsync(
                model, new() { MaxBatch = 1, ChunkTokens = 100_000 }, Token);
            await prepare(engine);
            texts.Add(await ServedModel.Write(engine, request));
        }
        return texts;
    }

    [Theory]
    [InlineData(1, 7, 5, 400, false), InlineData(2, 1, 3, 60, false), InlineData(3, 64, 8, 26, true),
        InlineData(4, 33, 16, 1000, true)]
    public async Task A_text_is_to_the_bit_what_it_is_alone_whatever_the_batch_the_parts_and_what_is_kept(
        int seed, int chunk, int batch, int pages, bool looksUp)
    {
        var random = new Random(seed);
        await using LanguageModel model = await served.Open();
        string[] folders = [served.Adapter("one"),
            served.Adapter("two", ServedModel.Lora(2) with { UseRsLora = true }, 2),
            served.Adapter("dora", ServedModel.Lora(3) with { UseDora = true }, 3)];
        string?[] names = [null, "one", "two", "dora"];
        async Task Prepare(ServingEngine engine)
        {
            foreach ((string? name, string folder) in names.Skip(1).Zip(folders))
                await engine.AddAdapterAsync(name!, folder, cancellationToken: Token);
        }
        await using ServingEngine together = await ServingEngine.StartAsync(model, new()
        {
            MaxBatch = batch, ChunkTokens = chunk, PromptLookup = looksUp,
            CacheBytes = pages * served.PageBytes,
            Context = 200,
        }, Token);
        await Prepare(together);
        ServingRequest[] requests = [.. Enumerable.Range(0, 40).Select(_ => Request(random, together, names))];

        var found = await Task.WhenAll(requests.Select(async request =>
        {
            await Task.Delay(random.Next(3), Token);
            return await ServedModel.Write(together, request);
        }));

        List<(string Text, ServedEnd? End, float[] Scores)> expected = await Alone(model, requests, Prepare);
        for (int i = 0; i < requests.Length; i++)
        {
            Assert.Equal(expected[i].Text, found[i].Text);
            Assert.Equal(expected[i].End, found[i].End);
            Assert.Equal(expected[i].Scores, found[i].Scores);
        }
        ServingStatistics statistics = together.Statistics;
        Assert.True(statistics.CacheHits > 0, "no beginning was shared");
        Assert.Equal((0, 0), (statistics.Running, statistics.Waiting));
        Assert.Equal(0, statistics.CacheUsage);
    }

    private static async Task<ServingEngine> Start(LanguageModel model, ServingOptions? options = null)
    {
        ServingEngine engine = await ServingEngine.StartAsync(model, options, Token);
        return engine;
    }

    private static ServingRequest Ask(ServingEngine engine, string prompt, int tokens = 20, string? adapter = null) =>
        new(engine.Encode(prompt))
        {
            Adapters = adapter is null ? [] : [new(adapter)],
            Generation = new GenerationOptions { MaxNewTokens = tokens },
        };

    private static async Task<string> Text(ServingEngine engine, ServingRequest request) =>
        (await ServedModel.Write(engine, request)).Text;

    [Fact]
    public async Task A_text_is_what_the_model_writes_with_the_adapter()
    {
        string folder = served.Adapter("one");
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model);
        await engine.AddAdapterAsync("one", folder, cancellationToken: Token);
        var options = new GenerationOptions { MaxNewTokens = 20 };
        string alone = await model.GenerateTextAsync("abc", options, Token);
        Assert.Equal(alone, await Text(engine, Ask(engine, "abc")));
        string adapted = await Text(engine, Ask(engine, "abc", adapter: "one"));
        Assert.NotEqual(alone, adapted);
        await model.LoadAdapterAsync(folder, Token);
        Assert.Equal(adapted, await model.GenerateTextAsync("abc", options, Token));
        // The adapter that the model itself has in use has no part in the engine's texts.
        Assert.Equal(alone, await Text(engine, Ask(engine, "abc")));
    }

    [Fact]
    public async Task The_base_is_the_same_to_the_bit_before_beside_and_after_an_adapter()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model);
        var before = await ServedModel.Write(engine, Ask(engine, "the same prompt, long enough to be kept for later"));
        await engine.AddAdapterAsync("one", served.Adapter("one"), cancellationToken: Token);
        ServingRequest request = Ask(engine, "the same prompt, long enough to be kept for later");
        var adapted = await ServedModel.Write(engine, request with { Adapters = [new("one")] });
        var beside = await ServedModel.Write(engine, request);
        await engine.RemoveAdapterAsync("one", Token);
        var after = await ServedModel.Write(engine, request);
        Assert.NotEqual(before.Scores, adapted.Scores);
        Assert.Equal(before.Scores, beside.Scores);
        Assert.Equal(before.Scores, after.Scores);
    }

    [Fact]
    public async Task What_is_kept_belongs_to_an_adapters_content_not_to_its_name()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model);
        await engine.AddAdapterAsync("a", served.Adapter("one", seed: 1), cancellationToken: Token);
        ServingRequest request = Ask(engine, new string('x', 100), adapter: "a");
        var first = await ServedModel.Write(engine, request);
        ServedAdapter replaced = await engine.AddAdapterAsync(
            "a", served.Adapter("two", seed: 2), replace: true, cancellationToken: Token);
        var second = await ServedModel.Write(engine, request);
        Assert.NotEqual(first.Scores, second.Scores);
        await engine.AddAdapterAsync("b", served.Adapter("one", seed: 1), cancellationToken: Token);
        ServedText again = await engine.SubmitAsync(request with { Adapters = [new("b")] }, Token);
        Assert.Equal(first.Text, (await again.CollectAsync(Token)).Single().Text);
        Assert.Equal(96, again.Usage.CachedTokens); // the same content under another name
        Assert.Equal(2, engine.Adapters.Count);
        Assert.NotEqual(replaced.Digest, engine.Adapters[1].Digest);
        // Another factor is other content.
        ServedText half = await engine.SubmitAsync(request with { Adapters = [new("b", 0.5)] }, Token);
        await half.CollectAsync(Token);
        Assert.Equal(0, half.Usage.CachedTokens);
    }

    [Fact]
    public async Task Adapters_that_were_not_used_for_longest_make_room_and_come_back_when_they_are_asked_for()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 2 });
        string[] names = ["a", "b", "c", "d"];
        List<string> first = [];
        foreach ((int i, string name) in names.Index())
        {
            await engine.AddAdapterAsync(name, served.Adapter(name, seed: i + 1), cancellationToken: Token);
            first.Add(await Text(engine, Ask(engine, "abc", adapter: name)));
        }
        Assert.Equal(["c", "d"], engine.Adapters.Where(one => one.IsLoaded).Select(one => one.Name));
        Assert.Equal(engine.Adapters[2].Bytes * 2, engine.Statistics.AdapterBytes);
        foreach ((string name, string text) in names.Zip(first))
            Assert.Equal(text, await Text(engine, Ask(engine, "abc", adapter: name)));
        Assert.Equal(2, engine.Statistics.LoadedAdapters);
        // All at once: those in use stay, and the others wait.
        string[] together = await Task.WhenAll(names.Select(name => Text(engine, Ask(engine, "abc", adapter: name))));
        Assert.Equal(first, together);
        Assert.Equal(2, engine.Statistics.LoadedAdapters);
    }

    [Fact]
    public async Task An_adapter_whose_files_have_changed_is_not_read_again_under_its_name()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxAdapters = 1 });
        string folder = served.Adapter("a", seed: 1);
        await engine.AddAdapterAsync("a", folder, cancellationToken: Token);
        string first = await Text(engine, Ask(engine, "abc", adapter: "a"));
        served.Adapter("a", seed: 2);
        Assert.Equal(first, await Text(engine, Ask(engine, "abc", adapter: "a"))); // in memory
        await engine.AddAdapterAsync("b", served.Adapter("b", seed: 3), cancellationToken: Token);
        string message = (await Assert.ThrowsAsync<InputException>(
            () => Text(engine, Ask(engine, "abc", adapter: "a")))).Message;
        Assert.Contains("\"a\" was added with other files", message, StringComparison.Ordinal);
        Assert.Contains("Add the folder again", message, StringComparison.Ordinal);
        await engine.AddAdapterAsync("a", folder, replace: true, cancellationToken: Token);
        Assert.NotEqual(first, await Text(engine, Ask(engine, "abc", adapter: "a")));
    }

    [Fact]
    public async Task An_adapter_that_is_removed_is_used_to_the_end_and_its_name_is_free_at_once()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model);
        await engine.AddAdapterAsync("a", served.Adapter("one", seed: 1), cancellationToken: Token);
        string expected = await Text(engine, Ask(engine, "abc", 150, "a"));
        ServedText text = await engine.SubmitAsync(Ask(engine, "abc", 150, "a"), Token);
        await engine.RemoveAdapterAsync("a", Token);
        Assert.Equal(ServingRefusal.UnknownAdapter, (await Assert.ThrowsAsync<ServingException>(
            () => engine.SubmitAsync(Ask(engine, "abc", adapter: "a"), Token))).Refusal);
        await engine.AddAdapterAsync("a", served.Adapter("two", seed: 2), cancellationToken: Token);
        Assert.NotEqual(expected, await Text(engine, Ask(engine, "abc", 150, "a")));
        Assert.Equal(expected, (await text.CollectAsync(Token)).Single().Text);
        Assert.Equal(engine.Adapters.Single().Bytes, engine.Statistics.AdapterBytes);
    }

    [Fact]
    public async Task Adapters_that_cannot_be_served_are_refused_with_all_reasons_and_nothing_changes()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxRank = 4 });
        await engine.AddAdapterAsync("a", served.Adapter("a"), cancellationToken: Token);
        string before = await Text(engine, Ask(engine, "abc"));
        async Task<string> Refusal(string folder) => (await Assert.ThrowsAsync<InputException>(
            () => engine.AddAdapterAsync("b", folder, cancellationToken: Token))).Message;
        Assert.Contains("its rank is 8, and at most 4 is served",
            await Refusal(served.Adapter("wide", ServedModel.Lora(8))), StringComparison.Ordinal);
        Assert.Contains("puts a prompt before the text",
            await Refusal(served.Adapter("prompt", new PrefixTuningConfig { NumVirtualTokens = 3 })),
            StringComparison.Ordinal);
        Assert.Contains("adapter_config.json", await Refusal(served["nothing"]), StringComparison.Ordinal);
        string lost = served.Adapter("lost"), config = Path.Combine(lost, AdapterConfig.FileName);
        JsonNode root = JsonNode.Parse(await File.ReadAllTextAsync(config, Token))!;
        root["target_modules"] = new JsonArray("of_another_model");
        await File.WriteAllTextAsync(config, root.ToJsonString(), Token);
        Assert.Contains("of_another_model", await Refusal(lost), StringComparison.Ordinal);
        string broken = served.Adapter("broken");
        File.WriteAllBytes(Path.Combine(broken, Adapter.FileName), [1, 2, 3]);
        Assert.NotEmpty(await Refusal(broken));
        Assert.Equal(ServingRefusal.AdapterExists, (await Assert.ThrowsAsync<ServingException>(
            () => engine.AddAdapterAsync("a", served["a"], cancellationToken: Token))).Refusal);
        Assert.Equal(["a"], engine.Adapters.Select(one => one.Name));
        Assert.Equal(before, await Text(engine, Ask(engine, "abc")));
    }

    [Fact]
    public async Task Stop_strings_end_a_text_and_never_show()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model);
        ServingRequest request = Ask(engine, "abc", 60);
        string whole = await Text(engine, request);
        string stop = whole.Substring(whole.Length / 2, 3);
        ServedText text = await engine.SubmitAsync(request with
        {
            LogProbs = 1,
            Generation = request.Generation with { StopStrings = ["never", stop] },
        }, Token);
        List<ServedPiece> pieces = [];
        await foreach (ServedPiece piece in text) pieces.Add(piece);
        string stopped = string.Concat(pieces.Select(piece => piece.Text));
        Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], stopped);
        Assert.Equal(ServedEnd.Stop, pieces[^1].End);
        Assert.All(pieces[..^1], piece => Assert.Null(piece.End));
        Assert.Equal(
            stopped, engine.Tokenizer.Decode(pieces.SelectMany(piece => piece.Tokens).Select(token => token.Id)));
    }

    [Fact]
    public async Task Several_texts_of_a_request_read_its_prompt_once_and_are_those_of_their_seeds()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model);
        ServingRequest request = Ask(engine, new string('p', 100), 15);
        request = request with { Count = 3, Generation = request.Generation with { Temperature = 1, Seed = 5 } };
        ServedText text = await engine.SubmitAsync(request, Token);
        IReadOnlyList<ServedPiece> all = await text.CollectAsync(Token);
        Assert.Equal([0, 1, 2], all.Select(one => one.Index));
        Assert.Equal(3, all.Select(one => one.Text).Distinct().Count());
        Assert.Equal(2 * 96, engine.Statistics.CacheHits);
        Assert.Equal(all[0].Text, await Text(engine, request with { Count = 1 }));
        Assert.Equal((100, 0), (text.Usage.PromptTokens, text.Usage.CachedTokens));
        Assert.InRange(text.Usage.NewTokens, 3, 45);
        long hits = engine.Statistics.CacheHits;
        text = await engine.SubmitAsync(request with { PromptLogProbs = true }, Token);
        Assert.Equal(all.Select(one => one.Text), (await text.CollectAsync(Token)).Select(one => one.Text));
        Assert.Equal(100, text.PromptTokens.Count);
        Assert.Equal(2 * 96, engine.Statistics.CacheHits - hits); // the first one scores it
    }

    [Fact]
    public async Task Scores_are_the_models_of_the_prompt_too_with_the_adapter_in_the_head()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { ChunkTokens = 5 });
        string folder = served.Adapter("one", ServedModel.Lora(4) with
            { TargetModules = ModuleSelection.Create("lm_head", "q_proj") });
        await engine.AddAdapterAsync("one", folder, cancellationToken: Token);
        ServingRequest request = Ask(engine, "abcdefghijklmnop", 3, "one") with { LogProbs = 2, PromptLogProbs = true };
        ServedText text = await engine.SubmitAsync(request, Token);
        await text.CollectAsync(Token);
        await model.LoadAdapterAsync(folder, Token);
        Assert.Equal(16, text.PromptTokens.Count);
        Assert.Null(text.PromptTokens[0].LogProb);
        double sum = text.PromptTokens.Skip(1).Sum(token => (double)token.LogProb!);
        TextScore score = (await model.ScoreAsync(Dataset.From([new { prompt = "a", completion = "bcdefghijklmnop" }]),
            null, Token)).Single();
        Assert.Equal(score.LogLikelihood, sum, 1e-4);
        Assert.All(text.PromptTokens.Skip(1), token =>
        {
            Assert.Equal(2, token.Likeliest.Count);
            Assert.True(token.Likeliest[0].LogProb >= token.Likeliest[1].LogProb);
            Assert.True(token.Likeliest[0].LogProb >= token.LogProb);
        });
    }

    [Fact]
    public async Task Who_leaves_ends_the_work_wherever_it_is()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxBatch = 1, ChunkTokens = 1 });
        ServedText written = await engine.SubmitAsync(Ask(engine, "abc", 400), Token);
        await using (IAsyncEnumerator<ServedPiece> reader = written.GetAsyncEnumerator(Token))
            Assert.True(await reader.MoveNextAsync());
        using var cancel = new CancellationTokenSource();
        ServedText read = await engine.SubmitAsync(Ask(engine, new string('x', 400), 5), cancel.Token);
        ServedText waits = await engine.SubmitAsync(Ask(engine, "abc", 400), cancel.Token);
        await cancel.CancelAsync();
        await Wait.Until(() => engine.Statistics is { Running: 0, Waiting: 0 });
        Assert.Equal(0, engine.Statistics.CacheUsage);
        Assert.InRange(engine.Statistics.NewTokens, 1, 350);
        _ = (read, waits);
    }

    [Fact]
    public async Task The_queue_has_an_end()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { MaxBatch = 1, MaxQueuedRequests = 2 });
        List<ServedText> texts = [];
        ServingException? refused = null;
        for (int i = 0; i < 10 && refused is null; i++)
            try
            {
                texts.Add(await engine.SubmitAsync(Ask(engine, "abc", 300), Token));
            }
            catch (ServingException e)
            {
                refused = e;
            }
        Assert.Equal(ServingRefusal.Busy, refused?.Refusal);
        Assert.InRange(texts.Count, 2, 4);
        foreach (ServedText text in texts) Assert.NotNull((await text.CollectAsync(Token)).Single().End);
        Assert.NotEmpty(await Text(engine, Ask(engine, "abc")));
    }

    [Fact]
    public async Task A_prompt_that_fills_the_context_is_refused_and_a_text_ends_with_it()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { Context = 50 });
        Assert.Equal(50, engine.Context);
        Assert.Equal(ServingRefusal.PromptTooLong, (await Assert.ThrowsAsync<ServingException>(
            () => engine.SubmitAsync(Ask(engine, new string('x', 50)), Token))).Refusal);
        ServedText text = await engine.SubmitAsync(
            Ask(engine, new string('x', 45), 100) with { IgnoresEndOfText = true }, Token);
        Assert.Equal(ServedEnd.Length, (await text.CollectAsync(Token)).Single().End);
        Assert.Equal(5, text.Usage.NewTokens);
        Assert.Contains("at most 512", (await Assert.ThrowsAsync<InputException>(
            () => Start(model, new() { Context = 1000 }))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_problem_of_a_request_is_named()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model);
        string message = (await Assert.ThrowsAsync<InputException>(() => engine.SubmitAsync(
            new ServingRequest([1, 9999])
            {
                Count = 0, LogProbs = 21, Adapters = [new("a", double.NaN), new("a")],
                Generation = new GenerationOptions
                    { StopStrings = [""], LogitBias = new Dictionary<int, double> { [258] = 1 } },
            }, Token))).Message;
        foreach (string part in new[] { "token 9999 at position 1", "number of texts is 0", "is 21, expected 0 to 20",
            "\"a\" is not finite", "\"a\" is named twice", "stop string is empty",
            "logit bias has token 258" })
            Assert.Contains(part, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_engine_finishes_what_it_has_when_it_drains_and_ends_it_when_it_is_disposed_of()
    {
        await using LanguageModel model = await served.Open();
        ServingEngine engine = await Start(model);
        ServedText text = await engine.SubmitAsync(Ask(engine, "abc", 100), Token);
        Task drained = engine.DrainAsync(Token);
        Assert.Equal(ServingRefusal.Closing, (await Assert.ThrowsAsync<ServingException>(
            () => engine.SubmitAsync(Ask(engine, "abc"), Token))).Refusal);
        Assert.NotNull((await text.CollectAsync(Token)).Single().End);
        await drained;
        await engine.DisposeAsync();
        ServingEngine other = await Start(model);
        ServedText ended = await other.SubmitAsync(Ask(other, "abc", 400) with { IgnoresEndOfText = true }, Token);
        await other.DisposeAsync();
        Assert.Equal(ServingRefusal.Closing,
            (await Assert.ThrowsAsync<ServingException>(() => ended.CollectAsync(Token))).Refusal);
        Assert.NotEmpty(await model.GenerateTextAsync("abc", new GenerationOptions { MaxNewTokens = 5 }, Token));
        // The model went first.
        ServingEngine last = await Start(model);
        ServedText lost = await last.SubmitAsync(Ask(last, "abc", 400) with { IgnoresEndOfText = true }, Token);
        await model.DisposeAsync();
        Assert.Equal(ServingRefusal.Closing,
            (await Assert.ThrowsAsync<ServingException>(() => lost.CollectAsync(Token))).Refusal);
        await last.DisposeAsync();
    }

    [Fact]
    public async Task A_constrained_text_is_what_it_has_to_be_beside_others_that_are_free()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await Start(model, new() { PromptLookup = true });
        await engine.AddAdapterAsync("one", served.Adapter("one"), cancellationToken: Token);
        using JsonDocument schema = JsonDocument.Parse("""
            {"type": "object", "properties": {"name": {"enum": ["anna", "bo"]}, "age": {"type": "integer"},
             "tags": {"type": "array", "items": {"const": "x"}, "maxItems": 2}},
             "required": ["name", "tags"], "additionalProperties": false}
            """);
        var constraint = TextConstraint.JsonSchema(schema.RootElement);
        ServingRequest Asked(int seed, TextConstraint? constraint, string? adapter) =>
            Ask(engine, "abc", 200, adapter) with
            {
                Generation = new GenerationOptions
                    { MaxNewTokens = 200, Temperature = 1, Seed = seed, Constraint = constraint },
            };
        ServingRequest[] requests = [.. Enumerable.Range(0, 24).Select(seed => Asked(
            seed, seed % 3 == 0 ? null : constraint, seed % 2 == 0 ? "one" : null))];
        string[] texts = await Task.WhenAll(requests.Select(request => Text(engine, request)));
        foreach ((int i, string text) in texts.Index().Where(text => text.Index % 3 != 0))
        {
            using JsonDocument read = JsonDocument.Parse(text);
            Assert.Contains(read.RootElement.GetProperty("name").GetString(), new[] { "anna", "bo" });
            Assert.InRange(read.RootElement.GetProperty("tags").GetArrayLength(), 0, 2);
            Assert.Equal(text, await Text(engine, requests[i])); // alone
        }
        Assert.True(texts.Distinct().Count() > 10);
        var choice = new GenerationOptions { Constraint = TextConstraint.Choice(["yes", "no"]) };
        Assert.Contains(await model.GenerateTextAsync("abc", choice, Token), new[] { "yes", "no" });
        Assert.All(await model.GenerateTextsAsync(["a", "b", "c"], choice with { Temperature = 1 }, 2, Token),
            text => Assert.Contains(text, new[] { "yes", "no" }));
    }
}
