using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>T5, T5 1.1 and Flan-T5: an encoder and a decoder with relative positions (arXiv 1910.10683,
/// 2210.11416).</summary>
internal sealed class T5 : IModelFamily
{
    /// <inheritdoc/>
    public string ModelType => "t5";

    /// <inheritdoc/>
    public string BasePrefix => "";

    /// <inheritdoc/>
    public HeadKind DefaultHead => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public IReadOnlyList<HeadKind> Heads { get; } = [HeadKind.LanguageModel];

    /// <inheritdoc/>
    public string ClassName(HeadKind head) => "T5ForConditionalGeneration";

    /// <summary>Reads the sizes; the reader collects problems.</summary>
    public static EncoderDecoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("d_model"), layers = config.Layers("num_layers");
        string projection = config.TextOr("feed_forward_proj", "relu");
        bool gated = projection.StartsWith("gated-", StringComparison.Ordinal);
        string activation = gated ? projection["gated-".Length..] : projection;
        // transformers uses the tanh form for exactly this name.
        if (projection == "gated-gelu") activation = "gelu_new";
        int heads = config.Positive("num_heads"), dimension = config.Positive("d_kv");
        if ((long)heads * dimension > ConfigReader.LargestSize)
            config.Reject(
                "d_kv", dimension,
                $"at most {ConfigReader.LargestSize} values in all {heads} heads (num_heads)");
        if (!Activation.Names.Contains(activation))
            config.Reject(
                "feed_forward_proj", $"\"{projection}\"",
                $"gated- and one of, or one of: {string.Join(", ", Activation.Names)}");
        if (!config.FlagOr("is_causal", true)) config.Reject("is_causal", "false", "true: a target text is continued");
        bool scales = config.FlagOr("scale_decoder_outputs", config.FlagOr("tie_word_embeddings", true));
        return new EncoderDecoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            EncoderLayers = layers,
            DecoderLayers = config.Has("num_decoder_layers") ? config.Layers("num_decoder_layers") : layers,
            Heads = heads,
            HeadDimension = dimension,
            IntermediateSize = config.Positive("d_ff"),
            IsGated = gated,
            Activation = Activation.Names.Contains(activation) ? activation : "relu",
            DistanceBuckets = config.SizeOr("relative_attention_num_buckets", 32),
            MaxDistance = config.PositiveOr("relative_attention_max_distance", 128),
            NormEpsilon = config.ShareOr("layer_norm_epsilon", 1e-6),
            OutputScale = scales ? 1 / Math.Sqrt(hidden) : 1,
            StartTokenId = config.TokenOr("decoder_start_token_id", config.TokenOr("pad_token_id", 0)),
            Dropout = config.ShareOr("dropout_rate", 0.1),
        };
    }

    INetwork IModelFamily.Build(
        ConfigReader config, IWeightSource source, TorchSharp.torch.Device device, bool trainable, HeadRequest head) =>
        EncoderDecoder.Build(this, config, Read(config), source, device, trainable);
}
