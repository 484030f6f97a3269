using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>GLM-4 of 2025: norms around each part, half of each head rotated in neighbouring pairs, one layer for gate
/// and up (arXiv 2406.12793).</summary>
internal sealed class Glm4 : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "glm4";

    /// <inheritdoc/>
    public override string ClassPrefix => "Glm4";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config) =>
        RotaryFamily.Read(config, headDimension: 128,
            rope: new RopeDefaults(Partial: 0.5, IsPartial: true, IsInterleaved: true)) with
        {
            NormEpsilon = config.ShareOr("rms_norm_eps", 1.5625e-7),
            AttentionBias = config.FlagOr("attention_bias", true),
        };

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        int hidden = shape.HiddenSize;
        RmsNorm Norm(string name) => new(weights, path + name, hidden, shape.NormEpsilon);
        return new SandwichBlock(
            Norm(".input_layernorm"), RotaryFamily.Attention(weights, path + ".self_attn", shape, layer),
            Norm(".post_self_attn_layernorm"), Norm(".post_attention_layernorm"),
            new FusedGatedFeedForward(
                Linear.Load(weights, path + ".mlp.gate_up_proj", hidden, 2 * shape.IntermediateSize, bias: false),
                Linear.Load(weights, path + ".mlp.down_proj", shape.IntermediateSize, hidden, bias: false),
                shape.Activation),
            Norm(".post_mlp_layernorm"));
    }
}
