using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Qwen3's mixtures of experts: Qwen3's attention; every layer has experts except those that the config keeps
/// plain (arXiv 2505.09388).</summary>
internal sealed class Qwen3Moe : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "qwen3_moe";

    /// <inheritdoc/>
    public override string ClassPrefix => "Qwen3Moe";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        bool bias = config.FlagOr("attention_bias", false), slides = config.FlagOr("use_sliding_window", false);
        DecoderShape shape = RotaryFamily.Read(config) with { AttentionBias = bias, OutputBias = bias };
        if (config.FlagOr("output_router_logits", false))
            config.Reject("output_router_logits", "true", "false (the router's own loss is not computed)");
        int experts = config.CountOr(config.Has("num_local_experts") ? "num_local_experts" : "num_experts", 128);
        int active = config.SizeOr("num_experts_per_tok", 8), step = config.PositiveOr("decoder_sparse_step", 1);
        if (active > experts)
            config.Reject("num_experts_per_tok", active, $"at most num_experts ({experts})");
        HashSet<int> plain = [.. config.TokenIds("mlp_only_layers")];
        return shape with
        {
            Windows = RotaryFamily.Windows(config, shape.Layers, slides ? config.PositiveOr("sliding_window", 4096)
                : null, _ => slides),
            Experts = new ExpertShape(
                experts, active, config.SizeOr("moe_intermediate_size", 768), config.FlagOr("norm_topk_prob", false))
            {
                PlainLayers = [
                    .. Enumerable.Range(0, shape.Layers)
                    .Where(layer => plain.Contains(layer) || (layer + 1) % step != 0)],
            },
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        ExpertShape settings = shape.Experts!;
        if (settings.PlainLayers.Contains(layer))
            return RotaryFamily.BuildBlock(weights, shape, layer, normalizesHeads: true);
        string path = $"model.layers.{layer}.mlp";
        DecoderShape expertShape = shape with { IntermediateSize = settings.IntermediateSize };
        Linear router = Linear.Unquantized(weights, path + ".gate", shape.HiddenSize, settings.Count, bias: false);
        IFeedForward[] experts =
            [.. Enumerable.Range(0, settings.Count)
            .Select(number => new GatedFeedForward(weights, $"{path}.experts.{number}", expertShape))];
        return RotaryFamily.BuildBlock(weights, shape, layer, normalizesHeads: true,
            new ExpertsFeedForward(router, experts, settings.Active, settings.NormalizesWeights));
    }
}
