using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora;

/// <summary>Makes a save right on the untouched base where pairs began as a part of it (PiSSA, OLoRA, CorDA, LoRA-GA).</summary>
/// <remarks>The change of the base is s·(B·A − B₀·A₀), a pair of twice the rank: A' = [A; A₀], B' = [B, −B₀], with the scale
/// kept by twice the alpha (√2 times with rsLoRA). PEFT calls it path_initial_model_for_weight_conversion.</remarks>
internal static class LoraConversion
{
    public static AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts)
    {
        if (!parts.OfType<AdaptedModule>().Any(module => module.Layer is LoraLayer { Taken: not null }))
            return new AdapterExport(config, [.. parts.SelectMany(part => part.Weights)]);
        using var noGradient = no_grad();
        IEnumerable<KeyValuePair<string, Tensor>> weights = parts.SelectMany(part => part is AdaptedModule { Layer: LoraLayer { Taken: { } taken } layer }
            ? part.Weights.Select(weight => KeyValuePair.Create(weight.Key, Doubled(weight.Value, layer, taken)))
            : part.Weights);
        return new AdapterExport(Doubled(config), [.. weights]);
    }

    private static Tensor Doubled(Tensor weight, LoraLayer layer, (Tensor A, Tensor B) taken) =>
        ReferenceEquals(weight, layer.A) ? cat([weight.detach(), taken.A], 0)
        : ReferenceEquals(weight, layer.B) ? cat([weight.detach(), taken.B.neg()], 1) : weight;

    private static LoraConfig Doubled(LoraConfig config)
    {
        ConfigNumber Alpha(ConfigNumber alpha) => config.UseRankStabilizedScale ? ConfigNumber.FromDouble(alpha.Value * Math.Sqrt(2))
            : alpha.IsInteger ? ConfigNumber.FromInt32((int)alpha.Value * 2) : ConfigNumber.FromDouble(alpha.Value * 2);
        return config with
        {
            Rank = config.Rank * 2,
            Alpha = Alpha(config.Alpha),
            RankPattern = new OrderedDictionary<string, int>(config.RankPattern.Select(rank => KeyValuePair.Create(rank.Key, rank.Value * 2))),
            AlphaPattern = new OrderedDictionary<string, ConfigNumber>(config.AlphaPattern.Select(alpha => KeyValuePair.Create(alpha.Key, Alpha(alpha.Value)))),
            InitialWeights = InitialWeights.True,
        };
    }
}
