using LowRank.Adapters;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Kernels;
using LowRank.Serving;
using LowRank.Tests.Models;
using LowRank.Tokenizers;

namespace LowRank.Tests.Serving;

/// <summary>Adapters and models of several kinds: the engine writes with them what the model itself writes.</summary>
public sealed class ServedKindsTests
{
    private const string Mixture = """
        {"model_type": "qwen3_moe", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
         "max_position_embeddings": 64, "tie_word_embeddings": false, "num_experts": 4, "num_experts_per_tok": 2,
         "moe_intermediate_size": 12, "norm_topk_prob": true, "mlp_only_layers": [], "decoder_sparse_step": 1}
        """;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static ServingRequest Ask(ServingEngine engine, string? adapter, double scale = 1) =>
        new(engine.Encode("abcdefghijklmnop"))
        {
            Adapters = adapter is null ? [] : [new(adapter, scale)],
            Generation = new GenerationOptions { MaxNewTokens = 20 },
            LogProbs = 0,
            PromptLogProbs = true,
        };

    private static async Task<(string Text, float[] Scores)> Write(ServingEngine engine, ServingRequest request)
    {
        ServedText text = await engine.SubmitAsync(request, Token);
        ServedPiece whole = (await text.CollectAsync(Token)).Single();
        return (whole.Text, [.. text.PromptTokens.Skip(1).Concat(whole.Tokens).Select(token => token.LogProb!.Value)]);
    }

    // What the model writes with the adapter in use, and how probable it finds the prompt after its first token.
    private static async Task<(string Text, double Score)> Own(LanguageModel model) =>
        (await model.GenerateTextAsync("abcdefghijklmnop", new GenerationOptions { MaxNewTokens = 20 }, Token),
            (await model.ScoreAsync(Dataset.From([new { prompt = "a", completion = "bcdefghijklmnop" }]), null, Token))
            .Single().LogLikelihood);

    public static TheoryData<string> Kinds => ["lora", "rslora", "dora"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task With_any_factor_a_text_is_the_models_own(string kind)
    {
        using var served = new ServedModel();
        LoraConfig config = ServedModel.Lora(3) with { UseRsLora = kind == "rslora", UseDora = kind == "dora" };
        string folder = served.Adapter(kind, config);
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        await engine.AddAdapterAsync(kind, folder, cancellationToken: Token);
        double[] scales = [1, -0.7, 0, 0.5];
        (string Text, float[] Scores) alone = await Write(engine, Ask(engine, null));
        (string Text, float[] Scores)[] found = await Task.WhenAll(
            scales.Select(scale => Write(engine, Ask(engine, kind, scale)))); // in one batch
        LoadedAdapter loaded = await model.LoadAdapterAsync(folder, Token);
        foreach ((int i, double scale) in scales.Index())
        {
            await model.Do(_ => loaded.Engine.Weight = scale, Token);
            (string Text, double Score) own = await Own(model);
            Assert.Equal(own.Text, found[i].Text);
            Assert.Equal(own.Score, found[i].Scores.Take(15).Sum(score => (double)score), 1e-4);
        }
        Assert.Equal(alone.Scores, found[2].Scores); // no part of it, to the bit
        Assert.Equal(4, found.Select(one => one.Scores[0]).Distinct().Count());
    }

    [Fact]
    public async Task The_scale_of_rsLoRA_is_alpha_by_the_root_of_the_rank()
    {
        using var served = new ServedModel();
        LoraConfig config = ServedModel.Lora(4) with { UseRsLora = true, Alpha = 2 };
        string folder = served.Adapter("one", config), other = served["other"];
        Directory.CreateDirectory(other);
        foreach (string file in Directory.GetFiles(folder))
            File.Copy(file, Path.Combine(other, Path.GetFileName(file)));
        string path = Path.Combine(other, AdapterConfig.FileName);
        await File.WriteAllTextAsync(path, (await File.ReadAllTextAsync(path, Token))
            .Replace("\"use_rslora\": true", "\"use_rslora\": false", StringComparison.Ordinal), Token);
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        await engine.AddAdapterAsync("one", folder, cancellationToken: Token);
        await engine.AddAdapterAsync("other", other, cancellationToken: Token);
        (string Text, float[] Scores) rs = await Write(engine, Ask(engine, "one"));
        Assert.NotEqual(rs.Scores, (await Write(engine, Ask(engine, "other"))).Scores);
        Assert.Equal(rs.Scores, (await Write(engine, Ask(engine, "other", 2))).Scores); // 2/√4 is twice 2/4
    }

    [Theory]
    [InlineData("float32"), InlineData("int8")]
    public async Task A_mixture_of_experts_writes_with_adapters_of_its_experts(string dtype)
    {
        using var served = new ServedModel(architecture: Mixture);
        string[] folders = [served.Adapter("a", ServedModel.Lora(2), 1), served.Adapter("b", ServedModel.Lora(3), 2)];
        await using LanguageModel model = await served.Open(new() { Threads = 1, BaseDtype = dtype });
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new() { ChunkTokens = 5 }, Token);
        await engine.AddAdapterAsync("a", folders[0], cancellationToken: Token);
        await engine.AddAdapterAsync("b", folders[1], cancellationToken: Token);
        Assert.Contains("experts.3", await File.ReadAllTextAsync(
            Path.Combine(folders[0], Adapter.FileName), System.Text.Encoding.Latin1, Token), StringComparison.Ordinal);
        ServingRequest[] requests = [Ask(engine, null), Ask(engine, "a"), Ask(engine, "b"), Ask(engine, "a", -0.5)];
        List<(string Text, float[] Scores)> alone = [];
        foreach (ServingRequest request in requests) alone.Add(await Write(engine, request));
        (string Text, float[] Scores)[] found = await Task.WhenAll(
            Enumerable.Range(0, 12).Select(i => Write(engine, requests[i % 4])));
        for (int i = 0; i < found.Length; i++) Assert.Equal(alone[i % 4].Scores, found[i].Scores);
        Assert.Equal(4, alone.Select(one => one.Scores[0]).Distinct().Count());
        for (int i = 0; i < 3; i++)
        {
            if (i > 0) await model.LoadAdapterAsync(folders[i - 1], Token);
            (string Text, double Score) own = await Own(model);
            Assert.Equal(own.Text, alone[i].Text);
            Assert.Equal(own.Score, alone[i].Scores.Take(15).Sum(score => (double)score), 1e-3);
        }
    }

