using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Mixtral: Llama's attention with a mixture of experts in each layer (arXiv 2401.04088).</summary>
internal sealed class Mixtral : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "mixtral";

    /// <inheritdoc/>
    public override string ClassPrefix => "Mixtral";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = RotaryFamily.Read(config, rope: new RopeDefaults(Theta: 1_000_000));
        if (config.FlagOr("output_router_logits", false))
            config.Reject("output_router_logits", "true", "false (the router's own loss is not computed)");
        if (config.NumberOr("router_jitter_noise", 0) != 0)
            config.Reject("router_jitter_noise", config.NumberOr("router_jitter_noise", 0), "0");
        int? window = config.Has("sliding_window") ? config.PositiveOr("sliding_window", 4096) : null;
        int experts = config.CountOr("num_local_experts", 8), active = config.SizeOr("num_experts_per_tok", 2);
        if (active > experts)
            config.Reject("num_experts_per_tok", active, $"at most num_local_experts ({experts})");
        return shape with
        {
            NormEpsilon = config.ShareOr("rms_norm_eps", 1e-5),
            Windows = RotaryFamily.Windows(config, shape.Layers, window, _ => true),
            Experts = new ExpertShape(experts, active, shape.IntermediateSize, NormalizesWeights: true),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}.block_sparse_moe";
        int hidden = shape.HiddenSize, width = shape.Experts!.IntermediateSize;
        Linear router = Linear.Unquantized(weights, path + ".gate", hidden, shape.Experts.Count, bias: false);
        IFeedForward[] experts =
            [.. Enumerable.Range(0, shape.Experts.Count).Select(number => $"{path}.experts.{number}")
            .Select(expert => new GatedFeedForward(
            Linear.Load(weights, expert + ".w1", hidden, width, bias: false),
            Linear.Load(weights, expert + ".w3", hidden, width, bias: false),
            Linear.Load(weights, expert + ".w2", width, hidden, bias: false), shape.Activation))];
        return RotaryFamily.BuildBlock(weights, shape, layer,
            feedForward: new ExpertsFeedForward(
                router, experts, shape.Experts.Active, shape.Experts.NormalizesWeights));
    }
}
