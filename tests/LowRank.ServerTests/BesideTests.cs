using System.Text.Json;
using LowRank.Adapters;
using LowRank.Server;

namespace LowRank.ServerTests;

/// <summary>A model that writes texts, and beside its engine adapters for vectors and for labels.</summary>
public sealed class BesideTests : IAsyncLifetime
{
    private static readonly LoraConfig Lora = new()
        { Rank = 4, Alpha = 8, TargetModules = ModuleSelection.AllLinear };

    private readonly TinyModels models = new();
    private RunningServer server = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private ServerOptions Options => RunningServer.Options(models.Writer, ("golden", models.Adapter),
        ("search", models["search"]), ("kinds", models["kinds"])) with
    {
        AdapterRoot = models.Root, AllowAdapterLoading = true, Serving = new() { MaxRank = 8 },
    };

    public async ValueTask InitializeAsync()
    {
        await using (LanguageModel model = await Open())
        {
            var training = new TrainingOptions { Steps = 4, BatchSize = 2, LearningRate = 0.02 };
            Dataset pairs = Dataset.From(new[]
                { new { text = "a", positive = "b" }, new { text = "c", positive = "d" } });
            Dataset labels = Dataset.From(new[]
                { new { text = "a", label = "inn" }, new { text = "b", label = "hotel" } });
            await Train(model, "search", pairs, Lora, training with { Task = TaskOptions.Embedding });
            await Train(model, "kinds", labels, Lora, training with { Task = TaskOptions.SequenceClassification });
            Dataset judged = Dataset.From(new[] { new { prompt = "a", chosen = "b", rejected = "c" } });
            await Train(model, "judge", judged, Lora, training with { Task = TaskOptions.Reward });
            await Train(model, "wide", pairs, Lora with { Rank = 16 }, training with { Task = TaskOptions.Embedding });
        }
        server = await RunningServer.Start(Options);
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        models.Dispose();
    }

    [Fact]
    public async Task Each_adapter_has_its_own_task_while_texts_are_written()
    {
        object text = new { model = "golden", prompt = "The", max_tokens = 200, ignore_eos = true, seed = 3 };
        string alone = (await server.Post("/v1/completions", text)).Good().Written;
        Task<Answer>[] texts = [.. Enumerable.Range(0, 3).Select(_ => server.Post("/v1/completions", text))];
        string[] names = ["search", "writer", "search", "writer"];
        float[][] vectors = await Task.WhenAll(names.Select(Vector));
        Answer labelled = (await server.Post("/v1/classify", new { model = "kinds", input = "a" })).Good();
        Assert.All(await Task.WhenAll(texts), answer => Assert.Equal(alone, answer.Good().Written));
        Assert.Equal(vectors[0], vectors[2]);
        Assert.Equal(vectors[1], vectors[3]);
        await using LanguageModel model = await Open();
        Assert.Equal((await model.EmbedAsync(["a b"], null, Cancellation))[0].Length, vectors[1].Length);
        Assert.Equal(Normal((await model.EmbedAsync(["a b"], null, Cancellation))[0]), vectors[1]);
        await model.LoadAdapterAsync(models["search"], Cancellation);
        Assert.Equal(Normal((await model.EmbedAsync(["a b"], null, Cancellation))[0]), vectors[0]);
        Assert.NotEqual(vectors[0], vectors[1]);
        await model.LoadAdapterAsync(models["kinds"], Cancellation);
        Prediction expected = (await model.PredictAsync(Dataset.FromTexts("a"), null, Cancellation))[0];
        JsonElement found = labelled.Json.GetProperty("data")[0];
        Assert.Equal(expected.Label, found.GetProperty("label").GetString());
        Assert.Equal(expected.Probability!.Value, found.GetProperty("probability").GetDouble(), 1e-6);
    }

