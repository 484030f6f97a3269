using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Dropout with an explicit random generator (arXiv 1207.0580): values are zeroed with a probability and the
/// rest scaled so that the mean stays.</summary>
public static class Dropout
{
    /// <summary>Applies dropout; without a generator (evaluation) or with probability 0 the input is returned.</summary>
    /// <param name="input">Any shape.</param>
    /// <param name="probability">Share of values zeroed, in [0, 1).</param>
    /// <param name="generator">The source of randomness while training.</param>
    public static Tensor Apply(Tensor input, double probability, Generator? generator) =>
        Kept(input, probability, generator) is { } kept ? input * kept : input;

    /// <summary>What the input is multiplied by: 0 where a value is dropped, 1 / (1 − probability) elsewhere; null where nothing is dropped.</summary>
    /// <param name="input">Any shape.</param>
    /// <param name="probability">Share of values zeroed, in [0, 1).</param>
    /// <param name="generator">The source of randomness while training.</param>
    internal static Tensor? Kept(Tensor input, double probability, Generator? generator)
    {
        if (generator is null || probability == 0) return null;
        return empty_like(input, requires_grad: false).bernoulli_(1 - probability, generator).div_(1 - probability);
    }
}
