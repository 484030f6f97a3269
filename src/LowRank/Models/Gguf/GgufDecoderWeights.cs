namespace LowRank.Models.Gguf;

/// <summary>The tensors of llama.cpp's decoders, and where checkpoints have them.</summary>
internal static class GgufDecoderWeights
{
    /// <summary>All tensors, in the order in which they are written.</summary>
    public static IEnumerable<GgufWeight> Of(GgufDecoder kind, DecoderFamily family, DecoderShape shape)
    {
        yield return new GgufWeight("token_embd.weight", family.EmbeddingPath + ".weight");
        if (family.PositionEmbeddingPath is { } positions)
            yield return new GgufWeight("position_embd.weight", positions + ".weight") { IsKeptWide = true };
        if (kind.Name == "bloom")
            foreach (GgufWeight norm in Both("token_embd_norm", "transformer.word_embeddings_layernorm"))
                yield return norm;
        for (int layer = 0; layer < shape.Layers; layer++)
            foreach (GgufWeight weight in kind.Name switch
            {
                "gpt2" => Gpt2Layer(layer),
                "gptneox" => FusedLayer(
                    $"gpt_neox.layers.{layer}.", $"blk.{layer}.", "attention.", Norms(kind, shape), shape),
                "bloom" or "falcon" => FusedLayer(
                    $"transformer.h.{layer}.", $"blk.{layer}.", "self_attention.", Norms(kind, shape), shape),
                _ => Layer(kind, layer, shape),
            }) yield return weight;
        string final = kind.Name switch
        {
            "gpt2" or "bloom" or "falcon" => "transformer.ln_f", "gptneox" => "gpt_neox.final_layer_norm",
            "phi2" => "model.final_layernorm", _ => "model.norm",
        };
        foreach (GgufWeight norm in Both("output_norm", final, FormOfNorms(kind))) yield return norm;
        yield return new GgufWeight("output.weight", family.HeadPath + ".weight") { IsOptional = true };
        if (shape.HeadBias) yield return new GgufWeight("output.bias", family.HeadPath + ".bias");
    }

    /// <summary>A weight and the bias that may stand beside it.</summary>
    internal static IEnumerable<GgufWeight> Both(string to, string from, GgufForm? form = null) =>
        [new GgufWeight(to + ".weight", from + ".weight") { Form = form ?? GgufForm.Same }, Bias(to, from, form)];

    private static GgufWeight Bias(string to, string from, GgufForm? form = null) =>
        new(to + ".bias", from + ".bias") { Form = form ?? GgufForm.Same, IsOptional = true };

    private static GgufForm FormOfNorms(GgufDecoder kind) =>
        kind.CountsNormsFromOne ? GgufForm.PlusOne : GgufForm.Same;