    [Fact]
    public async Task An_adapters_own_chat_template_is_its_own_in_memory_or_not()
    {
        using var served = new ServedModel();
        string own = served.Adapter("own", seed: 1), plain = served.Adapter("plain", seed: 2);
        string template = Path.Combine(own, "chat_template.jinja");
        await File.WriteAllTextAsync(template, "own: {{ messages[0].content }}", Token);
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, new() { MaxAdapters = 1 }, Token);
        await engine.AddAdapterAsync("own", own, cancellationToken: Token);
        Tokenizer ofOwn = engine.TokenizerOf("own");
        await engine.AddAdapterAsync("plain", plain, cancellationToken: Token);
        await File.WriteAllTextAsync(template, "another one", Token); // which has no part in what was added
        Assert.Equal("base: {{ messages[0].content }}", engine.Tokenizer.ChatTemplateSource);
        Assert.Same(engine.Tokenizer, engine.TokenizerOf("plain"));
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal("own: {{ messages[0].content }}", engine.TokenizerOf("own").ChatTemplateSource);
            Assert.Contains(own, engine.TokenizerOf("own").ChatTemplatePlace, StringComparison.Ordinal);
            Assert.Same(ofOwn, engine.TokenizerOf("own"));
            await Write(engine, Ask(engine, "own"));
        }
        Assert.Equal(ServingRefusal.UnknownAdapter,
            Assert.Throws<ServingException>(() => engine.TokenizerOf("none")).Refusal);
    }

    [Fact]
    public async Task A_tokenizer_beside_an_adapter_is_the_bases_or_the_adapter_is_refused()
    {
        using var served = new ServedModel();
        string folder = served.Adapter("one"), file = Path.Combine(folder, "tokenizer.json");
        string tokens = await File.ReadAllTextAsync(Path.Combine(served.Path, "tokenizer.json"), Token);
        await using LanguageModel model = await served.Open();
        await using ServingEngine engine = await ServingEngine.StartAsync(model, null, Token);
        await File.WriteAllTextAsync(file, tokens, Token); // as PEFT's users save it
        await engine.AddAdapterAsync("one", folder, cancellationToken: Token);
        Assert.Same(engine.Tokenizer, engine.TokenizerOf("one"));
        await File.WriteAllTextAsync(
            file, tokens.Replace("<|im_end|>", "<|other|>", StringComparison.Ordinal), Token);
        Assert.Contains("its tokenizer has other tokens", (await Assert.ThrowsAsync<InputException>(
            () => engine.AddAdapterAsync("two", folder, cancellationToken: Token))).Message, StringComparison.Ordinal);
        Assert.Equal(["one"], engine.Adapters.Select(adapter => adapter.Name));
    }
}
