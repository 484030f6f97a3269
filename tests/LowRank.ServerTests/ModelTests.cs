using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Server;

namespace LowRank.ServerTests;

/// <summary>GET /v1/models; adapters that are loaded and unloaded while the server runs.</summary>
public sealed class ModelTests : IAsyncLifetime
{
    private const string Prompt = "The house of the old town, and";

    private readonly TinyModels models = new();
    private RunningServer server = null!;

    private ServerOptions Options => RunningServer.Options(models.Writer) with
    {
        AdapterRoot = models.Root, AllowAdapterLoading = true,
        Serving = new() { MaxRank = 8 },
    };

    public async ValueTask InitializeAsync() => server = await RunningServer.Start(Options);

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        models.Dispose();
    }

    [Fact]
    public async Task Base_and_adapters_are_listed_as_models()
    {
        await Load("hotels", models.Adapter);
        JsonElement list = (await server.Get("/v1/models")).Good().Json;
        OpenAiSchema.Validate("ListModelsResponse", list);
        JsonElement[] cards = [.. list.GetProperty("data").EnumerateArray()];
        Assert.Equal(["writer", "hotels"], cards.Select(card => card.GetProperty("id").GetString()));
        Assert.Equal(JsonValueKind.Null, cards[0].GetProperty("parent").ValueKind);
        Assert.Equal("writer", cards[1].GetProperty("parent").GetString());
        Assert.Equal(models.Adapter, cards[1].GetProperty("root").GetString());
        Assert.Equal(TinyModels.Context, cards[1].GetProperty("max_model_len").GetInt32());
        OpenAiSchema.Validate("Model", (await server.Get("/v1/models/hotels")).Good().Json);
        (await server.Get("/v1/models/nobody")).Bad(404, "model", "model_not_found");
        Assert.Equal(list.GetRawText(), (await server.Get("/v1/models/")).Good().Json.GetRawText());
    }

    [Fact]
    public async Task An_adapter_is_loaded_used_replaced_and_unloaded()
    {
        await Load("hotels", "lora");
        string first = await Write("hotels");
        Assert.NotEqual(first, await Write("writer"));
        (await server.Post("/v1/load_lora_adapter", new { lora_name = "hotels", lora_path = "lora" }))
            .Bad(400, "lora_name", "adapter_exists");
        (await server.Post("/v1/load_lora_adapter", new { lora_name = "writer", lora_path = "lora" }))
            .Bad(400, "lora_name", "adapter_exists");
        (await server.Post("/v1/load_lora_adapter",
            new { lora_name = "hotels", lora_path = models.OtherAdapter, load_inplace = true })).Good();
        Assert.NotEqual(first, await Write("hotels"));
        (await server.Post("/v1/unload_lora_adapter", new { lora_name = "hotels" })).Good();
        (await server.Post("/v1/completions", new { model = "hotels", prompt = "a" }))
            .Bad(404, "model", "model_not_found");
        (await server.Post("/v1/unload_lora_adapter", new { lora_name = "hotels" }))
            .Bad(404, "lora_name", "adapter_not_found");
        await Load("hotels", "lora");
        Assert.Equal(first, await Write("hotels"));
    }

    [Theory]
    [InlineData("{}", 400, "lora_name")]
    [InlineData("{'lora_name': 'a'}", 400, "lora_path")]
    [InlineData("{'lora_name': 'a b', 'lora_path': 'lora'}", 400, "lora_name")]
    [InlineData("{'lora_name': 'a', 'lora_path': 'nowhere'}", 404, "lora_path")]
    [InlineData("{'lora_name': 'a', 'lora_path': '../../etc'}", 404, "lora_path")]
    [InlineData("{'lora_name': 'a', 'lora_path': '/etc'}", 404, "lora_path")]
    [InlineData("{'lora_name': 'a', 'lora_path': '.'}", 404, "lora_path")]
    [InlineData("{'lora_name': 'a', 'lora_path': 'org/name'}", 404, "lora_path")]
    [InlineData("{'lora_name': 'a', 'lora_path': 'https://example.org/a'}", 404, "lora_path")]
    [InlineData("{'lora_name': 'a', 'lora_path': 'lo\\u0000ra'}", 404, "lora_path")]
    [InlineData("{'lora_name': 'a', 'lora_path': 'writer'}", 400, "lora_path")]
    public async Task What_cannot_be_loaded_is_refused(string body, int status, string param) =>
        (await server.Post("/v1/load_lora_adapter", body.Replace('\'', '"'))).Bad(status, param);

    [Fact]
    public async Task A_link_out_of_the_folder_is_not_followed()
    {
        string outside = Directory.CreateTempSubdirectory("lowrank-outside-").FullName;
        try
        {
            TinyModels.CopyFolder(models.Adapter, Path.Combine(outside, "secret"));
            Directory.CreateSymbolicLink(models["link"], Path.Combine(outside, "secret"));
            (await server.Post("/v1/load_lora_adapter", new { lora_name = "a", lora_path = "link" }))
                .Bad(404, "lora_path", "adapter_not_found");
            Directory.CreateDirectory(models["half"]);
            File.Copy(Path.Combine(models.Adapter, "adapter_config.json"), models["half/adapter_config.json"]);
            File.CreateSymbolicLink(models["half/adapter_model.safetensors"],
                Path.Combine(outside, "secret", "adapter_model.safetensors"));
            (await server.Post("/v1/load_lora_adapter", new { lora_name = "a", lora_path = "half" }))
                .Bad(404, "lora_path", "adapter_not_found");
            TinyModels.CopyFolder(models.Adapter, models["deep"]);
            Directory.CreateDirectory(models["deep/1_Pooling"]);
            File.CreateSymbolicLink(models["deep/1_Pooling/config.json"],
                Path.Combine(outside, "secret", "adapter_config.json"));
            (await server.Post("/v1/load_lora_adapter", new { lora_name = "a", lora_path = "deep" }))
                .Bad(404, "lora_path", "adapter_not_found");
            Directory.CreateSymbolicLink(models["inner"], models.Adapter);
            await Load("a", "inner");
        }
        finally
        {
            Directory.Delete(outside, recursive: true);
        }
    }

    [Fact]
    public async Task Loading_is_off_unless_it_is_allowed()
    {
        await using RunningServer closed =
            await RunningServer.Start(Options with { AllowAdapterLoading = false });
        (await closed.Post("/v1/load_lora_adapter", new { lora_name = "a", lora_path = "lora" }))
            .Bad(403, null, "adapter_loading_off");
        (await closed.Post("/v1/unload_lora_adapter", new { lora_name = "a" })).Bad(403, null, "adapter_loading_off");
    }

    // vLLM 11702, 13698: a bad adapter, or a load under traffic, kills the engine.
    [Fact]
    public async Task Fault_7_a_bad_adapter_under_traffic_is_refused_and_nothing_else_happens()
    {
        string before = await Write("writer");
        TinyModels.CopyFolder(models.Adapter, models["broken"]);
        await File.WriteAllTextAsync(models["broken/adapter_model.safetensors"], "not a file of tensors");
        TinyModels.CopyFolder(models.Adapter, models["foreign"]);
        string config = await File.ReadAllTextAsync(models["foreign/adapter_config.json"]);
        await File.WriteAllTextAsync(
            models["foreign/adapter_config.json"], config.Replace("\"r\": 4", "\"r\": 64", StringComparison.Ordinal));
        Task<string>[] traffic = [.. Enumerable.Range(0, 8).Select(_ => Write("writer"))];
        foreach (string bad in (string[])["broken", "foreign"])
        {
            Answer refused = (await server.Post("/v1/load_lora_adapter", new { lora_name = bad, lora_path = bad }))
                .Bad(400, "lora_path", "invalid_adapter");
            Assert.True(refused.Error.GetProperty("message").GetString()!.Length > 20);
        }
        await Load("good", "lora");
        Assert.All(await Task.WhenAll(traffic), text => Assert.Equal(before, text));
        Assert.Equal(["writer", "good"], (await server.Get("/v1/models")).Json.GetProperty("data").EnumerateArray()
            .Select(card => card.GetProperty("id").GetString()));
    }

    // vLLM 42008: the base's output changes when an adapter is loaded.
    [Fact]
    public async Task Fault_3_the_base_writes_the_same_whatever_is_loaded()
    {
        string before = await Write("writer");
        await Load("a", "lora");
        await Write("a");
        Assert.Equal(before, await Write("writer"));
        (await server.Post("/v1/unload_lora_adapter", new { lora_name = "a" })).Good();
        Assert.Equal(before, await Write("writer"));
    }

    // vLLM 34186, 55193: an adapter that fits no module serves the base.
    [Fact]
    public async Task Fault_4_an_adapter_that_fits_no_module_is_refused()
    {
        TinyModels.CopyFolder(models.Adapter, models["lost"]);
        string config = models["lost/adapter_config.json"];
        JsonNode root = JsonNode.Parse(await File.ReadAllTextAsync(config))!;
        root["target_modules"] = new JsonArray("of_another_model");
        await File.WriteAllTextAsync(config, root.ToJsonString());
        Answer refused = (await server.Post("/v1/load_lora_adapter", new { lora_name = "lost", lora_path = "lost" }))
            .Bad(400, "lora_path", "invalid_adapter");
        Assert.Contains("of_another_model", refused.Error.GetProperty("message").GetString(), StringComparison.Ordinal);
        (await server.Post("/v1/completions", new { model = "lost", prompt = "a" })).Bad(404, "model");
    }

    // sglang 40835, vLLM 10798: rsLoRA's scale is ignored. It is alpha / sqrt(rank), twice the plain one at rank 4.
    [Fact]
    public async Task Fault_5_rsLoRA_has_its_own_scale()
    {
        TinyModels.CopyFolder(models.Adapter, models["rs"]);
        string config = models["rs/adapter_config.json"];
        JsonNode root = JsonNode.Parse(await File.ReadAllTextAsync(config))!;
        Assert.Equal(4, root["r"]!.GetValue<int>());
        root["use_rslora"] = true;
        await File.WriteAllTextAsync(config, root.ToJsonString());
        await Load("plain", "lora");
        await Load("rs", "rs");
        string expected = (await server.Post("/v1/completions", new
        {
            prompt = Prompt, temperature = 0, max_tokens = 32, logprobs = 0,
            lora = new[] { new { id = "plain", scale = 2 } },
        })).Good().Json.GetProperty("choices")[0].GetRawText();
        Assert.Equal(expected, await Write("rs"));
        Assert.NotEqual(expected, await Write("plain"));
    }

    // vLLM 54839: unloading only forgets the name.
    [Fact]
    public async Task Fault_8_an_adapter_is_kept_for_the_texts_that_use_it_and_then_gives_its_memory_back()
    {
        object body = new { model = "a", prompt = "a", temperature = 0, max_tokens = 300, ignore_eos = true };
        await Load("a", "lora");
        string alone = (await server.Post("/v1/completions", body)).Good().Written;
        Assert.True(await LifeTests.Metric(server, "lowrank_adapter_bytes") > 0);
        Task<Answer> running = server.Post("/v1/completions", body);
        await LifeTests.Until(async () => await LifeTests.Metric(server, "lowrank_requests_running") > 0);
        (await server.Post("/v1/unload_lora_adapter", new { lora_name = "a" })).Good();
        (await server.Post("/v1/completions", body)).Bad(404, "model");
        Assert.Equal(alone, (await running).Good().Written);
        Assert.Equal(0, await LifeTests.Metric(server, "lowrank_adapter_bytes"));
        Assert.Equal(0, await LifeTests.Metric(server, "lowrank_adapters_loaded"));
    }

    // vLLM: an adapter that is replaced in place is read from the disk at each step.
    [Fact]
    public async Task Fault_9_what_lies_on_the_disk_counts_when_it_is_loaded_alone()
    {
        TinyModels.CopyFolder(models.Adapter, models["moving"]);
        await Load("a", "moving");
        string first = await Write("a");
        foreach (string file in Directory.GetFiles(models.OtherAdapter))
            File.Copy(file, models["moving/" + Path.GetFileName(file)], overwrite: true);
        Assert.Equal(first, await Write("a"));
        (await server.Post("/v1/load_lora_adapter",
            new { lora_name = "a", lora_path = "moving", load_inplace = true })).Good();
        await Load("other", "trained");
        Assert.Equal(await Write("other"), await Write("a"));
        Assert.NotEqual(first, await Write("a"));
    }

    [Fact]
    public async Task An_adapter_of_too_high_a_rank_or_of_another_base_is_refused()
    {
        TinyModels.CopyFolder(TinyModels.Golden("gpt2", "lora"), models["foreign"]);
        (await server.Post("/v1/load_lora_adapter", new { lora_name = "a", lora_path = "foreign" }))
            .Bad(400, "lora_path", "invalid_adapter");
        await using RunningServer low = await RunningServer.Start(Options with { Serving = new() { MaxRank = 2 } });
        Answer refused = (await low.Post("/v1/load_lora_adapter", new { lora_name = "a", lora_path = "lora" }))
            .Bad(400, "lora_path", "invalid_adapter");
        Assert.Contains("rank is 4, and at most 2", refused.Error.GetProperty("message").GetString(),
            StringComparison.Ordinal);
    }

    // vLLM 30931: what is kept of prompts is kept by an adapter's name.
    [Fact]
    public async Task Fault_1_an_adapter_of_the_same_name_has_its_own_cache()
    {
        await Load("a", "lora");
        string first = await Write("a");
        (await server.Post("/v1/unload_lora_adapter", new { lora_name = "a" })).Good();
        await Load("a", "trained");
        string second = await Write("a");
        await Load("b", "trained");
        Assert.Equal(second, await Write("b"));
        Assert.NotEqual(first, second);
    }

    private async Task Load(string name, string path) =>
        (await server.Post("/v1/load_lora_adapter", new { lora_name = name, lora_path = path })).Good();

    private async Task<string> Write(string model) => (await server.Post("/v1/completions", new
    {
        model, prompt = Prompt, temperature = 0, max_tokens = 32, logprobs = 0,
    })).Good().Json.GetProperty("choices")[0].GetRawText();
}
