using LowRank.IO.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Gguf;

/// <summary>The keys of a decoder in GGUF, and its factors of rotary positions.</summary>
internal static class GgufDecoderKeys
{
    /// <summary>The keys of an architecture.</summary>
    /// <param name="config">The config; collects what llama.cpp cannot do.</param>
    /// <param name="kind">The architecture.</param>
    /// <param name="shape">The model's sizes.</param>
    public static GgufMetadata Of(ConfigReader config, GgufDecoder kind, DecoderShape shape)
    {
        string name = kind.Name;
        string Key(string end) => $"{name}.{end}";
        GgufMetadata keys = new GgufMetadata()
            .Set(Key("vocab_size"), (uint)shape.VocabularySize)
            .Set(Key("context_length"), (uint)ContextLength(kind, shape))
            .Set(Key("embedding_length"), (uint)shape.HiddenSize)
            .Set(Key("block_count"), (uint)shape.Layers)
            .Set(Key("feed_forward_length"), (uint)shape.IntermediateSize)
            .Set(Key("attention.head_count"), (uint)shape.Heads)
            .Set(Key("attention.head_count_kv"), (uint)shape.KeyValueHeads)
            .Set(Key("attention.key_length"), (uint)shape.HeadDimension)
            .Set(Key("attention.value_length"), (uint)shape.HeadDimension)
            .Set(Key(kind.HasLayerNorms ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"),
                (float)shape.NormEpsilon);
        if (shape.Experts is { } experts)
            keys.Set(Key("expert_count"), (uint)experts.Count).Set(Key("expert_used_count"), (uint)experts.Active)
                .Set(Key("expert_feed_forward_length"), (uint)experts.IntermediateSize)
                .Set(Key("expert_shared_feed_forward_length"), (uint?)experts.SharedSize);
        if (name is "gptneox" or "stablelm") keys.Set(Key("use_parallel_residual"), shape.ParallelResidual);
        if (kind.WindowPeriod > 0)
            keys.Set(Key("attention.sliding_window"), (uint)(shape.Windows.FirstOrDefault(w => w is not null) ?? 0));
        if (name == "granite")
            keys.Set(Key("embedding_scale"), (float)shape.EmbeddingScale)
                .Set(Key("attention.scale"), (float?)shape.AttentionScale)
                .Set(Key("residual_scale"), (float)shape.ResidualScale)
                .Set(Key("logit_scale"), (float)(1 / shape.LogitScale)); // by which llama.cpp divides
        if (name == "cohere2") keys.Set(Key("logit_scale"), (float)shape.LogitScale);
        if (name is "gemma2" or "gemma3")
        {
            if (shape.AttentionSoftcap is { } cap) keys.Set(Key("attn_logit_softcapping"), (float)cap);
            if (shape.LogitSoftcap is { } logits) keys.Set(Key("final_logit_softcapping"), (float)logits);
            if (name == "gemma2" && (shape.AttentionSoftcap is null || shape.LogitSoftcap is null))
                config.Reject("attn_logit_softcapping", "null", "numbers for both caps, as llama.cpp computes gemma2");
        }
        // A window of no tokens says that there is none; another number would be ignored.
        if (name == "phi3") keys.Set(Key("attention.sliding_window"), 0u);
        Rotary(config, keys, kind, shape);
        return keys;
    }

    /// <summary>What a user should know about a model in llama.cpp.</summary>
    public static IEnumerable<string> Notes(GgufDecoder kind, DecoderShape shape)
    {
        if (ContextLength(kind, shape) < shape.MaxPositions)
            yield return
                $"llama.cpp's {kind.Name} attends to all tokens, the model to the last " +
                $"{ContextLength(kind, shape)}: the context length is set to that, up to which both compute the same.";
        if (shape.Rope?.Type == "longrope")
            yield return
                "llama.cpp chooses between the two sets of rotary factors by the size of the context that it is " +
                $"started with: start it with at most {shape.Rope.OriginalMaxPositions} for texts up to that length.";
    }

    /// <summary>Tensors with factors of the rotary frequencies.</summary>
    public static IEnumerable<(string Name, float[] Values)> RotaryFactors(GgufDecoder kind, DecoderShape shape)
    {
        if (shape.Rope is not { } rope) yield break;
        if (rope.Type == "llama3") yield return ("rope_freqs.weight", Llama3Factors(rope));
        if (rope.Type != "longrope" || kind.Name != "phi3") yield break;
        yield return ("rope_factors_long.weight", [.. rope.LongFactors.Select(factor => (float)factor)]);
        yield return ("rope_factors_short.weight", [.. rope.ShortFactors.Select(factor => (float)factor)]);
    }

    // Windows that llama.cpp does not know end the context.
    private static int ContextLength(GgufDecoder kind, DecoderShape shape) => kind.WindowPeriod > 0
        ? shape.MaxPositions
        : Math.Min(shape.MaxPositions, shape.Windows.Where(window => window is not null).Min() ?? int.MaxValue);

    private static void Rotary(ConfigReader config, GgufMetadata keys, GgufDecoder kind, DecoderShape shape)
    {
        if (shape.Rope is not { } rope) return;
        string name = kind.Name;
        string Key(string end) => $"{name}.rope.{end}";
        keys.Set(Key("dimension_count"), (uint)rope.Dimension).Set(Key("freq_base"), (float)rope.Theta);
        if (shape.LocalRope is { } local) keys.Set(Key("freq_base_swa"), (float)local.Theta);
        bool isKnown = rope.Type switch
        {
            "default" => true,
            "linear" => Scaled("linear"),
            "yarn" => Scaled("yarn") && Yarn(),
            "llama3" => kind.TakesRotaryFactors,
            "longrope" => name == "phi3" && LongRope(),
            _ => false,
        };
        if (rope.QueryScaleBeta != 0 && rope.Type != "yarn") isKnown = false;
        if (!isKnown || (name == "gemma3" && rope.Type is not ("default" or "linear")))
            config.Reject("rope_scaling.rope_type", $"\"{rope.Type}\"",
                $"a scaling that llama.cpp computes in {name}");

        bool Scaled(string type)
        {
            keys.Set(Key("scaling.type"), type).Set(Key("scaling.factor"), (float)rope.Factor);
            return true;
        }

        bool Yarn()
        {
            keys.Set(Key("scaling.original_context_length"), (uint)rope.OriginalMaxPositions)
                .Set(Key("scaling.yarn_beta_fast"), (float)rope.BetaFast)
                .Set(Key("scaling.yarn_beta_slow"), (float)rope.BetaSlow);
            if (name != "mistral3") return rope is { Truncate: true, AttentionFactor: null, MScale: null };
            keys.Set(Key("scaling.yarn_log_multiplier"), (float?)rope.MScaleAllDimensions)
                .Set("mistral3.attention.temperature_scale", (float)rope.QueryScaleBeta);
            return rope is { Truncate: true, AttentionFactor: null } && rope.MScale == rope.MScaleAllDimensions;
        }

        bool LongRope()
        {
            double factor = rope.AttentionFactor ?? (rope.Factor <= 1 ? 1
                : Math.Sqrt(1 + Math.Log(rope.Factor) / Math.Log(rope.OriginalMaxPositions)));
            keys.Set(Key("scaling.original_context_length"), (uint)rope.OriginalMaxPositions)
                .Set(Key("scaling.attn_factor"), (float)factor);
            return true;
        }
    }

    // By how much each frequency is divided, from the frequencies that this library computes with.
    internal static float[] Llama3Factors(RopeSettings rope)
    {
        using var scope = NewDisposeScope();
        Tensor scaled = RotaryEmbedding.InverseFrequencies(rope),
            plain = RotaryEmbedding.InverseFrequencies(rope with { Type = "default" });
        return [.. (plain / scaled).data<float>()];
    }
}
