namespace LowRank.Data.Packing;

/// <summary>How rows of next-token prediction become batches. Only <see cref="PromptSharing.Grouped"/> changes which rows a step
/// takes; all else changes losses and gradients by rounding alone, as long as there is no dropout.</summary>
public sealed record RowBatching
{
    /// <summary>Rows one after the other without padding; false pads each batch to its longest row.</summary>
    public bool Packing { get; init; } = true;

    /// <summary>Whether equal beginnings are computed once; needs <see cref="Packing"/>.</summary>
    public PromptSharing SharePrompts { get; init; } = PromptSharing.InStep;

    /// <summary>Most positions computed at once while training: a step's rows are split into as many micro-batches as that takes,
    /// whatever the batch size is. A single row may be longer. Null: micro-batches of the batch size.</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Whether equal beginnings of rows in one batch are computed once.</summary>
    public bool Shares => Packing && SharePrompts != PromptSharing.Off;
}
