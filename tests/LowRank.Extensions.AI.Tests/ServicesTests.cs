using LowRank.Serving;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace LowRank.Extensions.AI.Tests;

/// <summary>AddLowRank, as programs use it.</summary>
public sealed class ServicesTests(ServedBase served)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_program_starts_before_its_model_is_loaded_and_is_healthy_after()
    {
        IServiceCollection services = served.Program().AddLogging();
        services.AddHealthChecks().AddLowRank(tags: ["ready"]);
        await using ServiceProvider provider = services.BuildServiceProvider();
        var health = provider.GetRequiredService<HealthCheckService>();
        HealthReport before = await health.CheckHealthAsync(Token);
        Assert.Equal(HealthStatus.Unhealthy, before.Status);
        Assert.Contains("model is not loaded yet", before.Entries["lowrank"].Description, StringComparison.Ordinal);
        Assert.Contains("ready", before.Entries["lowrank"].Tags);

        IHostedService[] hosted = [.. provider.GetServices<IHostedService>()];
        foreach (IHostedService service in hosted) await service.StartAsync(Token);
        HostedModel model = provider.GetServices<HostedModel>().Single();
        await Wait.Until(() => model.Loading is not null);
        LoadedModel loaded = await model.Loading!;
        Assert.Same(loaded, await model.OpenAsync(Token));
        HealthReport after = await health.CheckHealthAsync(Token);
        Assert.Equal(HealthStatus.Healthy, after.Status);
        Assert.Equal(0, after.Entries["lowrank"].Data["model.running"]);
        foreach (IHostedService service in hosted) await service.StopAsync(Token);
    }

    [Fact]
    public async Task Services_are_those_of_the_base_and_of_each_adapter()
    {
        await using ServiceProvider provider = served.Program().BuildServiceProvider();
        Assert.Same(provider.GetRequiredService<IChatClient>(), provider.GetRequiredKeyedService<IChatClient>("model"));
        Assert.Equal("hotels", provider.GetRequiredKeyedService<IChatClient>("hotels")
            .GetService<ChatClientMetadata>()!.DefaultModelId);
        Assert.NotNull(provider.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>());
        Assert.NotNull(provider.GetRequiredKeyedService<IEmbeddingGenerator<string, Embedding<float>>>("search"));
        Assert.Null(provider.GetKeyedService<IChatClient>("castles"));
        Assert.Null(provider.GetServices<HostedModel>().Single().Loading); // no service loads the model
    }

    [Fact]
    public async Task A_programs_own_pipeline_stands_on_a_keyed_client()
    {
        IServiceCollection services = served.Program();
        services.AddKeyedChatClient("assistant", provider => provider.GetRequiredKeyedService<IChatClient>("hotels"))
            .UseFunctionInvocation();
        await using ServiceProvider provider = services.BuildServiceProvider();
        IChatClient client = provider.GetRequiredKeyedService<IChatClient>("assistant");
        Assert.NotNull(client.GetService<FunctionInvokingChatClient>());
        var options = new ChatOptions { MaxOutputTokens = 4 };
        Assert.Equal((await served.Client("hotels").GetResponseAsync("Where?", options, Token)).Text,
            (await client.GetResponseAsync("Where?", options, Token)).Text);
    }

    [Fact]
    public void Options_are_checked_at_the_start_and_all_problems_are_told()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["empty"]);
        IServiceCollection services = new ServiceCollection().AddLowRank(folder["no/such/base"], options =>
        {
            options.AddAdapter("first", folder["no/such/adapter"]).AddAdapter("second", folder["empty"]);
            options.Opening = new LanguageModelOptions { Threads = 0 };
            options.Serving = new ServingOptions { MaxBatch = 0 };
        });
        services.Configure<LowRankOptions>("base", options => options.AddAdapter("base", folder["empty"]));
        ServiceProvider provider = services.BuildServiceProvider();
        string[] failures = [.. Assert.Throws<OptionsValidationException>(
            provider.GetRequiredService<IStartupValidator>().Validate).Failures];
        string[] places =
            ["LowRankOptions.Model", "Adapters[\"first\"]", "Adapters[\"base\"] is", "Adapters[\"second\"]",
                "has the base's name", "LanguageModelOptions.Threads", "ServingOptions.MaxBatch"];
        Assert.Equal(places.Length, failures.Length);
        Assert.All(places, place => Assert.Contains(failures,
            failure => failure.Contains(place, StringComparison.Ordinal)));
        served.Program().BuildServiceProvider().GetRequiredService<IStartupValidator>().Validate();
    }

    [Fact]
    public async Task Adapters_of_configuration_are_read_too()
    {
        IServiceCollection services = new ServiceCollection().AddLowRank(served.Folder,
            options => options.Opening = ServedBase.Opening);
        services.Configure<LowRankOptions>("model", options => options.AddAdapter("late", served["hotels"]));
        await using ServiceProvider provider = services.BuildServiceProvider();
        ChatResponse response = await provider.GetRequiredService<IChatClient>().GetResponseAsync(
            "Where?", new ChatOptions { ModelId = "late", MaxOutputTokens = 4 }, Token);
        Assert.Equal("late", response.ModelId);
    }

    [Fact]
    public void A_name_is_given_once()
    {
        IServiceCollection services = served.Program();
        Assert.Contains("model", Assert.Throws<ArgumentException>(() => services.AddLowRank(served.Folder)).Message,
            StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() =>
            services.AddLowRank("other", options => options.AddAdapter("hotels", "a").AddAdapter("hotels", "b")));
        Assert.Throws<ArgumentNullException>(() => ((IServiceCollection)null!).AddLowRank("model"));
        Assert.Throws<ArgumentException>(() => services.AddLowRank(" "));
    }

    [Fact]
    public async Task Adapters_that_cannot_be_used_are_told_together_and_the_next_call_tries_again()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["broken"]);
        await File.WriteAllTextAsync(Path.Combine(folder["broken"], "adapter_config.json"), "{", Token);
        IServiceCollection services = new ServiceCollection().AddLogging().AddLowRank(served.Folder, options =>
        {
            options.Opening = ServedBase.Opening;
            options.AddAdapter("a", folder["broken"]).AddAdapter("b", folder["broken"])
                .AddAdapter("hotels", served["hotels"]);
        });
        services.AddHealthChecks().AddLowRank();
        await using ServiceProvider provider = services.BuildServiceProvider();
        IChatClient client = provider.GetRequiredService<IChatClient>();
        InputException refusal =
            await Assert.ThrowsAsync<InputException>(() => client.GetResponseAsync("?", null, Token));
        Assert.Equal(2, refusal.Problems.Count);
        HealthReport health = await provider.GetRequiredService<HealthCheckService>().CheckHealthAsync(Token);
        Assert.Contains("could not be loaded", health.Entries["lowrank"].Description, StringComparison.Ordinal);
        foreach (string file in Directory.GetFiles(served["hotels"]))
            File.Copy(file, Path.Combine(folder["broken"], Path.GetFileName(file)), overwrite: true);
        var options = new ChatOptions { MaxOutputTokens = 4, ModelId = "a" };
        Assert.NotEmpty((await client.GetResponseAsync("Where?", options, Token)).Text);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Disposal_ends_what_is_written_and_frees_the_model(bool waits)
    {
        ServiceProvider provider = served.Program().BuildServiceProvider();
        IChatClient client = provider.GetRequiredKeyedService<IChatClient>("hotels");
        ChatOptions endless = new() { RawRepresentationFactory = _ => ChatClientTests.Endless() };
        await using IAsyncEnumerator<ChatResponseUpdate> stream =
            client.GetStreamingResponseAsync("Where?", endless, Token).GetAsyncEnumerator(Token);
        Assert.True(await stream.MoveNextAsync());
        LoadedModel loaded = await provider.GetServices<HostedModel>().Single().Loading!;
        if (waits) await provider.DisposeAsync();
        else provider.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            while (await stream.MoveNextAsync()) { }
        });
        await Assert.ThrowsAsync<ObjectDisposedException>(() => loaded.Model.GenerateTextAsync("a", null, Token));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetResponseAsync("Where?", null, Token));
    }

    [Fact]
    public async Task A_model_that_is_being_loaded_is_disposed_of_too()
    {
        ServiceProvider provider = served.Program().BuildServiceProvider();
        HostedModel model = provider.GetServices<HostedModel>().Single();
        Task<LoadedModel> opening = model.OpenAsync(Token);
        await provider.DisposeAsync();
        Assert.True(model.Loading!.IsCompleted);
        await Assert.ThrowsAnyAsync<Exception>(async () => // the loading was cancelled, or the model is closed
            await (await opening).Model.GenerateTextAsync("a", null, Token));
    }

    [Fact]
    public async Task A_model_that_writes_no_texts_embeds()
    {
        string bert = Path.Combine(RepositoryFiles.Root, "tests/LowRank.ParityTests/Fixtures/goldens/bert");
        await using ServiceProvider provider = new ServiceCollection().AddLowRank(bert,
            options => options.Opening = ServedBase.Opening).BuildServiceProvider();
        InputException refusal = await Assert.ThrowsAsync<InputException>(() =>
            provider.GetRequiredService<IChatClient>().GetResponseAsync("?", null, Token));
        Assert.Contains("writes no texts", refusal.Message, StringComparison.Ordinal);
    }
}
