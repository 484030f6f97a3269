using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Serving;
using LowRank.Tests.Generation;

namespace LowRank.Tests.Serving;

/// <summary>What an engine holds: pages that texts share, logits, memory while nothing is written.</summary>
public sealed class ServingMemoryTests : IDisposable
{
    private readonly ServedModel served = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => served.Dispose();

    private static ServingRequest Ask(ServingEngine engine, string prompt, int tokens) => new(engine.Encode(prompt))
    {
        Generation = new GenerationOptions { MaxNewTokens = tokens },
        IgnoresEndOfText = true,
    };

    [Theory]
    [InlineData(9, 256), InlineData(16, 256), InlineData(33, 50)]
    public async Task Scores_of_a_prompt_are_the_same_to_the_bit_in_however_many_parts(int rows, int chunk)
    {
        await using LanguageModel model = await served.Open();
        string text = string.Concat(Enumerable.Range(0, 150).Select(i => (char)('a' + i * i % 23)));
        async Task<(IReadOnlyList<ScoredToken>, string, float?[])> Score(ServingOptions options)
        {
            await using ServingEngine engine = await ServingEngine.StartAsync(model, options, Token);
            ServingRequest request = Ask(engine, text, 12) with { LogProbs = 4, PromptLogProbs = true };
            // Beside others, so that parts have rows of several texts.
            ServedText[] texts = await Task.WhenAll(engine.SubmitAsync(request, Token),
                engine.SubmitAsync(Ask(engine, "another", 30), Token), engine.SubmitAsync(request, Token));
            ServedPiece[] whole =
                await Task.WhenAll(texts.Select(async one => (await one.CollectAsync(Token)).Single()));
            Assert.Equal(whole[0].Text, whole[2].Text);
            return (texts[0].PromptTokens, whole[0].Text, [.. whole[0].Tokens.Select(token => token.LogProb)]);
        }
        var expected = await Score(new() { ChunkTokens = 1000 });
        var found = await Score(new() { ChunkTokens = chunk, MostLogits = rows * 258 });
        Assert.Equal(150, found.Item1.Count);
        Assert.Equal(expected.Item1.Select(token => (token.Id, token.LogProb)),
            found.Item1.Select(token => (token.Id, token.LogProb)));
        Assert.Equal(expected.Item1.SelectMany(token => token.Likeliest),
            found.Item1.SelectMany(token => token.Likeliest));
        Assert.Equal((expected.Item2, expected.Item3.Length), (found.Item2, found.Item3.Length));
        Assert.Equal(expected.Item3, found.Item3);
    }

