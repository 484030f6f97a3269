namespace LowRank.Adapters.Files;

/// <summary>What a tensor of an adapter file is to its module.</summary>
public enum AdapterTensorPart
{
    /// <summary>A of a linear layer, [rank, in].</summary>
    LinearA,

    /// <summary>B of a linear layer, [out, rank].</summary>
    LinearB,

    /// <summary>A of an embedding, [rank, rows].</summary>
    EmbeddingA,

    /// <summary>B of an embedding, [width, rank].</summary>
    EmbeddingB,

    /// <summary>The trained bias of an adapted layer, [out].</summary>
    AdaptedBias,

    /// <summary>The base weight of an adapted embedding or output head, which PEFT saves beside the adapter.</summary>
    AdaptedWeight,

    /// <summary>DoRA's magnitudes, [out].</summary>
    Magnitude,

    /// <summary>The bias on B (<c>lora_bias</c>), [out].</summary>
    OutputBias,

    /// <summary>Rows of trained tokens, [tokens, width].</summary>
    TokenRows,

    /// <summary>The trained bias of a layer that is not adapted, or of a module saved whole.</summary>
    Bias,

    /// <summary>The weight of a module saved whole.</summary>
    Weight,

    /// <summary>The base's table of an embedding or output head, which PEFT saves where tokens were added.</summary>
    Table,

    /// <summary>What PEFT saves besides where tokens were added, though another tensor says it already.</summary>
    Duplicate,

    /// <summary>A tensor of another kind of adapter than LoRA.</summary>
    Own,
}
