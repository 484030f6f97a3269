using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>The language model of Gemma 3: five layers with a window for each layer without, a separate rotary base for
/// each kind, and queries and keys normalised per head (arXiv 2503.19786).</summary>
internal sealed class Gemma3Text : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "gemma3_text";

    /// <inheritdoc/>
    public override string ClassPrefix => "Gemma3";

    /// <inheritdoc/>
    public override IReadOnlyList<HeadKind> Heads =>
        [HeadKind.LanguageModel, HeadKind.SequenceClassification, HeadKind.None];

    /// <inheritdoc/>
    public override IReadOnlyList<string> BothWaysKeys => [.. base.BothWaysKeys, GemmaLike.BothWays];

    /// <inheritdoc/>
    public override string ClassName(HeadKind head) => head == HeadKind.LanguageModel ? "Gemma3ForCausalLM"
        : "Gemma3Text" + (head == HeadKind.None ? "Model" : "For" + head);

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        var globalRope = new RopeDefaults(Theta: 1_000_000);
        DecoderShape shape = GemmaLike.Read(config, globalRope);
        string pattern = config.Has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
        int every = config.PositiveOr(pattern, 6);
        // present in the configs, but transformers' attention does not apply a cap
        _ = GemmaLike.Cap(config, "attn_logit_softcapping", null);
        bool bothWays = config.FlagOr(GemmaLike.BothWays, false);
        int window = config.PositiveOr("sliding_window", 4096);
        return shape with
        {
            AttentionScale = GemmaLike.Scale(config),
            AttendsBothWays = bothWays,
            LogitSoftcap = GemmaLike.Cap(config, "final_logit_softcapping", null),
            Windows = RotaryFamily.Windows(
                config, shape.Layers, bothWays ? window / 2 + 1 : window, layer => (layer + 1) % every != 0),
            Rope = RopeReader.Read(
                config, "full_attention", shape.HeadDimension, shape.MaxPositions, scales: true, globalRope),
            LocalRope = RopeReader.Read(
                config, "sliding_attention", shape.HeadDimension, shape.MaxPositions, scales: false,
                new RopeDefaults(Theta: 10_000, ThetaKey: "rope_local_base_freq")),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        GemmaLike.BuildBlock(weights, shape, layer, normalizesHeads: true);

    /// <inheritdoc/>
    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        GemmaLike.Norm(weights, "model.norm", shape);
}
