using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What <see cref="BlockCheckpoint"/> remembers besides its input.</summary>
/// <param name="Block">The block.</param>
/// <param name="Context">The pass.</param>
/// <param name="Output">The block's output, until the function has returned it.</param>
/// <param name="Dropout">The state of the pass's generator before the block; null in evaluation.</param>
/// <param name="NeedsInput">Whether the input takes a gradient.</param>
/// <param name="IsLowest">Whether it is the last of its pass to go backward.</param>
internal sealed record BlockCheckpointArguments(IBlock Block, ForwardContext Context, Tensor Output, Tensor? Dropout, bool NeedsInput, bool IsLowest);
