using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA whose pairs start as the first columns and rows of the weights' QR factors.</summary>
internal sealed record OloraMethod : IAdapterMethod
{
    public string Name => "olora";

    public string Title => "OLoRA";

    public string Paper => "arXiv 2406.01775";

    public string Summary => "LoRA whose pairs start as the first columns and rows of the weights' QR factors.";

    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { InitLoraWeights = InitialWeights.Olora };

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoraConfig { UseDora: false, InitLoraWeights.Name: "olora" } ? this : null;
}

/// <summary>OLoRA (arXiv 2406.01775): with W = QR, B starts as the first columns of Q and A as the first rows of
/// R.</summary>
/// <remarks>Here W is [out, in] for every layer. PEFT uses GPT-2's weights as stored, [in, out], and fails.</remarks>
internal sealed class OloraInitializer : ILoraInitializer
{
    public string Name => "olora";

    public bool StartsFromBase => true;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build) =>
        LoraPair.ForEach(build, (layer, target) =>
    {
        (Tensor q, Tensor r) = linalg.qr(layer.Matrix);
        if (target.Rank > q.shape[1])
            throw new InputException(
                $"{target.Path}: rank {target.Rank} is more than its weight can have, {q.shape[1]}. Lower the " +
                "rank, or give this module its own in rank_pattern.");
        return new LoraPair(r.narrow(0, 0, target.Rank), q.narrow(1, 0, target.Rank));
    });
}
