using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA whose pairs start as the largest singular directions of the weights.</summary>
internal sealed record PissaMethod : IAdapterMethod
{
    private const string Iterated = "pissa_niter_";

    public string Name => "pissa";

    public string Title => "PiSSA";

    public string Paper => "arXiv 2404.02948";

    public string Summary => "LoRA whose pairs start as the largest singular directions of the weights.";

    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        MethodOption.Create<PissaMethod, int>(
            "iterations", method => method.Iterations, (method, value) => method with { Iterations = value },
            "subspace iterations of a randomised decomposition, faster for large weights; 0 decomposes exactly")
            with { Most = 64 },
    ];

    /// <summary>Number of subspace iterations of a randomised decomposition, which is faster for large weights; 0,
    /// which decomposes exactly, at most 64.</summary>
    public int Iterations { get; init; }

    public AdapterConfig Configure(LoraConfig shared) => shared with
    {
        InitLoraWeights = Iterations > 0 ? InitialWeights.RandomizedPissa(Iterations) : InitialWeights.Pissa,
    };

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is not LoraConfig { UseDora: false, InitLoraWeights.Name: var start } ? null
            : start == "pissa" ? this
            : start.StartsWith(Iterated, StringComparison.Ordinal) && int.TryParse(
                start[Iterated.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int iterations)
                ? this with { Iterations = iterations } : null;
}

/// <summary>PiSSA (arXiv 2404.02948): the pair starts as the largest singular directions of W, divided by s.</summary>
internal sealed class PissaInitializer : ILoraInitializer
{
    public string Name => "pissa";

    public bool StartsFromBase => true;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build) =>
        LoraPair.ForEach(build, (layer, target) =>
    {
        Tensor matrix = layer.Matrix;
        // Other devices use another algorithm, accurate to four digits in float32. The part subtracted from the base
        // must be the same wherever the adapter is opened.
        (Tensor u, Tensor values, Tensor vh) =
            linalg.svd(matrix.device_type == DeviceType.CUDA ? matrix.to(ScalarType.Float64)
            : matrix, fullMatrices: false);
        return Pair(u.to(ScalarType.Float32), values.to(ScalarType.Float32), vh.to(ScalarType.Float32), target);
    });

    /// <summary>The leading directions as a pair: B = U√(S/s), A = √(S/s)Vᵀ.</summary>
    internal static LoraPair Pair(Tensor u, Tensor values, Tensor vh, AdapterTarget target)
    {
        long rank = Math.Min(target.Rank, values.shape[0]);
        if (rank < target.Rank)
            throw new InputException(
                $"{target.Path}: rank {target.Rank} is more than its weight can have, {rank}. Lower the rank, or " +
                "give this module its own in rank_pattern.");
        Tensor root = values.narrow(0, 0, rank).div(Number(target.Scale)).sqrt();
        return new LoraPair(root.unsqueeze(1) * vh.narrow(0, 0, rank), u.narrow(1, 0, rank) * root);
    }
}

/// <summary>PiSSA with a randomised decomposition (Halko, Martinsson and Tropp, arXiv 0909.4061, algorithm 5.1 with
/// subspace iteration): "pissa_niter_N" uses N iterations and takes a few percent of the exact one's time.</summary>
internal sealed class RandomizedPissaInitializer : ILoraInitializer
{
    private const string Prefix = "pissa_niter_";

    public string Name => "pissa_niter_N";

    public bool StartsFromBase => true;

    /// <remarks>The directions depend on random numbers that a saved adapter does not contain.</remarks>
    public bool CanRepeat => false;

    public bool Is(string name) => name.StartsWith(Prefix, StringComparison.Ordinal)
        && int.TryParse(name[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out _);

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        string name = ((LoraConfig)build.Config).InitLoraWeights.Name;
        int iterations = int.Parse(name[Prefix.Length..], CultureInfo.InvariantCulture);
        return LoraPair.ForEach(build, (layer, target) =>
        {
            (Tensor u, Tensor values, Tensor vh) =
                LeadingDirections.Compute(layer.Matrix, target.Rank, iterations, build.Random);
            return PissaInitializer.Pair(u, values, vh, target);
        });
    }
}