    // The norms of a block that lie between its parts.
    private static (string To, string From)[] Norms(GgufDecoder kind, DecoderShape shape) => kind.Name switch
    {
        "gemma2" or "gemma3" =>
            [
                ("attn_norm", "input_layernorm"), ("post_attention_norm", "post_attention_layernorm"),
                ("ffn_norm", "pre_feedforward_layernorm"), ("post_ffw_norm", "post_feedforward_layernorm"),
            ],
        "glm4" =>
            [
                ("attn_norm", "input_layernorm"), ("post_attention_norm", "post_self_attn_layernorm"),
                ("ffn_norm", "post_attention_layernorm"), ("post_ffw_norm", "post_mlp_layernorm"),
            ],
        "olmo2" =>
            [("post_attention_norm", "post_attention_layernorm"), ("post_ffw_norm", "post_feedforward_layernorm")],
        "falcon" when shape.ParallelNorms == 2 => [("attn_norm", "ln_mlp"), ("attn_norm_2", "ln_attn")],
        "falcon" or "phi2" or "cohere2" => [("attn_norm", "input_layernorm")],
        "stablelm" when shape.ParallelResidual => [("attn_norm", "input_layernorm")],
        _ => [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")],
    };

    // Queries, keys and values in layers of their own, or in Phi-3's one.
    private static IEnumerable<GgufWeight> Layer(GgufDecoder kind, int layer, DecoderShape shape)
    {
        string from = $"model.layers.{layer}.", to = $"blk.{layer}.";
        GgufForm queries = kind.Interleaves ? GgufForm.Interleaved(shape.Heads) : GgufForm.Same,
            keys = kind.Interleaves ? GgufForm.Interleaved(shape.KeyValueHeads) : GgufForm.Same;
        return
        [
            .. Norms(kind, shape).SelectMany(norm => Both(to + norm.To, from + norm.From, FormOfNorms(kind))),
            .. kind.Name == "phi3" ? Both(to + "attn_qkv", from + "self_attn.qkv_proj")
                : [
                    .. Both(to + "attn_q", from + "self_attn.q_proj", queries),
                    .. Both(to + "attn_k", from + "self_attn.k_proj", keys),
                    .. Both(to + "attn_v", from + "self_attn.v_proj"),
                ],
            .. Both(to + "attn_output", from + (kind.Name == "phi2" ? "self_attn.dense" : "self_attn.o_proj")),
            .. HeadNorm(kind, to + "attn_q_norm", from + "self_attn.q_", shape, shape.Heads),
            .. HeadNorm(kind, to + "attn_k_norm", from + "self_attn.k_", shape, shape.KeyValueHeads),
            .. shape.Experts is { } experts ? Experts(kind, from, to, experts)
                : FeedForward(kind, from + "mlp.", to),
        ];
    }

    // StableLM has a norm for each head, which GGUF stacks; the others have one for all.
    private static IEnumerable<GgufWeight> HeadNorm(
        GgufDecoder kind, string to, string from, DecoderShape shape, int heads) => kind.Name switch
    {
        "qwen3" or "qwen3moe" or "gemma3" or "olmo2" =>
            [new GgufWeight(to + ".weight", from + "norm.weight") { Form = FormOfNorms(kind) }],
        "stablelm" when shape.NormalizesHeads =>
            [new GgufWeight(to + ".weight",
                [.. Enumerable.Range(0, heads).Select(head => $"{from}layernorm.norms.{head}.weight")])],
        _ => [],
    };

    private static IEnumerable<GgufWeight> FeedForward(GgufDecoder kind, string from, string to)
    {
        (string? gate, string up, string down) = kind.Name switch
        {
            "phi2" => (null, "fc1", "fc2"),
            "starcoder2" => (null, "c_fc", "c_proj"),
            "phi3" or "glm4" => (null, "gate_up_proj", "down_proj"),
            _ => ((string?)"gate_proj", "up_proj", "down_proj"),
        };
        return
        [
            .. gate is null ? [] : Both(to + "ffn_gate", from + gate), .. Both(to + "ffn_up", from + up),
            .. Both(to + "ffn_down", from + down),
        ];
    }

    private static IEnumerable<GgufWeight> Experts(GgufDecoder kind, string from, string to, ExpertShape experts)
    {
        bool isMixtral = kind.Name == "llama";
        string block = from + (isMixtral ? "block_sparse_moe." : "mlp.");
        (string gate, string up, string down) = isMixtral ? ("w1", "w3", "w2") : ("gate_proj", "up_proj", "down_proj");
        string[] All(string part) =>
            [.. Enumerable.Range(0, experts.Count).Select(expert => $"{block}experts.{expert}.{part}.weight")];
        GgufWeight Shared(string name, string part) => new(to + name + ".weight", $"{block}shared_expert{part}.weight");
        return
        [
            new GgufWeight(to + "ffn_gate_inp.weight", block + "gate.weight") { IsKeptWide = true },
            new GgufWeight(to + "ffn_gate_exps.weight", All(gate)), new GgufWeight(to + "ffn_up_exps.weight", All(up)),
            new GgufWeight(to + "ffn_down_exps.weight", All(down)),
            .. experts.SharedSize is null ? (GgufWeight[])[] :
            [
                Shared("ffn_gate_inp_shexp", "_gate") with { Form = GgufForm.OneRow, IsKeptWide = true },
                Shared("ffn_gate_shexp", ".gate_proj"), Shared("ffn_up_shexp", ".up_proj"),
                Shared("ffn_down_shexp", ".down_proj"),
            ],
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

    // One layer for queries, keys and values, group by group.
    private static IEnumerable<GgufWeight> FusedLayer(
        string from, string to, string attention, (string To, string From)[] norms, DecoderShape shape) =>
        [
            .. norms.SelectMany(norm => Both(to + norm.To, from + norm.From)),
            .. Both(to + "attn_qkv", from + attention + "query_key_value",
                GgufForm.Regrouped(shape.Heads, shape.KeyValueHeads)),
            .. Both(to + "attn_output", from + attention + "dense"),
            .. Both(to + "ffn_up", from + "mlp.dense_h_to_4h"), .. Both(to + "ffn_down", from + "mlp.dense_4h_to_h"),
        ];
}
