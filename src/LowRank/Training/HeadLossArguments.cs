using LowRank.Models.Layers;

namespace LowRank.Training;

/// <summary>What <see cref="HeadLoss"/> is told besides tensors.</summary>
/// <param name="Head">The layer that gives the logits.</param>
/// <param name="NeedsGradient">Whether the states take a gradient.</param>
/// <param name="MostNumbers">Logits that may live at a time; one row at least does.</param>
internal sealed record HeadLossArguments(Projection Head, bool NeedsGradient, long MostNumbers);
