using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A change s·B(A·dropout(x)) of what a projection computes.</summary>
/// <param name="A">[rank, in]</param>
/// <param name="B">[out, rank]</param>
/// <param name="Scale">s.</param>
/// <param name="Dropout">Share of the input of A that is dropped while training, in [0, 1).</param>
public readonly record struct LowRankPair(Tensor A, Tensor B, double Scale, double Dropout);
