using System.Text.Json;
using LowRank.Generation;
using LowRank.Serving;
using LowRank.Tests.Generation.Constraints;
using LowRank.Tokenizers;

namespace LowRank.Tests.Serving;

/// <summary>How tokens are chosen in an engine, alone and beside other texts.</summary>
public sealed class ServingChoiceTests : IDisposable
{
    private readonly ServedModel served = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => served.Dispose();

    private static ServingRequest Ask(ServingEngine engine, string prompt, GenerationOptions options) =>
        new(engine.Encode(prompt)) { Generation = options, LogProbs = 0 };

    [Fact]
    public async Task A_seed_gives_the_same_text_alone_and_in_a_batch_with_penalties_and_thresholds()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new() { ChunkTokens = 9 }, Token);
        await engine.AddAdapterAsync("one", served.Adapter("one"), cancellationToken: Token);
        GenerationOptions plain = new() { MaxNewTokens = 40, Temperature = 1.1, Seed = 5 };
        GenerationOptions[] kinds =
        [
            plain, plain with { RepetitionPenalty = 1.3 }, plain with { FrequencyPenalty = 1.2 },
            plain with { PresencePenalty = -0.8 }, plain with { MinP = 0.1 }, plain with { TopK = 100, TopP = 0.9 },
            plain with { LogitBias = new Dictionary<int, double> { [40] = 5, [41] = -100 }, RepetitionPenalty = 1.2 },
            plain with { Temperature = 0, FrequencyPenalty = 0.9, PresencePenalty = 0.3, RepetitionPenalty = 1.1 },
        ];
        ServingRequest[] requests = [.. kinds.SelectMany(kind => new[]
        {
            Ask(engine, "a prompt, a prompt", kind) with { IgnoresEndOfText = true },
            Ask(engine, "a prompt, a prompt", kind) with { IgnoresEndOfText = true, Adapters = [new("one")] },
        })];
        List<(string, ServedEnd?, float[])> alone = [];
        foreach (ServingRequest request in requests) alone.Add(await ServedModel.Write(engine, request));
        ServedText[] texts = await ServedModel.Together(model, engine, requests);
        for (int i = 0; i < requests.Length; i++)
        {
            ServedPiece found = (await texts[i].CollectAsync(Token)).Single();
            Assert.Equal(alone[i].Item1, found.Text);
            Assert.Equal(alone[i].Item3, found.Tokens.Select(token => token.LogProb!.Value));
        }
        Assert.Equal(requests.Length, alone.Select(text => text.Item1).Distinct().Count()); // each setting matters
    }

    [Fact]
    public async Task Several_texts_of_a_constrained_request_are_each_what_they_have_to_be_and_the_same_again()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(
            model, new() { PromptLookup = true, MaxBatch = 5 }, Token);
        using JsonDocument schema = JsonDocument.Parse("""
            {"type": "object", "properties": {"n": {"type": "integer"}, "who": {"enum": ["anna", "bo", "cleo"]}},
             "required": ["n", "who"], "additionalProperties": false}
            """);
        ServingRequest request = Ask(engine, "abc", new GenerationOptions
        {
            MaxNewTokens = 300, Temperature = 1, Seed = 3,
            Constraint = TextConstraint.JsonSchema(schema.RootElement),
        }) with { Count = 6 };
        string[] texts = await Texts(request);
        Assert.Equal(6, texts.Length);
        Assert.All(texts, text =>
        {
            using JsonDocument read = JsonDocument.Parse(text);
            Assert.Equal(JsonValueKind.Number, read.RootElement.GetProperty("n").ValueKind);
            Assert.Contains(read.RootElement.GetProperty("who").GetString(), new[] { "anna", "bo", "cleo" });
        });
        Assert.True(texts.Distinct().Count() > 3, string.Join('\n', texts));
        // The same beside others, and the first of them is the text of a request for one.
        Task<string[]> other = Texts(Ask(engine, "xyz", new() { MaxNewTokens = 60 }) with { Count = 3 });
        Assert.Equal(texts, await Texts(request));
        Assert.Equal(texts[..1], await Texts(request with { Count = 1 }));
        await other;
        async Task<string[]> Texts(ServingRequest asked) =>
            [.. (await (await engine.SubmitAsync(asked, Token)).CollectAsync(Token)).Select(piece => piece.Text)];
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public async Task A_text_whose_next_tokens_take_long_to_find_holds_up_no_other(bool looksUp)
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(
            model, new() { PromptLookup = looksUp }, Token);
        var options = new GenerationOptions
            { MaxNewTokens = 60, Temperature = 1, Constraint = SlowConstraintTests.Laborious };
        ServingRequest slow = Ask(engine, "abc", options) with { IgnoresEndOfText = true },
            quick = Ask(engine, "abc", new() { MaxNewTokens = 100 }) with { IgnoresEndOfText = true };
        // The same constraint of another vocabulary does not know its masks yet.
        (string expected, _, _) = await Alone(slow);
        OpenedModel opened = await model.Do(_ => model.OpenBase(), Token);
        TokenConstraint constraint = await Task.Run(() => opened.Compile(options.Constraint)!, Token);
        ServedText held;
        using (var _ = new SlowConstraintTests.Held(constraint.AsideGate))
        {
            held = await engine.SubmitAsync(slow, Token);
            foreach (ServingRequest request in new[] { quick, quick })
                Assert.NotEmpty((await (await engine.SubmitAsync(request, Token)).CollectAsync(Token)).Single().Text);
            Assert.Equal((1, true), (engine.Statistics.Running, held.Usage.NewTokens < 60));
            // Who leaves while it waits is gone at once, and other callers of the model have their turn.
            ServedText left = await engine.SubmitAsync(slow, Token);
            left.Leave();
            await Wait.Until(() => engine.Statistics.Running == 1);
            Assert.NotEmpty(await model.GenerateTextAsync("abc", new() { MaxNewTokens = 3 }, Token));
        }
        Assert.Equal(expected, (await held.CollectAsync(Token)).Single().Text);
    }

    // On a model that nothing else uses.
    private async Task<(string Text, ServedEnd? End, float[] Scores)> Alone(ServingRequest request)
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        return await ServedModel.Write(engine, request);
    }

    [Fact]
    public async Task The_queue_has_an_end_by_the_tokens_of_prompts()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(
            model, new() { MaxBatch = 1, MaxQueuedTokens = 100 }, Token);
        ServingRequest Of(int tokens, int count = 1) =>
            Ask(engine, new string('x', tokens), new() { MaxNewTokens = 2 }) with { Count = count };
        async Task<string?> Refusal(ServingRequest request)
        {
            var refused = await Assert.ThrowsAsync<ServingException>(() => engine.SubmitAsync(request, Token));
            Assert.Equal(ServingRefusal.Busy, refused.Refusal);
            return refused.Message;
        }
        List<Task<ServedText>> texts = [];
        await ServedModel.Hold(model, async () =>
        {
            texts.AddRange([engine.SubmitAsync(Of(60), Token), engine.SubmitAsync(Of(30), Token)]);
            Assert.Contains("2 texts with prompts of 90 tokens", await Refusal(Of(11)), StringComparison.Ordinal);
            Assert.Contains(
                "2 texts with prompts of 90 tokens", await Refusal(Of(4, count: 3)), StringComparison.Ordinal);
            texts.Add(engine.SubmitAsync(Of(5, count: 2), Token)); // 100
            await Refusal(Of(1));
        });
        foreach (Task<ServedText> text in texts) await (await text).CollectAsync(Token);
        // One that waits alone may be longer, and then others wait in vain.
        Task<ServedText>? longest = null;
        await ServedModel.Hold(model, async () =>
        {
            longest = engine.SubmitAsync(Of(400), Token);
            await Refusal(Of(1));
        });
        await (await longest!).CollectAsync(Token);
        await (await engine.SubmitAsync(Of(90), Token)).CollectAsync(Token); // what was refused is not counted
    }

    [Fact]
    public void A_stop_string_that_was_held_back_is_why_the_text_ends()
    {
        using var folder = new TemporaryFolder();
        // Its one token of two bytes lies across two characters.
        File.WriteAllText(folder["tokenizer.json"], BytePairTrainer.Train(["éà ũá Щâ"], 257, []));
        Tokenizer tokenizer = Tokenizer.Load(folder[""]);
        int[] tokens = tokenizer.Encode("xéà");
        Assert.Equal(4, tokens.Length); // x, C3, A9 C3, A0
        var work = new ServingWork(new ServingRequest([0])
            { Generation = new GenerationOptions { StopStrings = ["é"] } },
            new MixedAdapters([], [], ""), tokenizer, new HashSet<int>(), 3, null, () => { });
        var text = new ServingText(work, 0);
        string shown = string.Concat(tokens.Take(3).SelectMany(
            token => text.Show(token, new ScoredToken(token, -1, []))).Select(piece => piece.Text));
        Assert.False(text.IsStopped);
        ServedPiece last = text.ShowRest(ServedEnd.Length);
        Assert.Equal(("x", ServedEnd.Stop), (shown + last.Text, last.End));
        Assert.Empty(last.Tokens); // they belong to the stop string
    }

    [Fact]
    public async Task Stop_strings_of_characters_of_several_bytes_end_a_text_and_its_tokens()
    {
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        var options = new GenerationOptions { Constraint = TextConstraint.Text("aé€😀b") };
        async Task<ServedPiece> Write(int tokens, params string[] stops)
        {
            ServedText text = await engine.SubmitAsync(Ask(engine, "abc",
                options with { MaxNewTokens = tokens, StopStrings = stops }), Token);
            List<ServedPiece> pieces = [];
            await foreach (ServedPiece piece in text) pieces.Add(piece);
            Assert.All(pieces, piece => Assert.DoesNotContain('\uFFFD', piece.Text));
            string whole = string.Concat(pieces.Select(piece => piece.Text));
            return pieces[^1] with { Text = whole, Tokens = [.. pieces.SelectMany(piece => piece.Tokens)] };
        }
        // Eleven bytes, a token each: a, é 2, € 3, 😀 4, b.
        ServedPiece found = await Write(6, "€");
        Assert.Equal(("aé", ServedEnd.Stop, 3), (found.Text, found.End, found.Tokens.Count));
        found = await Write(20, "€😀");
        Assert.Equal(("aé", ServedEnd.Stop, 3), (found.Text, found.End, found.Tokens.Count));
        found = await Write(20, "€b", "x");
        Assert.Equal(("aé€😀b", ServedEnd.Stop, 11), (found.Text, found.End, found.Tokens.Count));
    }
}
