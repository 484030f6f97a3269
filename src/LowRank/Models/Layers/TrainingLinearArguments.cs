using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What <see cref="TrainingLinear"/> remembers besides tensors.</summary>
/// <param name="Projection">The layer.</param>
/// <param name="Bias">What is added, [out]; null for nothing.</param>
/// <param name="Scale">The pair's factor.</param>
/// <param name="NeedsInput">Whether the input takes a gradient.</param>
/// <param name="NeedsA">Whether A does.</param>
/// <param name="NeedsB">Whether B does.</param>
/// <param name="IsRead">Whether someone reads the output's values.</param>
internal sealed record TrainingLinearArguments(Projection Projection, Tensor? Bias, double Scale, bool NeedsInput, bool NeedsA, bool NeedsB, bool IsRead);