    [Fact]
    public async Task The_only_token_of_a_prompt_is_reported_without_a_score()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        ServingRequest request = Ask(engine, "a", 3) with { PromptLogProbs = true };
        ServedText text = await engine.SubmitAsync(request, Token);
        await text.CollectAsync(Token);
        ScoredToken only = text.PromptTokens.Single();
        Assert.Equal((request.Prompt[0], null), (only.Id, only.LogProb));
    }

    [Theory]
    [InlineData(1), InlineData(9), InlineData(10), InlineData(25), InlineData(1000)]
    public void Parts_have_at_most_so_many_rows_and_all_that_are_needed_in_order(int most)
    {
        using var talking = new TalkingModel();
        ServingText Text(int prompt, bool isScored, int read, int written = 0)
        {
            var text = new ServingText(new ServingWork(
                new ServingRequest([.. Enumerable.Repeat(1, prompt)]) { PromptLogProbs = isScored },
                new MixedAdapters([], [], ""), talking.Tokenizer, new HashSet<int>(), 100, null, () => { }), 0)
                { Computed = read };
            text.Tokens.AddRange(Enumerable.Repeat(2, written));
            return text;
        }
        (ServingText Text, int Count, int Needed)[] steps =
        [
            (Text(40, true, 0), 40, 40),          // a whole prompt, scored
            (Text(40, true, 8), 20, 20),          // a part of one
            (Text(40, false, 0), 40, 1),          // one that is not
            (Text(40, false, 0), 20, 0),
            (Text(5, false, 7, written: 3), 1, 1), // a text that is written
            (Text(5, true, 7, written: 3), 9, 9),  // with guesses
            (Text(3, true, 0), 2, 2),
        ];
        List<LogitRows>[] parts = [.. LogitRows.Parts(steps.Select(step => (step.Text, step.Count)), most)];
        Assert.All(parts, part => Assert.InRange(part.Sum(rows => rows.Count), 0, Math.Max(9, most)));
        int row = 0;
        foreach ((ServingText text, int count, int needed) in steps)
        {
            LogitRows[] own = [.. parts.SelectMany(part => part).Where(rows => rows.Text == text)];
            Assert.Equal(Enumerable.Range(row + count - needed, needed),
                own.SelectMany(rows => Enumerable.Range(rows.First, rows.Count)));
            Assert.Equal(Enumerable.Range(count - needed, needed),
                own.SelectMany(rows => Enumerable.Range(rows.Place, rows.Count)));
            Assert.Equal(own[^1], own.Single(rows => rows.IsLast));
            Assert.Equal(count, own[^1].Place + own[^1].Count);
            row += count;
        }
        Assert.Equal(most < 1000, parts.Length > 1);
    }

    [Theory]
    [InlineData(1), InlineData(3)]
    public async Task Texts_that_share_their_beginning_are_written_together_where_its_pages_have_room_once(int count)
    {
        await using LanguageModel model = await served.Open();
        // Three prompts of four pages and a token; eight pages have room for one of them and three ends.
        await using ServingEngine engine = await ServingEngine.StartAsync(
            model, new() { CacheBytes = 8 * served.PageBytes }, Token);
        string beginning = new('b', 4 * KeyValuePages.PageLength + 1);
        await (await engine.SubmitAsync(Ask(engine, beginning, 1), Token)).CollectAsync(Token);
        long steps = engine.Statistics.Steps;
        ServingRequest request = Ask(engine, beginning, 24) with { Count = count };
        ServedText[] texts = await ServedModel.Together(
            model, engine, [.. Enumerable.Repeat(request, 3 / count)]);
        foreach (ServedText text in texts) await text.CollectAsync(Token);
        Assert.InRange(engine.Statistics.Steps - steps, 24, 40); // one after the other: 72
    }

    [Fact]
    public async Task An_engine_that_writes_nothing_gives_the_memory_of_its_pages_back()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine keeps = await ServingEngine.StartAsync(
            model, new() { IdleTime = Timeout.InfiniteTimeSpan }, Token),
            rests = await ServingEngine.StartAsync(model, new() { IdleTime = TimeSpan.FromMilliseconds(1) }, Token);
        ServingRequest request = Ask(keeps, new string('x', 100), 20);
        var first = await ServedModel.Write(keeps, request);
        Assert.Equal(4 * served.PageBytes, keeps.Statistics.CacheBytes); // 119 tokens in pages of 32
        Assert.Equal(first.Scores, (await ServedModel.Write(rests, request)).Scores);
        await Wait.Until(() => rests.Statistics.CacheBytes == 0);
        ServedText again = await rests.SubmitAsync(request, Token);
        Assert.Equal(first.Text, (await again.CollectAsync(Token)).Single().Text);
        Assert.Equal(0, again.Usage.CachedTokens);
        await Wait.Until(() => rests.Statistics.CacheBytes == 0);
        ServedText kept = await keeps.SubmitAsync(request, Token);
        await kept.CollectAsync(Token);
        Assert.Equal(96, kept.Usage.CachedTokens);
        Assert.Contains("IdleTime is -00:00:02", (await Assert.ThrowsAsync<InputException>(
            () => ServingEngine.StartAsync(model, new() { IdleTime = TimeSpan.FromSeconds(-2) }, Token))).Message,
            StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromMinutes(5), new ServingOptions().IdleTime);
    }
}
