using LowRank.Adapters.Files;

namespace LowRank.Adapters.Operations;

/// <summary>An adapter made from a tuned model.</summary>
/// <param name="Adapter">The adapter; its tensors are in the caller's dispose scope.</param>
/// <param name="Kept">How much of each layer's change it holds.</param>
/// <param name="OtherChanges">Weights that tuning changed and that no pair holds, by their names in the checkpoint.</param>
public sealed record ExtractedAdapter(LoraFolder Adapter, IReadOnlyList<KeptEnergy> Kept, IReadOnlyList<string> OtherChanges)
{
    /// <summary>What the user should know of the base's files, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
