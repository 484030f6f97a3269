using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>A way to merge several tensors into one, listed in <see cref="AdapterCombination"/>.</summary>
public interface ITensorMerge
{
    /// <summary>Its name in PEFT's add_weighted_adapter.</summary>
    string Name { get; }

    /// <summary>Whether it drops values and therefore needs a density.</summary>
    bool Prunes { get; }

    /// <summary>Whether the dropped values are chosen at random.</summary>
    bool IsRandom => false;

    /// <summary>Whether signs are elected, by their sum or their number.</summary>
    bool ElectsSigns => false;

    /// <summary>Merges tensors of one shape.</summary>
    /// <param name="tensors">The tensors.</param>
    /// <param name="weights">One weight per tensor.</param>
    /// <param name="options">Density, sign and seed.</param>
    /// <returns>In the caller's dispose scope.</returns>
    Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options);
}

/// <summary>The weighted sum (task arithmetic, arXiv 2212.04089).</summary>
internal sealed class LinearMerge : ITensorMerge
{
    public string Name => "linear";

    public bool Prunes => false;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        Sum(tensors, weights);

    /// <summary>Σ wᵢ·tᵢ</summary>
    public static Tensor Sum(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights)
    {
        Tensor sum = tensors[0] * Number(weights[0]);
        for (int i = 1; i < tensors.Count; i++) sum = sum.add(tensors[i], Number(weights[i]));
        return sum;
    }
}

/// <summary>TIES (arXiv 2306.01708): the largest values of each tensor, and of those the ones with the elected
/// sign.</summary>
internal sealed class TiesMerge : ITensorMerge
{
    public string Name => "ties";

    public bool Prunes => true;

    public bool ElectsSigns => true;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        SignElection.Merge([.. tensors.Select(tensor => Pruning.Largest(tensor, options.Density!.Value))], weights,
            options.SignByFrequency);
}

/// <summary>DARE (arXiv 2311.03099): drops values at random, rescales the rest, and takes the weighted sum.</summary>
internal sealed class DareLinearMerge : ITensorMerge
{
    public string Name => "dare_linear";

    public bool Prunes => true;

    public bool IsRandom => true;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        LinearMerge.Sum(
            [.. tensors.Select(tensor => Pruning.AtRandom(tensor, options.Density!.Value, options.Random))], weights);
}

/// <summary>DARE (arXiv 2311.03099), followed by TIES's sign election.</summary>
internal sealed class DareTiesMerge : ITensorMerge
{
    public string Name => "dare_ties";

    public bool Prunes => true;

    public bool ElectsSigns => true;

    public bool IsRandom => true;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        SignElection.Merge(
            [.. tensors.Select(tensor => Pruning.AtRandom(tensor, options.Density!.Value, options.Random))], weights,
            options.SignByFrequency);
}

/// <summary>The weighted sum of the largest values of each tensor.</summary>
internal sealed class MagnitudePruneMerge : ITensorMerge
{
    public string Name => "magnitude_prune";

    public bool Prunes => true;

    public Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, CombineOptions options) =>
        LinearMerge.Sum([.. tensors.Select(tensor => Pruning.Largest(tensor, options.Density!.Value))], weights);
}

/// <summary>Drops values of a tensor.</summary>
internal static class Pruning
{
    /// <summary>Keeps the given fraction of the largest values.</summary>
    public static Tensor Largest(Tensor tensor, double density)
    {
        if (density >= 1) return tensor;
        Tensor mask = zeros_like(tensor).reshape(-1);
        (_, Tensor places) = tensor.abs().reshape(-1).topk((int)(density * tensor.numel()));
        return tensor * mask.index_fill_(0, places, Number(1)).reshape(tensor.shape);
    }

    /// <summary>Keeps a random fraction of values and rescales them to preserve the mean.</summary>
    public static Tensor AtRandom(Tensor tensor, double density, Generator random)
    {
        if (density >= 1) return tensor;
        return tensor * empty_like(tensor).bernoulli_(density, random) / Number(density);
    }
}

/// <summary>TIES's sign election and disjoint merge (arXiv 2306.01708, section 4): averages, at each position, the
/// values with the elected sign.</summary>
internal static class SignElection
{
    public static Tensor Merge(IReadOnlyList<Tensor> tensors, IReadOnlyList<double> weights, bool byFrequency)
    {
        Tensor stacked = stack([.. tensors], 0), signs = stacked.sign();
        Tensor votes = (byFrequency ? signs : stacked).sum([0]);
        Tensor winners = where(votes >= Number(0), ones_like(votes), ones_like(votes).neg());
        Tensor agree = signs.eq(winners).to(ScalarType.Float32);
        Tensor weighted = stacked * tensor(weights.Select(weight => (float)weight).ToArray()).view(
            [-1, .. Enumerable.Repeat(1L, tensors[0].shape.Length)]);
        return (weighted * agree).sum([0]) / agree.sum([0]).clamp_min(Number(1));
    }
}
