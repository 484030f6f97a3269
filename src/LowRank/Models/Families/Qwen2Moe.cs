using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Qwen1.5-MoE and Qwen2-MoE: Qwen2's attention and a mixture of experts beside one for every position (arXiv
/// 2407.10671).</summary>
internal sealed class Qwen2Moe : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "qwen2_moe";

    /// <inheritdoc/>
    public override string ClassPrefix => "Qwen2Moe";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config) with { AttentionBias = config.FlagOr("qkv_bias", true) };
        double full = config.NumberOr("max_window_layers", 28);
        return shape with
        {
            Windows = RotaryFamily.Windows(
                config, shape.Layers, Qwen2.Window(config), layer => layer % 2 == 0 && layer < full),
            Experts = Qwen3Moe.ReadExperts(config, shape.Layers, "num_experts", count: 60, active: 4, width: 1408) with
            {
                SharedSize = config.SizeOr("shared_expert_intermediate_size", 5632),
            },
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(weights, shape, layer,
            feedForward: Qwen3Moe.BuildExperts(weights, shape, layer));
}
