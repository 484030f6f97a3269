using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>Leaves values of a tensor out.</summary>
internal static class Pruning
{
    /// <summary>Keeps the share of values that are largest.</summary>
    public static Tensor Largest(Tensor tensor, double density)
    {
        if (density >= 1) return tensor;
        Tensor mask = zeros_like(tensor).reshape(-1);
        (_, Tensor places) = tensor.abs().reshape(-1).topk((int)(density * tensor.numel()));
        return tensor * mask.index_fill_(0, places, 1).reshape(tensor.shape);
    }

    /// <summary>Keeps a share of values at random and scales them up, so that the mean stays.</summary>
    public static Tensor AtRandom(Tensor tensor, double density, Generator random)
    {
        if (density >= 1) return tensor;
        return tensor * empty_like(tensor).bernoulli_(density, random) / density;
    }
}
