using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA whose A and B both start random but in complementary directions, so their product is zero.</summary>
internal sealed record OrthogonalMethod : IAdapterMethod
{
    public string Name => "orthogonal";

    public string Title => "LoRA, orthogonal start";

    public string Paper => "datta0.github.io/posts/rethink-lora-init";

    public string Summary =>
        "LoRA whose A and B both start random but in complementary directions, so their product is zero.";

    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { InitLoraWeights = InitialWeights.Orthogonal };

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoraConfig { UseDora: false, InitLoraWeights.Name: "orthogonal" } ? this : null;
}

/// <summary>Orthogonal: A and B are random but use complementary halves of an orthogonal basis of the rank, so that B·A
/// starts at zero although neither is zero.</summary>
/// <remarks>datta0.github.io/posts/rethink-lora-init; as in PEFT, with values scaled by 0.1.</remarks>
internal sealed class OrthogonalInitializer : ILoraInitializer
{
    public string Name => "orthogonal";

    public IEnumerable<string> Problems(LoraConfig config)
    {
        if (config.Rank % 2 != 0)
            yield return $"init_lora_weights: \"orthogonal\" needs an even rank, found {config.Rank}";
        foreach ((string key, int rank) in config.RankPattern)
            if (rank % 2 != 0)
                yield return $"rank_pattern[\"{key}\"]: init_lora_weights \"orthogonal\" needs an even rank, found " +
                    $"{rank}";
    }

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build) =>
        LoraPair.ForEach(build, (layer, target) =>
    {
        (Tensor basis, _) = linalg.qr(Normal(build, target.Rank, target.Rank));
        // [rank / 2, rank]
        Tensor odd = basis.index_select(0, Indices(0, target.Rank, step: 2)),
            even = basis.index_select(0, Indices(1, target.Rank, step: 2));
        Tensor a = matmul(Normal(build, layer.InputSize, target.Rank / 2), odd).t().contiguous() / Number(10);
        Tensor b = matmul(Normal(build, target.Rank / 2, layer.OutputSize).t(), even) / Number(10);
        return new LoraPair(a, b);
    });

    private static Tensor Normal(AdapterBuild build, long rows, long columns) =>
        empty(rows, columns).normal_(0, 1, build.Random);
}
