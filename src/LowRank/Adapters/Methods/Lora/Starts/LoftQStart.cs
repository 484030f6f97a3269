using LowRank.Quantization;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora.Starts;

/// <summary>LoftQ (arXiv 2310.08659): on a quantised base the pair begins as the largest directions of what quantising took from
/// each weight, so that the adapted model begins near the base before it was quantised.</summary>
/// <remarks>The base stays what its quantisation made it, as with PEFT's replace_lora_weights_loftq: so one round of the
/// alternation is all that an adapter can hold, and the saved adapter is right on the same base, quantised the same way.
/// PEFT leaves the scale out and is wrong where alpha is not the rank; here s·B·A is what is missing.</remarks>
internal sealed class LoftQStart : ILoraStart
{
    public string Name => "loftq";

    /// <remarks>What PEFT saves with this start belongs to the base that it quantised, on which the file does not say more.</remarks>
    public bool CanLoad => false;

    /// <remarks>PEFT would quantise the base again where a file names this start.</remarks>
    public bool IsSpent => true;

    public bool NeedsSameBase => true;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        using Checkpoint stored = Checkpoint.Open(build.ModelFolder);
        RequireWhole(build, stored);
        Dictionary<string, LoraPair> pairs = build.Targets.ToDictionary(target => target.Path, target => Pair(build, stored, target));
        string[] whole = [.. pairs.Where(pair => pair.Value.B.count_nonzero().item<long>() == 0).Select(pair => pair.Key)];
        if (whole.Length == pairs.Count)
            throw new InputException($"init_lora_weights \"loftq\" makes up for what quantising took from the base's weights, and {build.ModelFolder} is not quantised: " +
                "the model computes with the weights of its files. Open the base quantised (in a recipe, base_dtype: nf4), or choose another start, such as pissa.");
        // Nothing is missing in a layer that was left as it is, and two zeros would never learn.
        foreach (LoraTarget target in build.Targets.Where(target => whole.Contains(target.Path)))
            pairs[target.Path] = new LoraPair(build.Kaiming(target.Rank, build.Sites[target.Path].InputSize), zeros(build.Sites[target.Path].OutputSize, target.Rank));
        return pairs;
    }

    // What quantising took is known only where the weights from before are still there.
    private static void RequireWhole(AdapterBuild build, Checkpoint stored)
    {
        IReadOnlyDictionary<string, StoredMatrix> quantized = BitsAndBytesReader.Read(stored);
        string[] lost = [.. build.Targets.Select(target => build.Network.StoredName(build.Sites[target.Path].Parameter)).Where(quantized.ContainsKey)];
        if (lost.Length > 0)
            throw new InputException($"init_lora_weights \"loftq\" makes up for what quantising took from the base's weights, and {build.ModelFolder} holds {lost.Length} of them only as " +
                $"{quantized[lost[0]].Format}, such as {lost[0]}: what they were before is not there. Give the folder from which it was quantised, opened quantised (in a recipe, base_dtype: {quantized[lost[0]].Format}), or choose another start.");
    }

    private static LoraPair Pair(AdapterBuild build, Checkpoint stored, LoraTarget target)
    {
        AdapterSite site = build.Sites[target.Path];
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor whole = stored.Map(build.Network.StoredName(site.Parameter)).to(ScalarType.Float32).to(build.Network.Device);
        Tensor weight = site.StoresTransposed ? whole.t() : whole;
        if (target.Rank > Math.Min(weight.shape[0], weight.shape[1]))
            throw new InputException($"{target.Path}: rank {target.Rank} is more than its weight can have, {Math.Min(weight.shape[0], weight.shape[1])}. Lower the rank, or give this module its own in rank_pattern.");
        (_, Tensor a, Tensor b) = LoftQDecomposition.Of(weight, target.Rank, iterations: 1, _ => site.Matrix);
        double root = Math.Sqrt(target.Scale);
        return new LoraPair((a / root).MoveToOuterDisposeScope(), (b / root).MoveToOuterDisposeScope());
    }
}
