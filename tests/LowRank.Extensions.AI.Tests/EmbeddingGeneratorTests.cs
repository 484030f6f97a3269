using Microsoft.Extensions.AI;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace LowRank.Extensions.AI.Tests;

/// <summary>Vectors of texts, on a real model.</summary>
public sealed class EmbeddingGeneratorTests(ServedBase served)
{
    private static readonly string[] Texts = ["Red", "White and a little blue", "Blue"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Vectors_are_the_models_with_the_adapter_divided_by_their_length()
    {
        await using LanguageModel model = await LanguageModel.LoadAsync(served.Folder, ServedBase.Opening, null, Token);
        IReadOnlyList<float[]> plain = await model.EmbedAsync(Texts, null, Token);
        await model.LoadAdapterAsync(served["search"], Token);
        IReadOnlyList<float[]> tuned = await model.EmbedAsync(Texts, null, Token);
        Assert.NotEqual(plain[0], tuned[0]);
        // At the same time, and each call with its own adapter.
        (string Name, IReadOnlyList<float[]> Expected)[] calls =
            [("model", plain), ("search", tuned), ("model", plain), ("search", tuned)];
        GeneratedEmbeddings<Embedding<float>>[] found = await Task.WhenAll(
            calls.Select(call => served.Embedder(call.Name).GenerateAsync(Texts, null, Token)));
        foreach ((var call, GeneratedEmbeddings<Embedding<float>> embeddings) in calls.Zip(found))
        {
            Assert.Equal(Texts.Length, embeddings.Count);
            Assert.All(embeddings, embedding => Assert.Equal(call.Name, embedding.ModelId));
            foreach ((float[] vector, Embedding<float> embedding) in call.Expected.Zip(embeddings))
            {
                double length = Math.Sqrt(vector.Sum(value => (double)value * value));
                Assert.Equal(vector.Select(value => (float)(value / length)), embedding.Vector.ToArray());
            }
        }
    }

    [Fact]
    public async Task Usage_counts_the_tokens_that_the_model_read()
    {
        GeneratedEmbeddings<Embedding<float>> embeddings =
            await served.Embedder("search").GenerateAsync(Texts, null, Token);
        var tokenizer = Tokenizers.Tokenizer.Load(served.Folder);
        int tokens = Texts.Sum(text => tokenizer.EncodeFull(text).Ids.Length);
        Assert.Equal((tokens, tokens), (embeddings.Usage!.InputTokenCount, embeddings.Usage.TotalTokenCount));
        Assert.Empty(await served.Embedder().GenerateAsync([], null, Token));
    }

    [Fact]
    public async Task A_call_may_name_another_adapter()
    {
        var other = new EmbeddingGenerationOptions { ModelId = "search" };
        Embedding<float> expected = await served.Embedder("search").GenerateAsync("Red", null, Token);
        Embedding<float> found = await served.Embedder().GenerateAsync("Red", other, Token);
        Assert.Equal("search", found.ModelId);
        Assert.Equal(expected.Vector.ToArray(), found.Vector.ToArray());
    }

    [Fact]
    public async Task What_cannot_be_honoured_is_refused()
    {
        IEmbeddingGenerator<string, Embedding<float>> generator = served.Embedder();
        async Task<string> Refusal(EmbeddingGenerationOptions options) => (await Assert.ThrowsAsync<InputException>(
            () => generator.GenerateAsync(Texts, options, Token))).Message;
        Assert.Contains("Dimensions is 3", await Refusal(new() { Dimensions = 3 }), StringComparison.Ordinal);
        Assert.Contains("castles", await Refusal(new() { ModelId = "castles" }), StringComparison.Ordinal);
        Assert.Contains("hotels writes texts", await Refusal(new() { ModelId = "hotels" }), StringComparison.Ordinal);
        string several = await Refusal(new()
        {
            AdditionalProperties = new() { ["pooling"] = "cls", ["prompt"] = 1 }, RawRepresentationFactory = _ => 1,
        });
        Assert.All(new[] { "pooling", "prompt", "RawRepresentationFactory" },
            name => Assert.Contains(name, several, StringComparison.Ordinal));
        Assert.Equal(192, (await generator.GenerateAsync("Red", new() { Dimensions = 192 }, Token)).Vector.Length);
        await Assert.ThrowsAsync<ArgumentNullException>("values", () => generator.GenerateAsync(null!, null, Token));
        await Assert.ThrowsAsync<ArgumentException>("values", () => generator.GenerateAsync([null!], null, Token));
    }

    [Fact]
    public async Task A_cache_answers_the_same_text_once()
    {
        var asked = new Counting(served.Embedder("search"));
        using IEmbeddingGenerator<string, Embedding<float>> generator = asked.AsBuilder().UseDistributedCache(
            new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions()))).Build();
        foreach (string text in new[] { "Red", "Red", "Red and green", "Red" })
            await generator.GenerateAsync(text, null, Token);
        Assert.Equal(2, asked.Calls);
    }

    [Fact]
    public async Task Vectors_of_bits_or_halves_keep_what_is_near()
    {
        float[][] vectors = [.. (await served.Embedder("search").GenerateAsync(
            ["a place to sleep", "a place to sleep in", "bread"], null, Token)).Select(one => one.Vector.ToArray())];
        int Bits(int a, int b) => vectors[a].Zip(vectors[b], (x, y) => x > 0 == y > 0 ? 0 : 1).Sum();
        double Halves(int a, int b) => vectors[a].Zip(vectors[b], (x, y) => (double)((Half)x * (Half)y)).Sum();
        Assert.True(Bits(0, 1) < Bits(0, 2));
        Assert.True(Halves(0, 1) > Halves(0, 2));
        Assert.Equal(1, Halves(0, 0), 0.001);
    }

    [Fact]
    public void It_gives_itself_and_its_metadata()
    {
        IEmbeddingGenerator<string, Embedding<float>> generator = served.Embedder("search");
        EmbeddingGeneratorMetadata metadata = generator.GetService<EmbeddingGeneratorMetadata>()!;
        Assert.Equal(("lowrank", "search"), (metadata.ProviderName, metadata.DefaultModelId));
        Assert.Same(generator, generator.GetService<LowRankEmbeddingGenerator>());
        Assert.Null(generator.GetService(typeof(LowRankEmbeddingGenerator), "key"));
        Assert.Throws<ArgumentNullException>(() => generator.GetService(null!));
    }

    [Fact]
    public async Task A_model_of_a_programs_own_embeds_with_the_adapter_that_it_names()
    {
        await using LanguageModel model = await LanguageModel.LoadAsync(served.Folder, ServedBase.Opening, null, Token);
        LoadedAdapter adapter = await model.LoadAdapterAsync(served["search"], Token);
        await model.UseAdapterAsync(null, Token);
        using var generator = new LowRankEmbeddingGenerator(model, adapter, "search");
        Embedding<float> expected = await served.Embedder("search").GenerateAsync("Red", null, Token);
        Assert.Equal(expected.Vector.ToArray(), (await generator.GenerateAsync("Red", null, Token)).Vector.ToArray());
        Assert.Null(model.Adapter);
        await Assert.ThrowsAsync<InputException>(() =>
            generator.GenerateAsync("Red", new EmbeddingGenerationOptions { ModelId = "other" }, Token));
    }

    private sealed class Counting(IEmbeddingGenerator<string, Embedding<float>> inner)
        : DelegatingEmbeddingGenerator<string, Embedding<float>>(inner)
    {
        public int Calls { get; private set; }

        public override Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values,
            EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
        {
            Calls++;
            return base.GenerateAsync(values, options, cancellationToken);
        }
    }
}
