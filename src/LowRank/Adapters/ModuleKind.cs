namespace LowRank.Adapters;

/// <summary>What a module is to an adapter.</summary>
public enum ModuleKind
{
    /// <summary>Nothing that LoRA adapts: a norm, an activation, a container.</summary>
    Other,

    /// <summary>A linear layer, weight stored [out, in].</summary>
    Linear,

    /// <summary>GPT-2's linear layer, weight stored [in, out].</summary>
    Conv1D,

    /// <summary>A table of vectors, weight stored [rows, width].</summary>
    Embedding,
}
