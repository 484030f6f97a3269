using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Dropout with an explicit random generator (arXiv 1207.0580): values are zeroed with a probability and the
/// rest scaled so that the mean stays.</summary>
internal static class Dropout
{
    /// <summary>Applies dropout; without a generator (evaluation) or with probability 0 the input is
    /// returned.</summary>
    /// <param name="input">Any shape.</param>
    /// <param name="probability">Share of values zeroed, in [0, 1).</param>
    /// <param name="generator">The source of randomness while training.</param>
    public static Tensor Apply(Tensor input, double probability, Generator? generator) =>
        Kept(input, probability, generator) is { } kept ? input * kept : input;

    /// <summary>What the input is multiplied by: 0 where a value is dropped, 1 / (1 − probability) elsewhere; null
    /// where nothing is dropped.</summary>
    /// <param name="input">Any shape.</param>
    /// <param name="probability">Share of values zeroed, in [0, 1).</param>
    /// <param name="generator">The source of randomness while training.</param>
    internal static Tensor? Kept(Tensor input, double probability, Generator? generator)
    {
        if (generator is null || probability == 0) return null;
        return Draw(empty_like(input, requires_grad: false), 1 - probability, generator).div_(1 - probability);
    }

    // TorchSharp makes generators for the processor alone, and other devices refuse those. On CUDA each mask begins the
    // device's own generator anew, at a seed that the given one draws: as on the processor, that one alone decides what
    // is dropped.
    private static Tensor Draw(Tensor kept, double share, Generator generator)
    {
        switch (kept.device_type)
        {
            case DeviceType.CPU:
                return kept.bernoulli_(share, generator);
            case DeviceType.CUDA:
                using (Tensor seed = randint(long.MaxValue, 1, ScalarType.Int64, generator: generator))
                    cuda.manual_seed_all(seed.item<long>());
                return kept.bernoulli_(share);
            default:
                using (Tensor drawn = empty(kept.shape).bernoulli_(share, generator)) return kept.copy_(drawn);
        }
    }
}
