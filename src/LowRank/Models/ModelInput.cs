using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A batch of texts as a model takes it.</summary>
/// <param name="Tokens">[batch, sequence]</param>
/// <param name="AttentionMask">1 for tokens and 0 for padding, [batch, sequence]; null when nothing is padded.</param>
/// <param name="TokenTypes">0 for the first text and 1 for the second, [batch, sequence]; null for 0 everywhere.</param>
public sealed record ModelInput(Tensor Tokens, Tensor? AttentionMask = null, Tensor? TokenTypes = null);
