using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Dropout with an explicit random generator (arXiv 1207.0580): zeroes values with a given probability and
/// scales the rest to keep the mean.</summary>
internal static class Dropout
{
    /// <summary>Applies dropout; returns the input if there is no generator (evaluation) or the probability is
    /// 0.</summary>
    /// <param name="input">Any shape.</param>
    /// <param name="probability">Fraction of values zeroed, in [0, 1).</param>
    /// <param name="generator">The random generator during training.</param>
    public static Tensor Apply(Tensor input, double probability, Generator? generator) =>
        Kept(input, probability, generator) is { } kept ? Recomputation.Passes(input, input * kept) : input;

    /// <summary>The factor of the input: 0 for dropped values, 1 / (1 − probability) for the rest; null if nothing is
    /// dropped.</summary>
    /// <param name="input">Any shape.</param>
    /// <param name="probability">Fraction of values zeroed, in [0, 1).</param>
    /// <param name="generator">The random generator during training.</param>
    internal static Tensor? Kept(Tensor input, double probability, Generator? generator)
    {
        if (generator is null || probability == 0) return null;
        return Draw(empty_like(input, requires_grad: false), 1 - probability, generator).div_(Number(1 - probability));
    }

    // TorchSharp only creates generators for the processor, and other devices reject them. On CUDA the device's own
    // generator is reseeded for each mask with a seed drawn from the given generator, so only that one decides what is
    // dropped, as on the processor.
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
