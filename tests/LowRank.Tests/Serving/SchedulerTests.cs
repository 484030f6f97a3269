using System.Collections;
using System.Diagnostics.Metrics;
using LowRank.Adapters;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Serving;

namespace LowRank.Tests.Serving;

/// <summary>Which texts a step has, and what the fate of one is to the others.</summary>
public sealed class SchedulerTests : IDisposable
{
    private readonly ServedModel served = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => served.Dispose();

    private static ServingRequest Ask(ServingEngine engine, string prompt, int tokens, char? only = null) =>
        new(engine.Encode(prompt))
        {
            Generation = new GenerationOptions
            {
                MaxNewTokens = tokens,
                LogitBias = only is null ? new Dictionary<int, double>()
                    : new() { [engine.Encode(only.Value.ToString())[0]] = 100 },
            },
            IgnoresEndOfText = true,
            LogProbs = 0,
        };

    private static AdapterStore Store(OpenedModel opened) =>
        new(opened.Model, opened.Opening, opened.RequireTokenizer(), new ServingOptions(), () => { });

    private static async Task<string> Text(ServedText text) => (await text.CollectAsync(Token)).Single().Text;

    [Fact]
    public async Task A_text_that_is_interrupted_guesses_anew()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(
            model, new() { PromptLookup = true, CacheBytes = 3 * served.PageBytes }, Token);
        // The first text takes the last page from the second one, which repeats itself.
        ServedText[] texts = await ServedModel.Together(model, engine,
            Ask(engine, "abcdefghijklmnopqrstuvwxyzABCDE", 20), Ask(engine, new string('y', 40), 20, 'y'));
        Assert.NotEmpty(await Text(texts[0]));
        Assert.Equal(new string('y', 20), await Text(texts[1]));
        Assert.Equal(0, engine.Statistics.CacheUsage);
    }

    [Fact]
    public async Task A_text_that_fails_leaves_the_others_of_its_step_alone()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        string expected = await Text(await engine.SubmitAsync(Ask(engine, "abc", 20), Token));
        ServingRequest failing = Ask(engine, "xyz", 20);
        failing = failing with { Generation = failing.Generation with { LogitBias = new Failing(5) } };
        ServedText[] texts = await ServedModel.Together(model, engine,
            Ask(engine, "abc", 20), failing, Ask(engine, "abc", 20) with { Count = 2 });
        await Assert.ThrowsAsync<ArithmeticException>(() => texts[1].CollectAsync(Token));
        Assert.Equal(expected, await Text(texts[0]));
        Assert.Equal([expected, expected], (await texts[2].CollectAsync(Token)).Select(one => one.Text));
        Assert.Equal(0, engine.Statistics.CacheUsage);
    }

    [Fact]
    public async Task A_short_prompt_is_read_while_a_long_one_is()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new() { ChunkTokens = 10 }, Token);
        ServedText[] texts = await ServedModel.Together(model, engine,
            Ask(engine, new string('x', 400), 1), Ask(engine, "a short one", 1));
        foreach (ServedText text in texts) await Text(text);
        TimeSpan[] first = [.. texts.Select(text => text.Times.Queue + text.Times.Prefill)];
        Assert.True(first[1] < first[0], $"the long one was read in {first[0]}, the short one in {first[1]}");
    }

    [Fact]
    public async Task Others_do_not_wait_until_the_prompt_of_several_texts_is_read()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new() { ChunkTokens = 10 }, Token);
        ServedText[] texts = await ServedModel.Together(model, engine,
            Ask(engine, new string('x', 400), 1) with { Count = 2 }, Ask(engine, "a short one", 1));
        await texts[0].CollectAsync(Token);
        await Text(texts[1]);
        TimeSpan[] first = [.. texts.Select(text => text.Times.Queue + text.Times.Prefill)];
        Assert.True(first[1] < first[0], $"the long one was read in {first[0]}, the short one in {first[1]}");
    }

    [Fact]
    public async Task A_step_is_not_the_work_of_the_caller_who_woke_the_engine()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        var caller = new AsyncLocal<string?>();
        var seen = new System.Collections.Concurrent.ConcurrentBag<string?>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (ReferenceEquals(instrument.Meter.Scope, engine)) listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => seen.Add(caller.Value));
        listener.Start();
        caller.Value = "the first";
        await Text(await engine.SubmitAsync(Ask(engine, "abc", 5), Token));
        Assert.NotEmpty(seen);
        Assert.All(seen, Assert.Null);
    }

    [Fact]
    public async Task A_huge_number_of_texts_is_refused_and_a_prompt_is_what_it_was_when_it_was_asked()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        string expected = await Text(await engine.SubmitAsync(Ask(engine, "abc", 20), Token));
        ServingRequest request = Ask(engine, "abc", 20);
        List<int> mine = [.. request.Prompt];
        ServedText[] texts = await ServedModel.Together(model, engine, request with { Prompt = mine });
        mine.Clear();
        Assert.Contains("expected 1 to 256", (await Assert.ThrowsAsync<InputException>(
            () => engine.SubmitAsync(request with { Count = int.MaxValue }, Token))).Message, StringComparison.Ordinal);
        Assert.Equal(expected, await Text(texts[0]));
        Assert.Equal(3, texts[0].Usage.PromptTokens);
    }

    [Fact]
    public async Task Settings_beyond_what_can_be_counted_are_refused_or_change_no_text()
    {
        await using LanguageModel model = await served.Open();
        string message = (await Assert.ThrowsAsync<InputException>(() => ServingEngine.StartAsync(
            model, new() { MaxBatch = int.MaxValue, ChunkTokens = 0, CacheBytes = -1 }, Token))).Message;
        foreach (string part in new[] { "MaxBatch is 2147483647, expected at most 65536",
            "ChunkTokens is 0, expected at least 1", "CacheBytes is -1, expected at least 1" })
            Assert.Contains(part, message, StringComparison.Ordinal);
        string? expected = null;
        foreach (ServingOptions options in new ServingOptions[]
        {
            new(), new() { MaxBatch = 65_536 },
            new()
            {
                MaxBatch = 65_536, ChunkTokens = int.MaxValue, CacheBytes = long.MaxValue,
                MaxQueuedRequests = int.MaxValue, MaxQueuedTokens = long.MaxValue, MaxAdapters = int.MaxValue,
                AdapterBytes = long.MaxValue, MaxRank = int.MaxValue,
            },
        })
        {
            await using ServingEngine engine = await ServingEngine.StartAsync(model, options, Token);
            ServedText[] texts = await ServedModel.Together(
                model, engine, Ask(engine, "abc", 20), Ask(engine, "bcd", 20));
            string written = await Text(texts[0]);
            Assert.Equal(expected ??= written, written);
            Assert.NotEmpty(await Text(texts[1]));
            Assert.Equal(0, engine.Statistics.CacheUsage);
        }
    }

    // vLLM 931: characters are split between pieces. The model's tokens are bytes.
    [Fact]
    public async Task Fault_14_a_piece_never_ends_within_a_character()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(
            model, new() { PromptLookup = true }, Token);
        const string Written = "日本 👩‍👩‍👧 Ωß日本 👩‍👩‍👧 Ωß";
        foreach (string[] stops in new string[][] { [], ["never"], ["本x"] })
            foreach (int? scores in new int?[] { null, 1 })
            {
                ServedText text = await engine.SubmitAsync(new ServingRequest(engine.Encode(Written))
                {
                    LogProbs = scores,
                    Generation = new GenerationOptions
                        { Constraint = TextConstraint.Choice([Written]), StopStrings = stops },
                }, Token);
                List<string> pieces = [];
                await foreach (ServedPiece piece in text) pieces.Add(piece.Text);
                Assert.Equal(Written, string.Concat(pieces));
                Assert.True(pieces.Count > 10);
                Assert.All(pieces, piece => Assert.DoesNotContain('\uFFFD', piece));
                Assert.All(pieces, piece => Assert.False(piece.Length > 0 && char.IsHighSurrogate(piece[^1])));
            }
    }

    [Fact]
    public async Task Factors_and_contents_that_nobody_uses_are_not_kept()
    {
        await using LanguageModel model = await served.Open();
        string folder = served.Adapter("one");
        AdapterContent content = await AdapterContent.ReadAsync(folder, Token);
        Assert.Equal(0, await model.Do(_ =>
        {
            OpenedModel opened = model.OpenBase();
            using AdapterStore store = Store(opened);
            store.Add(store.Read("one", folder, content), replace: false);
            for (int i = 0; i < 100; i++)
            {
                MixedAdapters used = store.Use([new("one", i)]), again = store.Use([new("one", i)]);
                Assert.Same(used, again);
                Assert.Equal(AdapterPlace.InMemory, store.Place(used, mayLoad: false));
                store.Release(used, isPlaced: true);
                Assert.Equal(1, store.Requested);
                store.Release(again, isPlaced: false);
                Assert.Null(used.Mix);
            }
            return store.Requested;
        }, Token));
        using var pages = new KeyValuePages(1, 1, 4, 10, TorchSharp.torch.CPU);
        var known = new PrefixPages(pages);
        int[] tokens = [.. Enumerable.Range(0, 40)];
        Assert.Empty(known.Find("a", tokens, 39));
        Assert.Equal(0, known.Contents);
        Assert.True(pages.TryTake(out int page));
        known.Release(known.Add(known.Root("a"), tokens[..KeyValuePages.PageLength], page));
        Assert.Equal(page, known.Find("a", tokens, 39).Single().Page);
        Assert.Equal(1, known.Contents);
    }

    [Fact]
    public async Task Files_that_are_written_while_they_are_read_are_refused()
    {
        await using LanguageModel model = await served.Open();
        string folder = served.Adapter("one", seed: 1);
        AdapterContent read = await AdapterContent.ReadAsync(folder, Token);
        await Task.Delay(20, Token); // the clock of the file system
        served.Adapter("one", seed: 2);
        Assert.Contains("written as they were read", (await Assert.ThrowsAsync<InputException>(() => model.Do(_ =>
        {
            OpenedModel opened = model.OpenBase();
            using AdapterStore store = Store(opened);
            return store.Add(store.Read("one", folder, read), replace: false);
        }, Token))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_constrained_text_may_end_with_a_stop_token_of_its_request_where_it_is_complete()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        int end = engine.Tokenizer.TokenToId("<|im_start|>")!.Value;
        var options = new GenerationOptions
        {
            MaxNewTokens = 20,
            Constraint = TextConstraint.Regex("yes+"),
            LogitBias = new Dictionary<int, double> { [end] = 100 },
            StopTokenIds = [end],
        };
        ServedText text = await engine.SubmitAsync(
            new ServingRequest(engine.Encode("abc")) { Generation = options }, Token);
        Assert.Equal(new ServedPiece(0, "yes") { End = ServedEnd.Stop },
            (await text.CollectAsync(Token)).Single() with { Tokens = [] });
        Assert.Equal("yes", await model.GenerateTextAsync("abc", options, Token));
    }

    [Theory]
    [InlineData("bfloat16"), InlineData("int8"), InlineData("nf4")]
    public async Task A_text_on_a_quantized_base_is_to_the_bit_what_it_is_alone(string dtype)
    {
        await using LanguageModel model = await served.Open(new() { Threads = 1, BaseDtype = dtype });
        AdapterConfig lora = ServedModel.Lora(4);
        AdapterConfig[] kinds = [lora, ServedModel.Lora(2) with { UseRsLora = true },
            ServedModel.Lora(3) with { UseDora = true }, new Ia3Config
                { TargetModules = ModuleSelection.Create("k_proj", "down_proj"),
                    FeedforwardModules = ModuleSelection.Create("down_proj") },
            new VeraConfig { Rank = 4, TargetModules = ModuleSelection.AllLinear }];
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new() { ChunkTokens = 7 }, Token);
        List<ServingRequest> requests = [Ask(engine, "a prompt of the base", 12)];
        foreach ((int i, AdapterConfig kind) in kinds.Index())
        {
            await engine.AddAdapterAsync($"{i}", served.Adapter($"{i}", kind, i), cancellationToken: Token);
            requests.Add(Ask(engine, $"a prompt of the {i}th kind", 12) with { Adapters = [new($"{i}")] });
            requests.Add(requests[^1] with { Adapters = [new($"{i}", 0.5)] });
        }
        List<float[]> alone = [];
        foreach (ServingRequest request in requests) alone.Add((await ServedModel.Write(engine, request)).Scores);
        ServedText[] texts = await ServedModel.Together(model, engine, [.. requests]);
        for (int i = 0; i < requests.Count; i++)
            Assert.Equal(alone[i],
                (await texts[i].CollectAsync(Token)).Single().Tokens.Select(token => token.LogProb!.Value));
        Assert.Equal(requests.Count, alone.Select(scores => scores[0]).Distinct().Count());
    }

    [Fact]
    public async Task A_text_that_cannot_be_begun_leaves_nothing_open()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new() { MaxAdapters = 1 }, Token);
        await engine.AddAdapterAsync("a", served.Adapter("a"), cancellationToken: Token);
        ServingRequest failing = Ask(engine, "xyz", 20) with { Adapters = [new("a")] };
        failing = failing with
            { Generation = failing.Generation with { LogitBias = new Failing(times: 5, isCounted: false) } };
        await Assert.ThrowsAsync<ArithmeticException>(() => engine.SubmitAsync(failing, Token));
        await engine.RemoveAdapterAsync("a", Token);
        await engine.AddAdapterAsync("b", served.Adapter("b"), cancellationToken: Token);
        Assert.True(engine.Adapters.Single().IsLoaded); // what was removed has left the memory
        await engine.DrainAsync(Token).WaitAsync(CommandLine.Longest, Token);
    }

    [Fact]
    public async Task What_goes_wrong_with_a_text_before_a_step_ends_that_text_alone()
    {
        await using LanguageModel model = await served.Open();
        ServedText[] texts = await model.Do(_ =>
        {
            OpenedModel opened = model.OpenBase();
            using AdapterStore store = Store(opened);
            using var metrics = new ServingMetrics(() => null!, new object());
            using var scheduler = new Scheduler(opened.RequireDecoder("Serving texts"), new() { PromptLookup = true },
                store, pageCount: 100, metrics, text => text.Work.Output.Complete());
            ServingWork Add(IReadOnlyList<int> prompt)
            {
                var work = new ServingWork(new ServingRequest(prompt), store.Use([]), opened.RequireTokenizer(),
                    new HashSet<int>(), room: 20, constraint: null, () => { });
                scheduler.Add(new ServingText(work, 0));
                return work;
            }
            var failing = new FailingPrompt([1, 2, 3]);
            ServingWork[] works = [Add(failing), Add([1, 2, 3])];
            scheduler.Step();
            failing.Fails = true; // when the next step asks how much may be guessed
            while (scheduler.HasWork) scheduler.Step();
            return works.Select(work => work.Output).ToArray();
        }, Token);
        await Assert.ThrowsAsync<ArithmeticException>(() => texts[0].CollectAsync(Token));
        Assert.Equal(ServedEnd.Length, (await texts[1].CollectAsync(Token)).Single().End);
        Assert.Equal(20, texts[1].Usage.NewTokens);
    }

    [Fact]
    public async Task Who_is_refused_takes_no_place_from_who_fits()
    {
        await using LanguageModel model = await served.Open();
        const int Most = 2000;
        await using ServingEngine engine =
            await ServingEngine.StartAsync(model, new() { MaxQueuedRequests = Most }, Token);
        ServingRequest one = Ask(engine, "abc", 1), all = one with { Count = Most };
        using var leaving = new CancellationTokenSource();
        List<Task<ServedText>> fit = [];
        await ServedModel.Hold(model, async () =>
        {
            fit.Add(engine.SubmitAsync(one, leaving.Token)); // from now on there is no place for all
            bool isOver = false;
            Task refused = Task.Run(async () =>
            {
                while (!Volatile.Read(ref isOver))
                    await Assert.ThrowsAsync<ServingException>(() => engine.SubmitAsync(all, leaving.Token));
            }, Token);
            for (int i = 1; i < Most; i++) fit.Add(engine.SubmitAsync(one, leaving.Token));
            Volatile.Write(ref isOver, true);
            await refused;
            Assert.DoesNotContain(fit, task => task.IsFaulted);
            await leaving.CancelAsync();
        });
        await Task.WhenAll(fit.Select(task => Assert.ThrowsAnyAsync<OperationCanceledException>(() => task)));
    }

    // Fails once.
    private sealed class FailingPrompt(int[] tokens) : IReadOnlyList<int>
    {
        public bool Fails { get; set; }

        public int Count
        {
            get
            {
                if (!Fails) return tokens.Length;
                Fails = false;
                throw new ArithmeticException();
            }
        }

        public int this[int index] => tokens[index];

        public IEnumerator<int> GetEnumerator() => tokens.AsEnumerable().GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }

    // Cannot be read any more after some times.
    private sealed class Failing(int times, bool isCounted = true) : IReadOnlyDictionary<int, double>
    {
        private readonly Dictionary<int, double> empty = [];
        private int left = times;

        public double this[int key] => empty[key];

        public IEnumerable<int> Keys => empty.Keys;

        public IEnumerable<double> Values => empty.Values;

        public int Count => isCounted ? 1 : throw new ArithmeticException();

        public bool ContainsKey(int key) => false;

        public bool TryGetValue(int key, out double value) => empty.TryGetValue(key, out value);

        public IEnumerator<KeyValuePair<int, double>> GetEnumerator() =>
            left-- > 0 ? empty.GetEnumerator() : throw new ArithmeticException();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
