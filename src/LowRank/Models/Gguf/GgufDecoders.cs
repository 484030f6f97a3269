using LowRank.IO.Gguf;

namespace LowRank.Models.Gguf;

/// <summary>Decoders as llama.cpp names them.</summary>
internal static class GgufDecoders
{
    private static readonly Dictionary<string, string> Architectures = new(StringComparer.Ordinal)
    {
        ["llama"] = "llama", ["mistral"] = "llama", ["mixtral"] = "llama", ["qwen2"] = "qwen2", ["qwen3"] = "qwen3",
        ["qwen3_moe"] = "qwen3moe", ["gemma2"] = "gemma2", ["gemma3_text"] = "gemma3", ["phi3"] = "phi3",
        ["gpt2"] = "gpt2", ["gpt_neox"] = "gptneox",
    };

    /// <summary>The values of <c>model_type</c>.</summary>
    public static IEnumerable<string> Known => Architectures.Keys;

    /// <summary>The architecture of a decoder; null if llama.cpp does not know its family.</summary>
    public static GgufArchitecture? From(ConfigReader config, DecoderFamily family)
    {
        if (!Architectures.TryGetValue(family.ModelType, out string? name)) return null;
        DecoderShape shape = family.Read(config);
        Require(config, shape, name);
        return new GgufArchitecture(name, [.. Weights(name, family, shape)])
        {
            Keys = GgufDecoderKeys.Of(config, name, shape),
            Extra = [.. GgufDecoderKeys.RotaryFactors(name, shape)],
            BasePrefix = family.BasePrefix,
            EmbeddingName = family.EmbeddingPath + ".weight",
            HeadName = family.HeadPath + ".weight",
            TiesHead = shape.TieHead,
            HasHead = name is not ("gemma2" or "gemma3"),
            RepeatsTiedHead = name == "gptneox",
            IsIgnorable = family.IsIgnorable,
            Layers = shape.Layers,
            Notes = [.. GgufDecoderKeys.Notes(name, shape)],
            Experts = shape.Experts?.Count ?? 0,
        };
    }

    // What llama.cpp would compute otherwise than the config says, without a word.
    private static void Require(ConfigReader config, DecoderShape shape, string name)
    {
        if (shape.AttendsBothWays)
            config.Reject("is_causal", "false", "true: llama.cpp's architecture sees earlier tokens alone");
        bool isGelu = name is "gpt2" or "gptneox" or "gemma2" or "gemma3";
        if (isGelu != shape.Activation.Contains("gelu", StringComparison.Ordinal)
            || (!isGelu && shape.Activation is not ("silu" or "swish")))
            config.Reject("hidden_act", $"\"{shape.Activation}\"", $"what llama.cpp computes in {name}: " +
                (isGelu ? "gelu_new or gelu" : "silu"));
        if (shape.Experts is { PlainLayers.Count: > 0 })
            config.Reject("mlp_only_layers", $"{shape.Experts.PlainLayers.Count} layers",
                "none: llama.cpp's architecture has experts in every layer");
        if (shape.Experts is { NormalizesWeights: false } && name == "qwen3moe")
            config.Reject("norm_topk_prob", "false", "true: llama.cpp scales the chosen experts' weights to sum to 1");
        if (shape.OutputBias && name is "qwen3" or "qwen3moe" or "gemma2" or "gemma3")
            config.Reject("attention_bias", "true", $"false: llama.cpp's {name} has no biases");
        if (name is "gemma2" or "gemma3") RequireGemma(config, shape, name);
    }

    // Which layers attend in a window, and the scale of scores, are written in llama.cpp's code.
    private static void RequireGemma(ConfigReader config, DecoderShape shape, string name)
    {
        int period = name == "gemma2" ? 2 : 6;
        for (int layer = 0; layer < shape.Layers; layer++)
            if (shape.Windows[layer] is null != (layer % period == period - 1))
            {
                config.Reject("layer_types", $"another pattern, from layer {layer} on",
                    $"full attention in every layer whose number plus one is a multiple of {period}");
                break;
            }
        double largest = name == "gemma2" ? 46 : 62, width = shape.Layers == largest
            ? (double)shape.HiddenSize / shape.Heads : shape.HeadDimension;
        if (shape.AttentionScale is { } scale && Math.Abs(scale * Math.Sqrt(width) - 1) > 1e-6)
            config.Reject("query_pre_attn_scalar", 1 / (scale * scale),
                $"{width}: llama.cpp derives the scale of this architecture from the width of a head");
    }

    private static IEnumerable<GgufWeight> Weights(string name, DecoderFamily family, DecoderShape shape)
    {
        yield return new GgufWeight("token_embd.weight", family.EmbeddingPath + ".weight");
        if (family.PositionEmbeddingPath is { } positions)
            yield return new GgufWeight("position_embd.weight", positions + ".weight") { IsKeptWide = true };
        for (int layer = 0; layer < shape.Layers; layer++)
            foreach (GgufWeight weight in name switch
            {
                "gpt2" => Gpt2Layer(layer),
                "gptneox" => NeoXLayer(layer, shape),
                "phi3" => Phi3Layer(layer),
                _ => LlamaLayer(name, layer, shape),
            }) yield return weight;
        string final = name switch { "gpt2" => "transformer.ln_f", "gptneox" => "gpt_neox.final_layer_norm",
            _ => "model.norm" };
        foreach (GgufWeight norm in Both("output_norm", final, FormOfNorms(name))) yield return norm;
        yield return new GgufWeight("output.weight", family.HeadPath + ".weight") { IsOptional = true };
    }

