using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What <see cref="BlockCheckpoint"/> remembers besides its input.</summary>
/// <param name="Block">The block.</param>
/// <param name="Context">The pass.</param>
/// <param name="Dropout">The state of the pass's generator before the block; null in evaluation.</param>
/// <param name="IsLowest">Whether it is the last of its pass to go backward.</param>
internal sealed record BlockCheckpointArguments(IBlock Block, ForwardContext Context, Tensor? Dropout, bool IsLowest);
