using LowRank.IO;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA on a quantised base whose pairs start as the quantisation error of the weights.</summary>
internal sealed record LoftQMethod : IAdapterMethod
{
    public string Name => "loftq";

    public string Title => "LoftQ";

    public string Paper => "arXiv 2310.08659";

    public string Summary => "LoRA on a quantised base whose pairs start as the quantisation error of the weights.";

    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { InitLoraWeights = InitialWeights.LoftQ };

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoraConfig { UseDora: false, InitLoraWeights.Name: "loftq" } ? this : null;
}

/// <summary>LoftQ (arXiv 2310.08659): on a quantised base the pair starts as the largest directions of each weight's
/// quantisation error, so that the adapted model starts close to the unquantised base.</summary>
/// <remarks>The base stays as quantised, as in PEFT's replace_lora_weights_loftq. An adapter can therefore only
/// represent one round of the alternation, and the saved adapter is valid for the same base, quantised the same way.
/// PEFT ignores the scale and is wrong if alpha differs from the rank; here s·B·A is the error.</remarks>
internal sealed class LoftQInitializer : ILoraInitializer
{
    public string Name => "loftq";

    /// <remarks>An adapter that PEFT saves with this initialisation belongs to the base that PEFT quantised, which the
    /// file does not describe.</remarks>
    public bool CanLoad => false;

    /// <remarks>PEFT would quantise the base again if a file specified this initialisation.</remarks>
    public bool IsSpent => true;

    public bool NeedsSameBase => true;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        using Checkpoint stored = Checkpoint.Open(build.ModelFolder);
        RequireWhole(build, stored);
        Dictionary<string, LoraPair> pairs =
            build.Targets.ToDictionary(target => target.Path, target => Pair(build, stored, target));
        string[] whole =
            [.. pairs.Where(pair => pair.Value.B.count_nonzero().item<long>() == 0).Select(pair => pair.Key)];
        if (whole.Length == pairs.Count)
            throw new InputException(
                "init_lora_weights \"loftq\" makes up for what quantising took from the base's weights, and " +
                $"{build.ModelFolder} is not quantised: " +
                "the model computes with the weights of its files. Open the base quantised, such " +
                    "as in nf4, or choose another start, such as pissa.");
        // An unquantised layer has no error, and two zeros would never learn.
        foreach (AdapterTarget target in build.Targets.Where(target => whole.Contains(target.Path)))
            pairs[target.Path] =
                new LoraPair(build.Kaiming(target.Rank, build.Layers[target.Path].InputSize),
                zeros(build.Layers[target.Path].OutputSize, target.Rank));
        return pairs;
    }

    // The quantisation error is only known if the original weights are still available.
    private static void RequireWhole(AdapterBuild build, Checkpoint stored)
    {
        IReadOnlyDictionary<string, StoredMatrix> quantized = BitsAndBytesReader.Read(stored);
        string[] lost =
            [.. build.Targets.Select(target => build.Network.StoredName(build.Layers[target.Path].Parameter))
            .Where(quantized.ContainsKey)];
        if (lost.Length > 0)
            throw new InputException(
                "init_lora_weights \"loftq\" makes up for what quantising took from the base's weights, and " +
                $"{build.ModelFolder} holds {lost.Length} of them only as " +
                $"{quantized[lost[0]].Format}, such as {lost[0]}: what they were before is not there. Give the " +
                    "folder from which it was quantised, opened quantised (in " +
                    $"{quantized[lost[0]].Format}), or choose another start.");
    }

    private static LoraPair Pair(AdapterBuild build, Checkpoint stored, AdapterTarget target)
    {
        AdaptableLayer layer = build.Layers[target.Path];
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor whole = stored.Map(build.Network.StoredName(layer.Parameter)).to(ScalarType.Float32).to(
            build.Network.Device);
        Tensor weight = layer.StoresTransposed ? whole.t() : whole;
        if (target.Rank > Math.Min(weight.shape[0], weight.shape[1]))
            throw new InputException(
                $"{target.Path}: rank {target.Rank} is more than its weight can have, " +
                $"{Math.Min(weight.shape[0], weight.shape[1])}. Lower the rank, or give this module its own in " +
                "rank_pattern.");
        (_, Tensor a, Tensor b) = LoftQDecomposition.Compute(weight, target.Rank, iterations: 1, _ => layer.Matrix);
        double root = Math.Sqrt(target.Scale);
        return new LoraPair((a / Number(root)).MoveToOuterDisposeScope(), (b / Number(root)).MoveToOuterDisposeScope());
    }
}

/// <summary>LoftQ's alternation (arXiv 2310.08659, algorithm 1): a quantised weight and a pair that together
/// approximate the weight.</summary>
internal static class LoftQDecomposition
{
    /// <summary>Finds Q, A and B with Q + B·A close to W: repeatedly quantises W − B·A and takes the largest singular
    /// directions of the error of Q as B·A.</summary>
    /// <param name="weight">W, [out, in], float32.</param>
    /// <param name="rank">The rank of B·A.</param>
    /// <param name="iterations">Number of iterations; from the second on, Q is no longer the result of quantising W
    /// alone.</param>
    /// <param name="quantize">Quantises a matrix and returns the values that the quantised form represents.</param>
    /// <returns>Q [out, in], A [rank, in] and B [out, rank], in the caller's dispose scope.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The rank or the iterations are below 1, or the rank exceeds W's
    /// maximum.</exception>
    public static (Tensor Quantized, Tensor A, Tensor B) Compute(
        Tensor weight, int rank, int iterations, Func<Tensor, Tensor> quantize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(iterations, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, Math.Min(weight.shape[0], weight.shape[1]));
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor rest = weight, quantized = weight, a = weight, b = weight; // each is made in the first round
        for (int i = 0; i < iterations; i++)
        {
            quantized = quantize(rest);
            (Tensor u, Tensor values, Tensor vh) = linalg.svd(weight - quantized, fullMatrices: false);
            Tensor root = values.narrow(0, 0, rank).sqrt();
            (a, b) = (root.unsqueeze(1) * vh.narrow(0, 0, rank), u.narrow(1, 0, rank) * root);
            rest = weight - matmul(b, a);
        }
        return (quantized.MoveToOuterDisposeScope(), a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope());
    }
}
