using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What <see cref="TrainingAttention"/> remembers besides tensors.</summary>
/// <param name="Texts">What attends to what.</param>
/// <param name="Scale">What scores are multiplied by.</param>
/// <param name="Back">How many positions back of its own a query sees.</param>
/// <param name="Ahead">How many positions ahead.</param>
/// <param name="Split">Takes one tensor apart into query, key and value; null where they are three.</param>
internal sealed record TrainingAttentionArguments(AttentionTexts Texts, double Scale, int Back, int Ahead, Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)>? Split = null);
