using LowRank.IO.Gguf;
using LowRank.Models.Families;

namespace LowRank.Models.Gguf;

/// <summary>Encoders as llama.cpp names them. It computes their states, for embeddings, and the scores of labels of
/// whole texts (<see cref="GgufClassifier"/>); other heads are left out.</summary>
internal static class GgufEncoders
{
    /// <summary>The values of <c>model_type</c>.</summary>
    public static IEnumerable<string> Known { get; } = ["bert", "distilbert", "roberta", "xlm-roberta", "modernbert"];

    /// <summary>The architecture of an encoder; null if llama.cpp does not know its family.</summary>
    public static GgufArchitecture? From(ConfigReader config, EncoderFamily family)
    {
        if (!Known.Contains(family.ModelType)) return null;
        EncoderShape shape = family.Read(config);
        if (!shape.Activation.Contains("gelu", StringComparison.Ordinal))
            config.Reject("hidden_act", $"\"{shape.Activation}\"", "gelu, as llama.cpp computes these encoders");
        bool isModern = family is ModernBert;
        string name = isModern ? "modern-bert" : "bert";
        GgufMetadata keys = Keys(name, shape);
        if (isModern) AddWindows(config, keys, name, shape);
        IReadOnlyList<GgufWeight> head = GgufClassifier.Add(config, family, shape, keys, name);
        return new GgufArchitecture(name,
            [.. isModern ? ModernWeights(shape) : Weights(family, shape), .. head])
        {
            Keys = keys,
            BasePrefix = family.BasePrefix,
            EmbeddingName = family.EmbeddingPath + ".weight",
            IsIgnorable = family.IsIgnorable,
            Layers = shape.Layers,
            Notes =
            [
                head.Count > 0 ? "llama.cpp scores the labels in place of a pooling (rank): llama-embedding prints " +
                    "all scores, llama-server's /rerank gives the first label's."
                    : "llama.cpp computes the encoder's states, for embeddings: its head is left out.",
            ],
        };
    }

    private static GgufMetadata Keys(string name, EncoderShape shape)
    {
        string Key(string end) => $"{name}.{end}";
        return new GgufMetadata().Set(Key("context_length"), (uint)shape.MaxPositions)
            .Set(Key("embedding_length"), (uint)shape.HiddenSize).Set(Key("block_count"), (uint)shape.Layers)
            .Set(Key("feed_forward_length"), (uint)shape.IntermediateSize)
            .Set(Key("attention.head_count"), (uint)shape.Heads).Set(Key("attention.causal"), false)
            .Set(Key("attention.layer_norm_epsilon"), (float)shape.NormEpsilon);
    }

    private static void AddWindows(ConfigReader config, GgufMetadata keys, string name, EncoderShape shape)
    {
        string Key(string end) => $"{name}.{end}";
        int second = shape.Windows.Skip(1).ToList().FindIndex(window => window is null);
        int every = second < 0 ? shape.Layers : second + 1;
        for (int layer = 0; layer < shape.Layers; layer++)
            if (shape.Windows[layer] is null != (layer % every == 0))
            {
                config.Reject("layer_types", "another pattern", $"full attention in one of every {every} layers");
                break;
            }
        if (shape.AttentionBias || shape.FeedForwardBias || shape.NormBias)
            config.Reject("attention_bias", "true", "false, as llama.cpp computes modern-bert");
        keys.Set(Key("vocab_size"), (uint)shape.VocabularySize)
            .Set(Key("attention.sliding_window"), (uint)(2 * ((shape.Windows.Max() ?? 1) - 1)))
            .Set(Key("attention.sliding_window_pattern"), (uint)every)
            .Set(Key("rope.freq_base"), (float)shape.Rope!.Theta)
            .Set(Key("rope.freq_base_swa"), (float)(shape.LocalRope ?? shape.Rope).Theta)
            .Set(Key("rope.scaling.type"), "none");
    }

    private static IEnumerable<GgufWeight> Weights(EncoderFamily family, EncoderShape shape)
    {
        yield return new GgufWeight("token_embd.weight", family.EmbeddingPath + ".weight");
        yield return new GgufWeight("position_embd.weight", family.PositionEmbeddingPath + ".weight")
        {
            // The first rows stand for the padding token and what comes before it.
            Form = shape.PositionPadding is { } padding ? GgufForm.Without(padding + 1) : GgufForm.Same,
            IsKeptWide = true,
        };
        if (shape.TokenTypes > 0)
            yield return new GgufWeight("token_types.weight", family.TypeEmbeddingPath + ".weight")
            {
                IsKeptWide = true,
            };
        foreach (GgufWeight norm in GgufDecoderWeights.Both("token_embd_norm",
            family.EmbeddingNormPath)) yield return norm;
        bool isDistilled = family is DistilBert;
        (string From, string To)[] names = isDistilled
            ?
            [
                ("attention.q_lin", "attn_q"), ("attention.k_lin", "attn_k"), ("attention.v_lin", "attn_v"),
                ("attention.out_lin", "attn_output"), ("sa_layer_norm", "attn_output_norm"), ("ffn.lin1", "ffn_up"),
                ("ffn.lin2", "ffn_down"), ("output_layer_norm", "layer_output_norm"),
            ]
            :
            [
                ("attention.self.query", "attn_q"), ("attention.self.key", "attn_k"),
                ("attention.self.value", "attn_v"), ("attention.output.dense", "attn_output"),
                ("attention.output.LayerNorm", "attn_output_norm"), ("intermediate.dense", "ffn_up"),
                ("output.dense", "ffn_down"), ("output.LayerNorm", "layer_output_norm"),
            ];
        string block = family.BasePrefix + (isDistilled ? "transformer.layer" : "encoder.layer");
        for (int layer = 0; layer < shape.Layers; layer++)
            foreach ((string from, string to) in names)
                foreach (GgufWeight weight in GgufDecoderWeights.Both($"blk.{layer}.{to}", $"{block}.{layer}.{from}"))
                    yield return weight;
    }

    private static IEnumerable<GgufWeight> ModernWeights(EncoderShape shape)
    {
        static GgufWeight One(string to, string from) => new(to + ".weight", from + ".weight");
        yield return One("token_embd", "model.embeddings.tok_embeddings");
        yield return One("token_embd_norm", "model.embeddings.norm");
        for (int layer = 0; layer < shape.Layers; layer++)
        {
            string to = $"blk.{layer}.", from = $"model.layers.{layer}.";
            if (layer > 0) yield return One(to + "attn_norm", from + "attn_norm");
            yield return One(to + "attn_qkv", from + "attn.Wqkv");
            yield return One(to + "attn_output", from + "attn.Wo");
            yield return One(to + "ffn_norm", from + "mlp_norm");
            yield return One(to + "ffn_up", from + "mlp.Wi");
            yield return One(to + "ffn_down", from + "mlp.Wo");
        }
        yield return One("output_norm", "model.final_norm");
    }
}
