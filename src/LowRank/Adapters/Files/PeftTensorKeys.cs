namespace LowRank.Adapters.Files;

/// <summary>The keys of PEFT's adapter files: a prefix, the module's path, and the tensor's role. Keys on disk never
/// contain the adapter's name.</summary>
internal static class PeftTensorKeys
{
    /// <summary>The prefix of every key.</summary>
    public const string Prefix = "base_model.model.";

    // longer endings first: ".lora_B.bias" also ends in ".bias"
    private static readonly (AdapterTensorPart Part, string Ending)[] Endings =
    [
        (AdapterTensorPart.LinearA, ".lora_A.weight"),
        (AdapterTensorPart.LinearB, ".lora_B.weight"),
        (AdapterTensorPart.EmbeddingA, ".lora_embedding_A"),
        (AdapterTensorPart.EmbeddingB, ".lora_embedding_B"),
        (AdapterTensorPart.AdaptedBias, ".base_layer.bias"),
        (AdapterTensorPart.AdaptedWeight, ".base_layer.weight"),
        (AdapterTensorPart.Magnitude, ".lora_magnitude_vector"),
        (AdapterTensorPart.OutputBias, ".lora_B.bias"),
        (AdapterTensorPart.TokenRows, ".token_adapter.trainable_tokens_delta"),
        (AdapterTensorPart.Bias, ".bias"),
        (AdapterTensorPart.Weight, ".weight"),
    ];

    /// <summary>The key of A: <c>base_model.model.PATH.lora_A.weight</c>, or <c>.lora_embedding_A</c> for an
    /// embedding.</summary>
    public static string A(string path, ModuleKind kind) =>
        Key(path, kind == ModuleKind.Embedding ? AdapterTensorPart.EmbeddingA : AdapterTensorPart.LinearA);

    /// <summary>The key of B: <c>base_model.model.PATH.lora_B.weight</c>, or <c>.lora_embedding_B</c> for an
    /// embedding.</summary>
    public static string B(string path, ModuleKind kind) =>
        Key(path, kind == ModuleKind.Embedding ? AdapterTensorPart.EmbeddingB : AdapterTensorPart.LinearB);

    /// <summary>The key of a tensor.</summary>
    /// <param name="path">The module's path in the model.</param>
    /// <param name="part">The tensor's role in the module.</param>
    public static string Key(string path, AdapterTensorPart part) =>
        Prefix + path + Endings.First(entry => entry.Part == part).Ending;

    /// <summary>Splits a key into its parts.</summary>
    /// <returns>The module's path and the part; null if no PEFT adapter file has such a key.</returns>
    public static (string Path, AdapterTensorPart Part)? Parse(string key)
    {
        if (!key.StartsWith(Prefix, StringComparison.Ordinal)) return null;
        foreach ((AdapterTensorPart part, string ending) in Endings)
        {
            if (key.EndsWith(ending, StringComparison.Ordinal) && key.Length > Prefix.Length + ending.Length)
                return (key[Prefix.Length..^ending.Length], part);
        }
        return null;
    }
}
