using LowRank.IO.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Gguf;

/// <summary>The keys of a decoder in GGUF, and its factors of rotary positions.</summary>
internal static class GgufDecoderKeys
{
    /// <summary>The keys of an architecture.</summary>
    /// <param name="config">The config; collects what llama.cpp cannot do.</param>
    /// <param name="name">The architecture's name.</param>
    /// <param name="shape">The model's sizes.</param>
    public static GgufMetadata Of(ConfigReader config, string name, DecoderShape shape)
    {
        string Key(string end) => $"{name}.{end}";
        GgufMetadata keys = new GgufMetadata()
            .Set(Key("vocab_size"), (uint)shape.VocabularySize)
            .Set(Key("context_length"), (uint)ContextLength(name, shape))
            .Set(Key("embedding_length"), (uint)shape.HiddenSize)
            .Set(Key("block_count"), (uint)shape.Layers)
            .Set(Key("feed_forward_length"), (uint)shape.IntermediateSize)
            .Set(Key("attention.head_count"), (uint)shape.Heads)
            .Set(Key("attention.head_count_kv"), (uint)shape.KeyValueHeads)
            .Set(Key("attention.key_length"), (uint)shape.HeadDimension)
            .Set(Key("attention.value_length"), (uint)shape.HeadDimension)
            .Set(Key(name is "gpt2" or "gptneox" ? "attention.layer_norm_epsilon"
                : "attention.layer_norm_rms_epsilon"), (float)shape.NormEpsilon);
        if (shape.Experts is { } experts)
            keys.Set(Key("expert_count"), (uint)experts.Count).Set(Key("expert_used_count"), (uint)experts.Active)
                .Set(Key("expert_feed_forward_length"), (uint)experts.IntermediateSize);
        if (name == "gptneox") keys.Set(Key("use_parallel_residual"), shape.ParallelResidual);
        if (name is "gemma2" or "gemma3")
        {
            keys.Set(Key("attention.sliding_window"), (uint)(shape.Windows.FirstOrDefault(w => w is not null) ?? 0));
            if (shape.AttentionSoftcap is { } cap) keys.Set(Key("attn_logit_softcapping"), (float)cap);
            if (shape.LogitSoftcap is { } logits) keys.Set(Key("final_logit_softcapping"), (float)logits);
            if (name == "gemma2" && (shape.AttentionSoftcap is null || shape.LogitSoftcap is null))
                config.Reject("attn_logit_softcapping", "null", "numbers for both caps, as llama.cpp computes gemma2");
        }
        // A window of no tokens says that there is none; another number would be ignored.
        if (name == "phi3") keys.Set(Key("attention.sliding_window"), 0u);
        Rotary(config, keys, name, shape);
        return keys;
    }

    /// <summary>What a user should know about a model in llama.cpp.</summary>
    public static IEnumerable<string> Notes(string name, DecoderShape shape)
    {
        if (ContextLength(name, shape) < shape.MaxPositions && name is not ("gemma2" or "gemma3"))
            yield return
                $"llama.cpp's {name} attends to all tokens, the model to the last {ContextLength(name, shape)}: the " +
                "context length is set to that, up to which both compute the same.";
        if (shape.Rope?.Type == "longrope")
            yield return
                "llama.cpp chooses between the two sets of rotary factors by the size of the context that it is " +
                $"started with: start it with at most {shape.Rope.OriginalMaxPositions} for texts up to that length.";
    }

    /// <summary>Tensors with factors of the rotary frequencies.</summary>
    public static IEnumerable<(string Name, float[] Values)> RotaryFactors(string name, DecoderShape shape)
    {
        if (shape.Rope is not { } rope) yield break;
        if (rope.Type == "llama3") yield return ("rope_freqs.weight", Llama3Factors(rope));
        if (rope.Type != "longrope" || name != "phi3") yield break;
        yield return ("rope_factors_long.weight", [.. rope.LongFactors.Select(factor => (float)factor)]);
        yield return ("rope_factors_short.weight", [.. rope.ShortFactors.Select(factor => (float)factor)]);
    }

    // llama.cpp's own windows are those of Gemma alone.
    private static int ContextLength(string name, DecoderShape shape) => name is "gemma2" or "gemma3"
        ? shape.MaxPositions
        : Math.Min(shape.MaxPositions, shape.Windows.Where(window => window is not null).Min() ?? int.MaxValue);

    private static void Rotary(ConfigReader config, GgufMetadata keys, string name, DecoderShape shape)
    {
        if (shape.Rope is not { } rope) return;
        string Key(string end) => $"{name}.rope.{end}";
        keys.Set(Key("dimension_count"), (uint)rope.Dimension).Set(Key("freq_base"), (float)rope.Theta);
        if (shape.LocalRope is { } local) keys.Set(Key("freq_base_swa"), (float)local.Theta);
        bool isKnown = rope.Type switch
        {
            "default" => true,
            "linear" => Scaled("linear"),
            "yarn" => Scaled("yarn") && Yarn(),
            "llama3" => name == "llama",
            "longrope" => name == "phi3" && LongRope(),
            _ => false,
        };
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
            return rope is { Truncate: true, AttentionFactor: null, MScale: null };
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
