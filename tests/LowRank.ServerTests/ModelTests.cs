using System.Text.Json;
using LowRank.Server;

namespace LowRank.ServerTests;

/// <summary>GET /v1/models; adapters that are loaded and unloaded while the server runs.</summary>
public sealed class ModelTests : IAsyncLifetime
{
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
        model, prompt = "The house of the old town, and", temperature = 0, max_tokens = 32, logprobs = 0,
    })).Good().Json.GetProperty("choices")[0].GetRawText();
}
