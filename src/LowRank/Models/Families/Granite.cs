using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Granite 3: Llama with factors of the embeddings, the scores, the residual stream and the logits (Power
/// scheduler, arXiv 2408.13359).</summary>
internal sealed class Granite : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "granite";

    /// <inheritdoc/>
    public override string ClassPrefix => "Granite";

    /// <inheritdoc/>
    public override IReadOnlyList<HeadKind> Heads => [HeadKind.LanguageModel, HeadKind.None];

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        DecoderShape shape = Llama.ReadBiased(config);
        return shape with
        {
            EmbeddingScale = Factor(config, "embedding_multiplier"),
            ScalesPrompt = true,
            AttentionScale = Factor(config, "attention_multiplier"),
            ResidualScale = Factor(config, "residual_multiplier"),
            LogitScale = 1 / Factor(config, "logits_scaling"),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(weights, shape, layer);

    private static double Factor(ConfigReader config, string key)
    {
        double factor = config.NumberOr(key, 1);
        if (factor > 0) return factor;
        config.Reject(key, factor, "a number above zero");
        return 1;
    }
}