    private static IEnumerable<GgufWeight> LlamaLayer(string name, int layer, DecoderShape shape)
    {
        string from = $"model.layers.{layer}.", to = $"blk.{layer}.";
        GgufForm norms = FormOfNorms(name),
            queries = name == "llama" ? GgufForm.Interleaved(shape.Heads) : GgufForm.Same,
            keys = name == "llama" ? GgufForm.Interleaved(shape.KeyValueHeads) : GgufForm.Same;
        bool isSandwich = name is "gemma2" or "gemma3";
        return
        [
            .. Both(to + "attn_norm", from + "input_layernorm", norms),
            .. Both(to + "attn_q", from + "self_attn.q_proj", queries),
            .. Both(to + "attn_k", from + "self_attn.k_proj", keys),
            .. Both(to + "attn_v", from + "self_attn.v_proj"),
            .. Both(to + "attn_output", from + "self_attn.o_proj"),
            .. Only(name is "qwen3" or "qwen3moe" or "gemma3", to + "attn_q_norm", from + "self_attn.q_norm", norms),
            .. Only(name is "qwen3" or "qwen3moe" or "gemma3", to + "attn_k_norm", from + "self_attn.k_norm", norms),
            .. isSandwich ? Both(to + "post_attention_norm", from + "post_attention_layernorm", norms) : [],
            .. Both(to + "ffn_norm", from + (isSandwich ? "pre_feedforward_layernorm" : "post_attention_layernorm"),
                norms),
            .. shape.Experts is { } experts ? Experts(name, from, to, experts.Count)
                : [
                    .. Both(to + "ffn_gate", from + "mlp.gate_proj"), .. Both(to + "ffn_up", from + "mlp.up_proj"),
                    .. Both(to + "ffn_down", from + "mlp.down_proj"),
                ],
            .. isSandwich ? Both(to + "post_ffw_norm", from + "post_feedforward_layernorm", norms) : [],
        ];
    }

    private static IEnumerable<GgufWeight> Experts(string name, string from, string to, int count)
    {
        string block = from + (name == "llama" ? "block_sparse_moe." : "mlp.");
        (string gate, string up, string down) = name == "llama" ? ("w1", "w3", "w2")
            : ("gate_proj", "up_proj", "down_proj");
        string[] All(string part) =>
            [.. Enumerable.Range(0, count).Select(expert => $"{block}experts.{expert}.{part}.weight")];
        return
        [
            new GgufWeight(to + "ffn_gate_inp.weight", block + "gate.weight") { IsKeptWide = true },
            new GgufWeight(to + "ffn_gate_exps.weight", All(gate)), new GgufWeight(to + "ffn_up_exps.weight", All(up)),
            new GgufWeight(to + "ffn_down_exps.weight", All(down)),
        ];
    }

    private static IEnumerable<GgufWeight> Phi3Layer(int layer)
    {
        string from = $"model.layers.{layer}.", to = $"blk.{layer}.";
        return
        [
            .. Both(to + "attn_norm", from + "input_layernorm"), .. Both(to + "attn_qkv", from + "self_attn.qkv_proj"),
            .. Both(to + "attn_output", from + "self_attn.o_proj"),
            .. Both(to + "ffn_norm", from + "post_attention_layernorm"),
            .. Both(to + "ffn_up", from + "mlp.gate_up_proj"), .. Both(to + "ffn_down", from + "mlp.down_proj"),
        ];
    }

    private static IEnumerable<GgufWeight> Gpt2Layer(int layer)
    {
        string from = $"transformer.h.{layer}.", to = $"blk.{layer}.";
        IEnumerable<GgufWeight> Product(string name, string path) =>
            [
                new GgufWeight(to + name + ".weight", from + path + ".weight") { Form = GgufForm.Transposed },
                Bias(to + name, from + path),
            ];
        return
        [
            .. Both(to + "attn_norm", from + "ln_1"), .. Product("attn_qkv", "attn.c_attn"),
            .. Product("attn_output", "attn.c_proj"), .. Both(to + "ffn_norm", from + "ln_2"),
            .. Product("ffn_up", "mlp.c_fc"), .. Product("ffn_down", "mlp.c_proj"),
        ];
    }

    private static IEnumerable<GgufWeight> NeoXLayer(int layer, DecoderShape shape)
    {
        string from = $"gpt_neox.layers.{layer}.", to = $"blk.{layer}.";
        return
        [
            .. Both(to + "attn_norm", from + "input_layernorm"),
            .. Both(to + "attn_qkv", from + "attention.query_key_value", GgufForm.Regrouped(shape.Heads)),
            .. Both(to + "attn_output", from + "attention.dense"),
            .. Both(to + "ffn_norm", from + "post_attention_layernorm"),
            .. Both(to + "ffn_up", from + "mlp.dense_h_to_4h"), .. Both(to + "ffn_down", from + "mlp.dense_4h_to_h"),
        ];
    }

    private static GgufForm FormOfNorms(string name) =>
        name is "gemma2" or "gemma3" ? GgufForm.PlusOne : GgufForm.Same;

    private static IEnumerable<GgufWeight> Only(bool has, string to, string from, GgufForm form) =>
        has ? [new GgufWeight(to + ".weight", from + ".weight") { Form = form }] : [];

    /// <summary>A weight and the bias that may stand beside it.</summary>
    internal static IEnumerable<GgufWeight> Both(string to, string from, GgufForm? form = null) =>
        [new GgufWeight(to + ".weight", from + ".weight") { Form = form ?? GgufForm.Same }, Bias(to, from, form)];

    private static GgufWeight Bias(string to, string from, GgufForm? form = null) =>
        new(to + ".bias", from + ".bias") { Form = form ?? GgufForm.Same, IsOptional = true };
}
