using LowRank.Adapters;

namespace LowRank.Tests.Adapters;

/// <summary>The modules of a small decoder, as a model would list them.</summary>
internal static class ModelListing
{
    public static IReadOnlyList<ModuleInfo> Decoder(int layers = 2) =>
    [
        new("model.embed_tokens", ModuleKind.Embedding, 32, 8, IsInputEmbedding: true),
        .. Enumerable.Range(0, layers).SelectMany(Layer),
        new("model.norm", ModuleKind.Other, 0, 8, HasBias: true),
        new("lm_head", ModuleKind.Linear, 8, 32, IsOutputHead: true),
    ];

    private static IEnumerable<ModuleInfo> Layer(int layer)
    {
        string path = $"model.layers.{layer}";
        return
        [
            new($"{path}.self_attn.q_proj", ModuleKind.Linear, 8, 8, HasBias: true),
            new($"{path}.self_attn.v_proj", ModuleKind.Linear, 8, 4),
            new($"{path}.mlp.down_proj", ModuleKind.Linear, 16, 8),
            new($"{path}.input_layernorm", ModuleKind.Other),
        ];
    }
}
