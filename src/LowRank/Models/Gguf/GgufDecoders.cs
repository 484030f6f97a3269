using LowRank.IO.Gguf;

namespace LowRank.Models.Gguf;

/// <summary>What sets one of llama.cpp's decoders apart.</summary>
/// <param name="Name">The architecture's name.</param>
internal sealed record GgufDecoder(string Name)
{
    /// <summary>Whether it rotates neighbours, so that the rows of queries and keys are arranged for that.</summary>
    public bool Interleaves { get; init; }

    /// <summary>Whether its feed-forward layers compute gelu; silu otherwise.</summary>
    public bool HasGelu { get; init; }

    /// <summary>Whether its norms subtract the mean; RMS norms otherwise.</summary>
    public bool HasLayerNorms { get; init; }

    /// <summary>Whether checkpoints hold the differences of its norms' weights from 1, and GGUF the weights.</summary>
    public bool CountsNormsFromOne { get; init; }

    /// <summary>Whether attention may have biases on all four layers.</summary>
    public bool TakesBiases { get; init; } = true;

    /// <summary>Whether a head of its own is known; otherwise it computes with the embedding's weight.</summary>
    public bool HasHead { get; init; } = true;

    /// <summary>Whether it needs the head's tensor even where it shares the embedding's weight.</summary>
    public bool RepeatsTiedHead { get; init; }

    /// <summary>Every so many-th layer attends to all tokens and the others in a window; 0 if all attend to all
    /// tokens.</summary>
    public int WindowPeriod { get; init; }

    /// <summary>Whether the weights of the chosen experts are scaled to sum to 1; null if that is not said.</summary>
    public bool? NormalizesExperts { get; init; }

    /// <summary>Whether it reads factors of the rotary frequencies, by which Llama 3 scales them.</summary>
    public bool TakesRotaryFactors { get; init; }
}

/// <summary>Decoders as llama.cpp names them.</summary>
internal static class GgufDecoders
{
    private static readonly GgufDecoder
        Llama = new("llama") { Interleaves = true, TakesRotaryFactors = true },
        Olmo = new("olmo2") { TakesBiases = false, RepeatsTiedHead = true, WindowPeriod = 4 };

    private static readonly Dictionary<string, GgufDecoder> Architectures = new(StringComparer.Ordinal)
    {
        ["llama"] = Llama, ["mistral"] = Llama, ["mixtral"] = Llama with { NormalizesExperts = true },
        ["qwen2"] = new("qwen2"), ["qwen3"] = new("qwen3") { TakesBiases = false },
        ["qwen2_moe"] = new("qwen2moe") { RepeatsTiedHead = true, NormalizesExperts = false },
        ["qwen3_moe"] = new("qwen3moe") { TakesBiases = false, NormalizesExperts = true },
        ["gemma"] = Gemma("gemma", period: 0), ["gemma2"] = Gemma("gemma2", period: 2),
        ["gemma3_text"] = Gemma("gemma3", period: 6),
        ["phi"] = new("phi2") { HasGelu = true, HasLayerNorms = true, RepeatsTiedHead = true },
        ["phi3"] = new("phi3"),
        ["gpt2"] = new("gpt2") { HasGelu = true, HasLayerNorms = true },
        ["gpt_neox"] = new("gptneox") { HasGelu = true, HasLayerNorms = true, RepeatsTiedHead = true },
        ["bloom"] = new("bloom") { HasGelu = true, HasLayerNorms = true },
        ["falcon"] = new("falcon") { HasGelu = true, HasLayerNorms = true, TakesBiases = false },
        ["starcoder2"] = new("starcoder2") { HasGelu = true, HasLayerNorms = true },
        ["stablelm"] = new("stablelm") { HasLayerNorms = true, RepeatsTiedHead = true },
        ["granite"] = new("granite") { Interleaves = true, TakesRotaryFactors = true },
        ["smollm3"] = new("smollm3") { Interleaves = true }, ["ministral3"] = new("mistral3") { Interleaves = true },
        ["olmo2"] = Olmo, ["olmo3"] = Olmo, ["glm4"] = new("glm4"),
        ["cohere2"] = new("cohere2") { HasLayerNorms = true, TakesBiases = false, WindowPeriod = 4 },
    };

    /// <summary>The values of <c>model_type</c>.</summary>
    public static IEnumerable<string> Known => Architectures.Keys;

    /// <summary>The architecture of a decoder; null if llama.cpp does not know its family.</summary>
    public static GgufArchitecture? From(ConfigReader config, DecoderFamily family)
    {
        if (!Architectures.TryGetValue(family.ModelType, out GgufDecoder? kind)) return null;
        DecoderShape shape = family.Read(config);
        if (kind == Olmo && shape.Windows.All(window => window is null)) kind = kind with { WindowPeriod = 0 };
        Require(config, shape, kind);
        return new GgufArchitecture(kind.Name, [.. GgufDecoderWeights.Of(kind, family, shape)])
        {
            Keys = GgufDecoderKeys.Of(config, kind, shape),
            Extra = [.. GgufDecoderKeys.RotaryFactors(kind, shape)],
            BasePrefix = family.BasePrefix,
            EmbeddingName = family.EmbeddingPath + ".weight",
            HeadName = family.HeadPath + ".weight",
            TiesHead = shape.TieHead,
            HasHead = kind.HasHead,
            RepeatsTiedHead = kind.RepeatsTiedHead,
            IsIgnorable = family.IsIgnorable,
            Layers = shape.Layers,
            Notes = [.. GgufDecoderKeys.Notes(kind, shape)],
            Experts = shape.Experts?.Count ?? 0,
        };
    }

