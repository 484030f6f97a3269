namespace LowRank.Adapters;

/// <summary>A module of a model as an adapter sees it.</summary>
/// <param name="Path">Its path, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Kind">What it is.</param>
/// <param name="InputSize">Width of the input; rows of an embedding; 0 for <see cref="ModuleKind.Other"/>.</param>
/// <param name="OutputSize">Width of the output and so of the bias.</param>
/// <param name="HasBias">Whether it has a bias, [<paramref name="OutputSize"/>].</param>
/// <param name="IsOutputHead">Whether it maps to the vocabulary (transformers' <c>get_output_embeddings</c>).</param>
/// <param name="IsInputEmbedding">Whether it is the table of tokens (<c>get_input_embeddings</c>).</param>
public sealed record ModuleInfo(
    string Path,
    ModuleKind Kind,
    long InputSize = 0,
    long OutputSize = 0,
    bool HasBias = false,
    bool IsOutputHead = false,
    bool IsInputEmbedding = false)
{
    /// <summary>Whether it computes with the embedding's weight and has none of its own.</summary>
    public bool IsTied { get; init; }
}
