using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

/// <summary>Turns texts into vectors of length 1, whose dot product is their cosine.</summary>
/// <remarks>Thread-safe. The vectors are those of <see cref="LanguageModel.EmbedAsync(IReadOnlyList{string},
/// PredictionOptions?, CancellationToken)"/>, divided by their length: with an adapter for embeddings, of a model of
/// sentence-transformers, or the mean of the base's states. Who made the model disposes of it.</remarks>
public sealed class LowRankEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    private const string PromptKey = "prompt";

    private readonly Func<string?, CancellationToken, Task<(LanguageModel Model, LoadedAdapter? Adapter)>> choose;
    private readonly EmbeddingGeneratorMetadata metadata;

    /// <summary>Creates a generator.</summary>
    /// <param name="model">The model.</param>
    /// <param name="adapter">One of its adapters, for embeddings; null for the base alone. Which adapter the model uses
    /// for other calls does not matter.</param>
    /// <param name="modelId">The name in results; null for the base's.</param>
    public LowRankEmbeddingGenerator(LanguageModel model, LoadedAdapter? adapter = null, string? modelId = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        string name = modelId ?? LowRankOptions.NameOf(model.Name);
        metadata = new EmbeddingGeneratorMetadata(LowRankChatClient.Provider, null, name);
        choose = (asked, _) => asked is null || asked == name ? Task.FromResult((model, adapter))
            : throw new InputException(
                $"EmbeddingGenerationOptions.ModelId is {asked}, but this generator is {name}. Leave it out, or use " +
                "the other's generator.");
    }

    internal LowRankEmbeddingGenerator(
        Func<string?, CancellationToken, Task<(LanguageModel Model, LoadedAdapter? Adapter)>> choose, string name)
    {
        this.choose = choose;
        metadata = new EmbeddingGeneratorMetadata(LowRankChatClient.Provider, null, name);
    }

    /// <summary>Turns texts into vectors.</summary>
    /// <param name="values">The texts; none give no vectors.</param>
    /// <param name="options">The adapter (<c>ModelId</c>), and <c>prompt</c> among the additional properties: the name
    /// of the model's own prompt that stands before each text. <c>RawRepresentationFactory</c> may give
    /// <see cref="PredictionOptions"/>. Others are refused, and so is another number of dimensions than the
    /// model's.</param>
    /// <param name="cancellationToken">Gives up after the current batch.</param>
    /// <exception cref="InputException">Options cannot be honoured: all problems at once; or the adapter is for another
    /// task, or unknown.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        string[] texts = [.. values];
        if (Array.IndexOf(texts, null) is >= 0 and var missing)
            throw new ArgumentException($"The text at {missing} is null.", nameof(values));
        PredictionOptions? prediction = Read(options);
        (LanguageModel model, LoadedAdapter? adapter) =
            await choose(options?.ModelId, cancellationToken).ConfigureAwait(false);
        EmbeddedTexts embedded = texts.Length == 0 ? new EmbeddedTexts([], 0)
            : await model.EmbedAsync(adapter, texts, prediction, cancellationToken).ConfigureAwait(false);
        if (options?.Dimensions is { } wanted && embedded.Vectors.Count > 0 && wanted != embedded.Vectors[0].Length)
            throw new InputException(
                $"EmbeddingGenerationOptions.Dimensions is {wanted}, but the model's vectors have " +
                $"{embedded.Vectors[0].Length} numbers, and a part of them is another embedding. Leave it out.");
        DateTimeOffset now = DateTimeOffset.UtcNow;
        string name = options?.ModelId ?? metadata.DefaultModelId!;
        return new GeneratedEmbeddings<Embedding<float>>(embedded.Vectors.Select(vector =>
            new Embedding<float>(Direction(vector)) { CreatedAt = now, ModelId = name }))
        {
            Usage = new UsageDetails { InputTokenCount = embedded.Tokens, TotalTokenCount = embedded.Tokens },
        };
    }

    /// <summary>Gives itself and its <see cref="EmbeddingGeneratorMetadata"/>.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(EmbeddingGeneratorMetadata) ? metadata
            : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Does nothing: the model is its maker's.</summary>
    public void Dispose()
    {
    }

    private PredictionOptions? Read(EmbeddingGenerationOptions? options)
    {
        List<string> problems = [];
        var prediction = new PredictionOptions();
        switch (options?.RawRepresentationFactory?.Invoke(this))
        {
            case null: break;
            case PredictionOptions given: prediction = given; break;
            case var other:
                problems.Add(
                    $"EmbeddingGenerationOptions.RawRepresentationFactory gives a {other.GetType().Name}, expected " +
                    $"{nameof(PredictionOptions)}.");
                break;
        }
        foreach ((string key, object? value) in options?.AdditionalProperties ?? [])
            if (key == PromptKey && value is string prompt) prediction = prediction with { Prompt = prompt };
            else
                problems.Add(key == PromptKey
                    ? $"AdditionalProperties[\"{key}\"] is no text, expected the name of a prompt of the model."
                    : $"AdditionalProperties[\"{key}\"] is unknown; {PromptKey} is known. Leave it out.");
        return problems.Count == 0 ? prediction
            : throw new InputException("The embedding options cannot be honoured:", problems);
    }

    private static float[] Direction(float[] vector)
    {
        double length = Math.Sqrt(vector.Sum(value => (double)value * value));
        return length == 0 ? vector : [.. vector.Select(value => (float)(value / length))];
    }
}