    [Fact]
    public async Task A_reward_model_scores_answers_and_ranks_by_the_same_scores()
    {
        string[] answers = ["b", "c d"];
        (await server.Post("/v1/load_lora_adapter", new { lora_name = "judge", lora_path = "judge" })).Good();
        Answer scored = (await server.Post("/v1/score",
            new { model = "judge", text_1 = "a", text_2 = answers })).Good();
        Assert.Equal("judge", scored.Json.GetProperty("model").GetString());
        JsonElement[] entries = [.. scored.Json.GetProperty("data").EnumerateArray()];
        double[] scores = [.. entries.Select(entry => entry.GetProperty("score").GetDouble())];
        Assert.Equal([0, 1], entries.Select(entry => entry.GetProperty("index").GetInt32()));
        Assert.All(entries, entry => Assert.Equal("score", entry.GetProperty("object").GetString()));
        Assert.True(scored.Json.GetProperty("usage").GetProperty("total_tokens").GetInt32() > 0);
        await using LanguageModel model = await Open();
        await model.LoadAdapterAsync(models["judge"], Cancellation);
        Prediction[] expected = [.. await model.PredictAsync(
            Dataset.From(answers.Select(text => new { prompt = "a", completion = text })), null, Cancellation)];
        Assert.Equal(expected.Select(one => one.Score!.Value), scores, (one, other) => Math.Abs(one - other) < 1e-5);
        Assert.NotEqual(scores[0], scores[1]);
        Answer ranked = (await server.Post("/v1/rerank",
            new { model = "judge", query = "a", documents = answers })).Good();
        Assert.Equal(scores.Max(),
            ranked.Json.GetProperty("results")[0].GetProperty("relevance_score").GetDouble(), 1e-6);
        Answer both = (await server.Post("/v1/score",
            new { model = "judge", text_1 = new[] { "a", "a" }, text_2 = answers })).Good();
        (await server.Post("/v1/score", new { model = "judge", text_1 = answers, text_2 = new[] { "b" } }))
            .Bad(400, "text_1", "invalid_value");
        (await server.Post("/v1/score", new { model = "judge", text_1 = "a" }))
            .Bad(400, "text_2", "missing_required_parameter");
        Assert.Equal(scores[1], both.Json.GetProperty("data")[1].GetProperty("score").GetDouble(), 1e-6);
    }

    [Fact]
    public async Task Texts_are_scored_by_an_adapters_vectors()
    {
        Answer scored = (await server.Post("/v1/score",
            new { model = "search", text_1 = "a b", text_2 = new[] { "x y z", "a b" } })).Good();
        Assert.Equal(1, scored.Json.GetProperty("data")[1].GetProperty("score").GetDouble(), 1e-5);
        Assert.True(scored.Json.GetProperty("data")[0].GetProperty("score").GetDouble() < 1);
    }

    [Fact]
    public async Task Documents_are_ranked_by_an_adapters_vectors()
    {
        Answer ranked = (await server.Post("/v1/rerank",
            new { model = "search", query = "a b", documents = new[] { "x y z", "a b" } })).Good();
        Assert.Equal(1, ranked.Json.GetProperty("results")[0].GetProperty("index").GetInt32());
        Assert.Equal("search", ranked.Json.GetProperty("model").GetString());
        (await server.Post("/v1/rerank", new { model = "kinds", query = "a", documents = new[] { "b" } }))
            .Bad(400, "model", "unsupported_model");
    }

    [Theory]
    [InlineData("/v1/embeddings", "'model': 'golden', 'input': 'a'", "model", "unsupported_model")]
    [InlineData("/v1/classify", "'model': 'golden', 'input': 'a'", "model", "unsupported_model")]
    [InlineData("/v1/classify", "'model': 'search', 'input': 'a'", "model", "unsupported_model")]
    [InlineData("/v1/classify", "'input': 'a'", "model", "unsupported_model")]
    [InlineData("/v1/rerank", "'model': 'golden', 'query': 'a', 'documents': ['b']", "model", "unsupported_model")]
    [InlineData("/v1/embeddings", "'model': 'kinds', 'input': 'a'", "model", "unsupported_model")]
    [InlineData("/v1/score", "'model': 'kinds', 'text_1': 'a', 'text_2': 'b'", "model", "unsupported_model")]
    [InlineData("/v1/completions", "'model': 'search', 'prompt': 'a'", "model", "no_text_model")]
    [InlineData("/v1/chat/completions", "'model': 'kinds', 'messages': [{'role': 'user', 'content': 'a'}]", "model",
        "no_text_model")]
    [InlineData("/v1/responses", "'model': 'kinds', 'input': 'a'", "model", "no_text_model")]
    [InlineData("/v1/completions", "'prompt': 'a', 'lora': [{'id': 'search'}]", "lora[0].id", "invalid_value")]
    [InlineData("/v1/completions", "'prompt': 'a', 'lora': [{'id': 2}]", "lora[0].id", "invalid_value")]
    public async Task An_adapter_is_never_ignored_where_it_cannot_be_used(
        string path, string body, string param, string code) =>
        (await server.Post(path, "{" + body.Replace('\'', '"') + "}")).Bad(400, param, code);

