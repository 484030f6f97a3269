using LowRank;
using LowRank.Extensions.AI;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds language models with their adapters to a program's services.</summary>
public static class LowRankServiceCollectionExtensions
{
    /// <summary>Adds a model that is loaded once, when the program starts: an <see cref="IChatClient"/> and an
    /// <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/> of texts for the base and for each adapter, with its name
    /// as key.</summary>
    /// <remarks>The base's name is the last part of <paramref name="model"/>. Services without a key are those of the
    /// base, unless the program has others already. The program starts without waiting for the model: calls wait for
    /// it. Options are checked when the program starts (<see cref="OptionsValidationException"/> with all
    /// problems).</remarks>
    /// <param name="services">The services.</param>
    /// <param name="model">The base: a folder, or a name on the Hugging Face Hub.</param>
    /// <param name="configure">Adds adapters and sets options.</param>
    /// <exception cref="ArgumentException">Another model, or one of its adapters, has the name already.</exception>
    /// <example><code>
    /// services.AddLowRank("models/base", o => o.AddAdapter("hotels", "runs/hotels/adapter"));
    /// // in a handler: ([FromKeyedServices("hotels")] IChatClient client) => client.GetResponseAsync("…")
    /// </code></example>
    public static IServiceCollection AddLowRank(
        this IServiceCollection services, string model, Action<LowRankOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(model);
        var given = new LowRankOptions { Model = model };
        configure?.Invoke(given);
        string name = LowRankOptions.NameOf(given.Model);
        services.AddOptions<LowRankOptions>(name).Configure(given.CopyTo).ValidateOnStart();
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<LowRankOptions>, LowRankOptionsValidator>());
        services.AddSingleton(provider => new HostedModel(
            name, () => provider.GetRequiredService<IOptionsMonitor<LowRankOptions>>().Get(name),
            provider.GetService<ILoggerFactory>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ModelLoader>());
        AddClients(services, name, null);
        foreach (string adapter in given.Adapters.Keys) AddClients(services, name, adapter);
        services.TryAddSingleton(provider => provider.GetRequiredKeyedService<IChatClient>(name));
        services.TryAddSingleton(provider =>
            provider.GetRequiredKeyedService<IEmbeddingGenerator<string, Embedding<float>>>(name));
        return services;
    }

    /// <summary>Adds a health check: healthy once the models of <see cref="AddLowRank(IServiceCollection, string,
    /// Action{LowRankOptions}?)"/> are loaded, with the engine's figures as data.</summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="name">The check's name.</param>
    /// <param name="failureStatus">What is reported until then; null for unhealthy.</param>
    /// <param name="tags">Tags, such as ready; null for none.</param>
    public static IHealthChecksBuilder AddLowRank(
        this IHealthChecksBuilder builder, string name = "lowrank", HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new HealthCheckRegistration(name,
            provider => new ModelHealthCheck(provider.GetServices<HostedModel>()), failureStatus, tags));
    }

    private static void AddClients(IServiceCollection services, string model, string? adapter)
    {
        string key = adapter ?? model;
        if (services.Any(service => service.ServiceType == typeof(IChatClient) && service.ServiceKey is string other
            && other == key))
            throw new ArgumentException(
                $"There is a chat client {key} already. Models and adapters need a name each; expected another one " +
                $"than {key}.", nameof(model));
        services.AddKeyedSingleton<IChatClient>(key, (provider, _) =>
            new LowRankChatClient(Find(provider, model).EngineAsync, model, adapter));
        services.AddKeyedSingleton<IEmbeddingGenerator<string, Embedding<float>>>(key, (provider, _) =>
        {
            HostedModel found = Find(provider, model);
            return new LowRankEmbeddingGenerator(
                async (asked, cancellation) => Choose(
                    await found.OpenAsync(cancellation).ConfigureAwait(false), model, asked ?? key), key);
        });
    }

    private static HostedModel Find(IServiceProvider provider, string model) =>
        provider.GetServices<HostedModel>().Single(hosted => hosted.Name == model);

    private static (LanguageModel, LoadedAdapter?) Choose(LoadedModel loaded, string model, string asked) =>
        asked == model ? (loaded.Model, null)
        : loaded.Embedders.TryGetValue(asked, out LoadedAdapter? adapter) ? (loaded.Model, adapter)
        : throw new InputException(loaded.Engine?.Adapters.Any(one => one.Name == asked) == true
            ? $"{asked} writes texts and embeds none. Expected {Names(loaded, model)}."
            : $"There is no adapter {asked}. Expected {Names(loaded, model)}.");

    private static string Names(LoadedModel loaded, string model) =>
        string.Join(" or ", loaded.Embedders.Keys.Order(StringComparer.Ordinal).Prepend(model));
}
