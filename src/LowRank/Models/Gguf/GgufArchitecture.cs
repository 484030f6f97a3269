using LowRank.IO;
using LowRank.IO.Gguf;
using LowRank.Models.Families;

namespace LowRank.Models.Gguf;

/// <summary>What llama.cpp calls a model: its architecture, keys and tensors, from <c>config.json</c>.</summary>
/// <param name="Name">The architecture's name, which begins its keys.</param>
/// <param name="Weights">All tensors, in the order in which they are written.</param>
internal sealed record GgufArchitecture(string Name, IReadOnlyList<GgufWeight> Weights)
{
    /// <summary>The keys without the tokenizer's.</summary>
    public GgufMetadata Keys { get; init; } = new();

    /// <summary>Tensors that the checkpoint does not have, such as factors of rotary positions.</summary>
    public IReadOnlyList<(string Name, float[] Values)> Extra { get; init; } = [];

    /// <summary>The prefix that a checkpoint of the bare model leaves out of its names.</summary>
    public string BasePrefix { get; init; } = "";

    /// <summary>The name of the output head's weight; null for models without one.</summary>
    public string? HeadName { get; init; }

    /// <summary>The name of the embedding's weight.</summary>
    public required string EmbeddingName { get; init; }

    /// <summary>Whether the head may share the embedding's weight.</summary>
    public bool TiesHead { get; init; }

    /// <summary>Whether llama.cpp knows a head of its own in this architecture.</summary>
    public bool HasHead { get; init; } = true;

    /// <summary>Whether llama.cpp needs the head's tensor even where it shares the embedding's weight.</summary>
    public bool RepeatsTiedHead { get; init; }

    /// <summary>Which of the checkpoint's tensors do not matter.</summary>
    public required Func<string, bool> IsIgnorable { get; init; }

    /// <summary>What the user should know, one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Number of blocks.</summary>
    public int Layers { get; init; }

    /// <summary>Number of experts per layer; 0 for none.</summary>
    public int Experts { get; init; }

    /// <summary>The architecture of a model.</summary>
    /// <param name="config">Its <c>config.json</c>.</param>
    /// <exception cref="InputException">llama.cpp does not know the family, or a setting of it.</exception>
    public static GgufArchitecture From(ConfigReader config)
    {
        IModelFamily family = FamilyRegistry.Get(config.ModelType);
        GgufArchitecture? found = family switch
        {
            DecoderFamily decoder => GgufDecoders.From(config, decoder),
            EncoderFamily encoder => GgufEncoders.From(config, encoder),
            T5 => GgufT5.From(config),
            _ => null,
        };
        config.ThrowIfInvalid();
        return found ?? throw new InputException(
            $"llama.cpp knows no models of the type {config.ModelType}, so they cannot be written as GGUF. Known are " +
            $"{string.Join(", ", Known)}.");
    }

    /// <summary>The values of <c>model_type</c> that can be written.</summary>
    public static IReadOnlyList<string> Known { get; } =
        [.. GgufDecoders.Known.Concat(GgufEncoders.Known).Append("t5").Order(StringComparer.Ordinal)];

    /// <summary>The tensor that holds a module's weight; null if the architecture has none.</summary>
    /// <param name="module">The module's path, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    public GgufWeight? Of(string module) =>
        Weights.FirstOrDefault(weight => weight.Sources.Contains(module + ".weight"))
        ?? Weights.FirstOrDefault(weight => weight.Sources.Contains(BasePrefix + module + ".weight"));
}