    private static GgufDecoder Gemma(string name, int period) => new(name)
    {
        HasGelu = true, CountsNormsFromOne = true, TakesBiases = false, HasHead = false, WindowPeriod = period,
    };

    // What llama.cpp would compute otherwise than the config says, without a word.
    private static void Require(ConfigReader config, DecoderShape shape, GgufDecoder kind)
    {
        string name = kind.Name;
        if (shape.AttendsBothWays)
            config.Reject("is_causal", "false", "true: llama.cpp's architecture sees earlier tokens alone");
        if (kind.HasGelu != shape.Activation.Contains("gelu", StringComparison.Ordinal)
            || (!kind.HasGelu && shape.Activation is not ("silu" or "swish")))
            config.Reject("hidden_act", $"\"{shape.Activation}\"", $"what llama.cpp computes in {name}: " +
                (kind.HasGelu ? "gelu_new or gelu" : "silu"));
        if (shape.Experts is { PlainLayers.Count: > 0 })
            config.Reject("mlp_only_layers", $"{shape.Experts.PlainLayers.Count} layers",
                "none: llama.cpp's architecture has experts in every layer");
        if (shape.Experts is { } experts && kind.NormalizesExperts is { } normalizes
            && experts.NormalizesWeights != normalizes)
            config.Reject("norm_topk_prob", normalizes ? "false" : "true", normalizes
                ? "true: llama.cpp scales the chosen experts' weights to sum to 1"
                : "false: llama.cpp leaves the chosen experts' weights as they are");
        if (shape.OutputBias && !kind.TakesBiases)
            config.Reject(name == "falcon" ? "bias" : "attention_bias", "true",
                $"false: llama.cpp's {name} has no biases");
        if (name == "starcoder2" && !shape.OutputBias)
            config.Reject("use_bias", "false", "true: llama.cpp's starcoder2 has biases");
        RequireWindows(config, shape, kind);
        if (name is "gemma" or "gemma2" or "gemma3") RequireGemma(config, shape, name);
        if (name == "falcon") RequireFalcon(config, shape);
        if (name == "phi2" && shape.NormalizesHeads)
            config.Reject("qk_layernorm", "true", "false: llama.cpp's phi2 does not normalise queries and keys");
        if (name is "olmo2" or "cohere2" or "granite" or "phi2" or "stablelm"
            && shape.HeadDimension * shape.Heads != shape.HiddenSize)
            config.Reject("head_dim", shape.HeadDimension,
                $"hidden_size / num_attention_heads, as llama.cpp's {name} has it");
    }

    // Which layers attend in a window, and which do not rotate, is written in llama.cpp's code.
    private static void RequireWindows(ConfigReader config, DecoderShape shape, GgufDecoder kind)
    {
        int period = kind.WindowPeriod;
        for (int layer = 0; period > 0 && layer < shape.Layers; layer++)
            if (shape.Windows[layer] is null != (layer % period == period - 1))
            {
                config.Reject("layer_types", $"another pattern, from layer {layer} on",
                    $"full attention in every layer whose number plus one is a multiple of {period}");
                break;
            }
        if (kind.Name == "smollm3" && Enumerable.Range(0, shape.Layers)
            .Any(layer => shape.UnrotatedLayers.Contains(layer) != (layer % 4 == 3)))
            config.Reject("no_rope_layers", "another pattern",
                "a 0 for every layer whose number plus one is a multiple of 4, as llama.cpp has it");
        if (kind.Name == "olmo2" && period > 0 && shape.Rope?.Type != "default")
            config.Reject("rope_scaling.rope_type", $"\"{shape.Rope?.Type}\"",
                "default: llama.cpp's olmo2 does not scale the positions of layers that attend in a window");
    }

    // The scale of scores is written in llama.cpp's code.
    private static void RequireGemma(ConfigReader config, DecoderShape shape, string name)
    {
        double largest = name == "gemma2" ? 46 : 62, width = shape.Layers == largest && name != "gemma"
            ? (double)shape.HiddenSize / shape.Heads : shape.HeadDimension;
        if (shape.AttentionScale is { } scale && Math.Abs(scale * Math.Sqrt(width) - 1) > 1e-6)
            config.Reject("query_pre_attn_scalar", 1 / (scale * scale),
                $"{width}: llama.cpp derives the scale of this architecture from the width of a head");
    }

    private static void RequireFalcon(ConfigReader config, DecoderShape shape)
    {
        if (shape.Alibi is not null)
            config.Reject("alibi", "true", "false: llama.cpp's falcon rotates queries and keys");
        if (!shape.ParallelResidual)
            config.Reject("parallel_attn", "false", "true: llama.cpp's falcon computes both parts of a block at once");
    }
}