    [Fact]
    public async Task Ollama_embeds_with_an_adapter_and_says_what_each_does()
    {
        Answer embedded = (await server.Post("/api/embed", new { model = "search:latest", input = "a b" })).Good();
        Assert.Equal(await Vector("search"), embedded.Json.GetProperty("embeddings")[0].EnumerateArray()
            .Select(value => value.GetSingle()));
        Assert.Equal(400, (await server.Post("/api/embed", new { model = "golden", input = "a" })).Status);
        Assert.Equal(400, (await server.Post("/api/generate", new { model = "search", prompt = "a" })).Status);
        foreach ((string name, string? does) in new[]
            { ("golden", "completion"), ("writer", "completion"), ("search", "embedding"), ("kinds", null) })
            Assert.Equal(does, (await server.Post("/api/show", new { model = name })).Good().Json
                .GetProperty("capabilities").EnumerateArray().Select(can => can.GetString()).FirstOrDefault());
    }

    [Fact]
    public async Task They_are_loaded_and_unloaded_beside_and_may_take_each_others_names()
    {
        async Task Load(string path, bool replace = false) => (await server.Post("/v1/load_lora_adapter",
            new { lora_name = "own", lora_path = path, load_inplace = replace })).Good();
        async Task<int> Status(string path, object body) => (await server.Post(path, body)).Status;
        object write = new { model = "own", prompt = "a", max_tokens = 1 };
        object embed = new { model = "own", input = "a b" };
        await Load("lora");
        Assert.Equal((200, 400), (await Status("/v1/completions", write), await Status("/v1/embeddings", embed)));
        await Load("search", replace: true);
        Assert.Equal((400, 200), (await Status("/v1/completions", write), await Status("/v1/embeddings", embed)));
        Assert.Equal(await Vector("search"), await Vector("own"));
        (await server.Post("/v1/load_lora_adapter", new { lora_name = "own", lora_path = "kinds" }))
            .Bad(400, "lora_name", "adapter_exists");
        await Load("lora", replace: true);
        Assert.Equal((200, 400), (await Status("/v1/completions", write), await Status("/v1/embeddings", embed)));
        Assert.Equal(["writer", "golden", "own", "search", "kinds"], (await server.Get("/v1/models")).Json
            .GetProperty("data").EnumerateArray().Select(card => card.GetProperty("id").GetString()));
        foreach (string name in (string[])["own", "search"])
        {
            (await server.Post("/v1/unload_lora_adapter", new { lora_name = name })).Good();
            (await server.Post("/v1/embeddings", new { model = name, input = "a" })).Bad(404, "model");
        }
        Answer refused = (await server.Post("/v1/load_lora_adapter", new { lora_name = "wide", lora_path = "wide" }))
            .Bad(400, "lora_path", "invalid_adapter");
        Assert.Contains("rank 16", refused.Error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_is_unloaded_is_used_to_the_end_of_what_is_computed_with_it()
    {
        float[] expected = await Vector("search");
        ServedModel served = server.Server.Host.Require();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goes = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<float[]> vector = served.With("search", 1, async _ =>
        {
            begun.SetResult();
            await goes.Task;
            return (await served.Model.EmbedAsync(["a b"], null, Cancellation))[0];
        }, Cancellation);
        await begun.Task;
        Task<Answer> unloaded = server.Post("/v1/unload_lora_adapter", new { lora_name = "search" });
        await Wait.Until(() => served.Adapters.All(adapter => adapter.Name != "search"));
        await Task.WhenAny(unloaded, Task.Delay(200, Cancellation)); // what removes it does so by then
        goes.SetResult();
        Assert.Equal(expected, Normal(await vector));
        (await unloaded).Good();
        Assert.DoesNotContain(served.Model.Adapters, adapter => adapter.Task == TaskOptions.Embedding.Name);
    }

    private Task<LanguageModel> Open() =>
        LanguageModel.LoadAsync(models.Writer, new LanguageModelOptions { Threads = 1 }, null, Cancellation);

    private async Task Train(
        LanguageModel model, string name, Dataset rows, LoraConfig config, TrainingOptions training) =>
        await (await model.AdaptAsync(rows, config, training)).Adapter.SaveAsync(models[name], Cancellation);

    private async Task<float[]> Vector(string model) =>
        [.. (await server.Post("/v1/embeddings", new { model, input = "a b" })).Good().Json.GetProperty("data")[0]
            .GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle())];

    private static float[] Normal(float[] vector)
    {
        double length = Math.Sqrt(vector.Sum(value => (double)value * value));
        return [.. vector.Select(value => (float)(value / length))];
    }
}
