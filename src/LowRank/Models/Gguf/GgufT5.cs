using LowRank.IO.Gguf;
using LowRank.Models.Families;

namespace LowRank.Models.Gguf;

/// <summary>T5 as llama.cpp names it.</summary>
internal static class GgufT5
{
    private const string Name = "t5";

    /// <summary>The architecture of a T5 model.</summary>
    public static GgufArchitecture From(ConfigReader config)
    {
        EncoderDecoderShape shape = T5.Read(config);
        if (shape.Activation != (shape.IsGated ? "gelu_new" : "relu"))
            config.Reject("feed_forward_proj", $"\"{shape.Activation}\"",
                "relu or gated-gelu, as llama.cpp computes t5");
        if (shape.MaxDistance != 128)
            config.Reject("relative_attention_max_distance", shape.MaxDistance, "128, as llama.cpp computes t5");
        // llama.cpp keeps keys and values for as many layers as the encoder has, and cannot open other files.
        if (shape.DecoderLayers > shape.EncoderLayers)
            config.Reject("num_decoder_layers", shape.DecoderLayers,
                $"at most num_layers, {shape.EncoderLayers}: llama.cpp cannot open deeper decoders");
        return new GgufArchitecture(Name, [.. Weights(shape)])
        {
            Keys = Keys(config, shape),
            EmbeddingName = "shared.weight",
            HeadName = "lm_head.weight",
            TiesHead = true,
            IsIgnorable = name => name is "encoder.embed_tokens.weight" or "decoder.embed_tokens.weight",
            Layers = shape.EncoderLayers,
        };
    }

    private static GgufMetadata Keys(ConfigReader config, EncoderDecoderShape shape)
    {
        static string Key(string end) => $"{Name}.{end}";
        return new GgufMetadata().Set(Key("context_length"), (uint)config.PositiveOr("n_positions", 512))
            .Set(Key("embedding_length"), (uint)shape.HiddenSize)
            .Set(Key("feed_forward_length"), (uint)shape.IntermediateSize)
            .Set(Key("block_count"), (uint)shape.EncoderLayers)
            .Set(Key("decoder_block_count"), (uint)shape.DecoderLayers)
            .Set(Key("attention.head_count"), (uint)shape.Heads)
            .Set(Key("attention.key_length"), (uint)shape.HeadDimension)
            .Set(Key("attention.value_length"), (uint)shape.HeadDimension)
            .Set(Key("attention.layer_norm_epsilon"), (float)shape.NormEpsilon)
            .Set(Key("attention.layer_norm_rms_epsilon"), (float)shape.NormEpsilon)
            .Set(Key("attention.relative_buckets_count"), (uint)shape.DistanceBuckets)
            .Set(Key("decoder_start_token_id"), (uint)shape.StartTokenId);
    }

    private static IEnumerable<GgufWeight> Weights(EncoderDecoderShape shape)
    {
        static GgufWeight One(string to, string from, GgufForm? form = null) =>
            new(to + ".weight", from + ".weight") { Form = form ?? GgufForm.Same };
        yield return One("token_embd", "shared");
        for (int layer = 0; layer < shape.EncoderLayers; layer++)
            foreach (GgufWeight weight in Block("enc", "encoder", layer, shape)) yield return weight;
        yield return One("enc.output_norm", "encoder.final_layer_norm");
        for (int layer = 0; layer < shape.DecoderLayers; layer++)
            foreach (GgufWeight weight in Block("dec", "decoder", layer, shape)) yield return weight;
        // llama.cpp does not scale the states below a head that shares the embedding's weight.
        yield return One("dec.output_norm", "decoder.final_layer_norm", GgufForm.Scaled(shape.OutputScale));
        yield return One("output", "lm_head") with { IsOptional = true };
    }

    private static IEnumerable<GgufWeight> Block(string side, string stack, int layer, EncoderDecoderShape shape)
    {
        string to = $"{side}.blk.{layer}.", from = $"{stack}.block.{layer}.layer.";
        GgufWeight One(string name, string path) => new(to + name + ".weight", from + path + ".weight");
        int last = side == "enc" ? 1 : 2;
        List<GgufWeight> weights = [.. Attention("attn", "0.SelfAttention"), One("attn_norm", "0.layer_norm")];
        if (layer == 0)
            weights.Add(One("attn_rel_b", "0.SelfAttention.relative_attention_bias") with { IsKeptWide = true });
        if (side == "dec")
            weights.AddRange([.. Attention("cross_attn", "1.EncDecAttention"), One("cross_attn_norm", "1.layer_norm")]);
        weights.AddRange(shape.IsGated
            ? [One("ffn_gate", $"{last}.DenseReluDense.wi_0"), One("ffn_up", $"{last}.DenseReluDense.wi_1")]
            : [One("ffn_up", $"{last}.DenseReluDense.wi")]);
        return [.. weights, One("ffn_down", $"{last}.DenseReluDense.wo"), One("ffn_norm", $"{last}.layer_norm")];

        IEnumerable<GgufWeight> Attention(string name, string path) =>
            [One(name + "_q", path + ".q"), One(name + "_k", path + ".k"), One(name + "_v", path + ".v"),
                One(name + "_o", path + ".o")];
    }
}
