using System.Text.Json.Nodes;
using LowRank.IO.Gguf;

namespace LowRank.Models.Gguf;

/// <summary>The <c>config.json</c> of a GGUF model.</summary>
/// <remarks>llama.cpp's architectures say less than transformers' families: a llama is a llama whether it was trained
/// as a mistral or not.</remarks>
internal sealed class GgufConfig
{
    private const int DefaultContext = 2048;

    private readonly GgufFile file;
    private readonly string architecture;
    private readonly List<string> problems = [];

    private GgufConfig(GgufFile file, string architecture) => (this.file, this.architecture) = (file, architecture);

    /// <summary>The architectures that can be opened.</summary>
    public static IReadOnlyList<string> Known { get; } =
        [
            "llama", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "gemma", "gemma2", "gemma3", "phi2", "phi3", "gpt2",
            "gptneox", "bloom", "falcon", "starcoder2", "stablelm", "granite", "smollm3", "mistral3", "olmo2", "glm4",
            "cohere2",
        ];

    /// <summary>Reads the config.</summary>
    /// <exception cref="InputException">The file holds no model of a known architecture, or keys are missing; the
    /// message lists all of them.</exception>
    public static JsonObject Read(GgufFile file)
    {
        string name = file.Metadata.Text("general.architecture") ?? "missing";
        if (file.Metadata.Text("general.type") is { } kind and not "model")
            throw new InputException(
                $"{file.Path}: general.type is {kind}, expected a model. An adapter is used with its base.");
        if (!Known.Contains(name))
            throw new InputException(
                $"{file.Path}: general.architecture is {name}; models of {string.Join(", ", Known)} can be opened" +
                $"{(name is "bert" or "modern-bert" or "t5" ? ", encoders and t5 only be written" : "")}. " +
                "Take the model's Hugging Face folder.");
        var reader = new GgufConfig(file, name);
        JsonObject config = reader.Read();
        return reader.problems.Count == 0 ? config
            : throw new InputException($"{file.Path} cannot be opened as a model:", reader.problems);
    }

    private JsonObject Read() => architecture switch
    {
        "gpt2" => Gpt2(),
        "gptneox" => NeoX(),
        "bloom" => Bloom(),
        "falcon" => Falcon(),
        _ => Llama(),
    };

    private JsonObject Llama()
    {
        long heads = Size("attention.head_count"), hidden = Size("embedding_length"),
            width = Number("attention.key_length") is { } given ? (long)given : hidden / Math.Max(1, heads);
        long experts = (long)(Number("expert_count") ?? 0);
        var config = new JsonObject
        {
            ["model_type"] = architecture switch
            {
                "llama" when experts > 0 => "mixtral",
                "qwen2moe" => "qwen2_moe",
                "qwen3moe" => "qwen3_moe",
                "gemma3" => "gemma3_text",
                "phi2" => "phi",
                "mistral3" => "ministral3",
                "olmo2" when Number("attention.sliding_window") > 0 => "olmo3",
                var same => same,
            },
            ["hidden_size"] = hidden, ["num_hidden_layers"] = Size("block_count"), ["num_attention_heads"] = heads,
            ["num_key_value_heads"] = (long)(Number("attention.head_count_kv") ?? heads), ["head_dim"] = width,
            ["intermediate_size"] = Size("feed_forward_length"), ["vocab_size"] = Rows(),
            ["max_position_embeddings"] = (long)(Number("context_length") ?? DefaultContext),
            ["hidden_act"] = "silu",
            ["rope_theta"] = Single("rope.freq_base") ?? 10_000,
            ["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight"),
        };
        string normKey = architecture switch
        {
            "phi2" or "stablelm" or "cohere2" => "layer_norm_eps", "starcoder2" => "norm_epsilon", _ => "rms_norm_eps",
        };
        config[normKey] = Real(normKey == "rms_norm_eps" ? "attention.layer_norm_rms_epsilon"
            : "attention.layer_norm_epsilon");
        if (architecture is "llama" or "qwen3" or "qwen3moe" or "granite" or "smollm3" or "glm4")
            config["attention_bias"] = Has("attn_q.bias");
        if (architecture is "llama" or "granite" or "smollm3" && experts == 0) config["mlp_bias"] = Has("ffn_up.bias");
        if (experts > 0) AddExperts(config, experts);
        if (architecture is "gemma" or "gemma2" or "gemma3") AddGemma(config, hidden, heads, width);
        if (architecture is "phi2" or "phi3" or "glm4" or "stablelm")
            config["partial_rotary_factor"] = (Number("rope.dimension_count") ?? width) / width;
        if (RopeScaling() is { } scaling) config["rope_scaling"] = scaling;
        AddOwn(config);
        return AddTokens(config);
    }

    private void AddExperts(JsonObject config, long experts)
    {
        config[architecture == "llama" ? "num_local_experts" : "num_experts"] = experts;
        config["num_experts_per_tok"] = Size("expert_used_count");
        if (architecture == "llama") return;
        config["moe_intermediate_size"] = Size("expert_feed_forward_length");
        config["norm_topk_prob"] = architecture == "qwen3moe";
        if (architecture != "qwen2moe") return;
        config["shared_expert_intermediate_size"] = Size("expert_shared_feed_forward_length");
        config["qkv_bias"] = Has("attn_q.bias");
    }

    // What one family alone has.
    private void AddOwn(JsonObject config)
    {
        switch (architecture)
        {
            case "granite":
                config["embedding_multiplier"] = Single("embedding_scale") ?? 1;
                config["attention_multiplier"] = Single("attention.scale")
                    ?? 1 / Math.Sqrt(config["head_dim"]!.GetValue<long>());
                config["residual_multiplier"] = Single("residual_scale") ?? 1;
                config["logits_scaling"] = Real("logit_scale");
                break;
            case "smollm3":
                config["no_rope_layer_interval"] = 4;
                config["use_sliding_window"] = false;
                break;
            case "olmo2" when Number("attention.sliding_window") > 0:
            case "cohere2":
                config["sliding_window"] = Size("attention.sliding_window");
                if (architecture == "cohere2") config["logit_scale"] = Real("logit_scale");
                break;
            case "mistral3":
                config["rope_parameters"] = Ministral(config);
                config.Remove("rope_scaling");
                config.Remove("rope_theta");
                break;
            case "phi2":
                config["hidden_act"] = "gelu_new";
                config.Remove("head_dim");
                break;
            case "starcoder2":
                config["hidden_act"] = "gelu_pytorch_tanh";
                config["use_bias"] = Has("attn_q.bias");
                config["sliding_window"] = null;
                break;
            case "stablelm":
                config["use_qkv_bias"] = Has("attn_q.bias");
                config["qk_layernorm"] = Has("attn_q_norm.weight");
                config["use_parallel_residual"] = !Has("ffn_norm.weight");
                config.Remove("head_dim");
                break;
        }
    }

    private JsonObject Ministral(JsonObject config)
    {
        JsonObject parameters = config["rope_scaling"]?.DeepClone() as JsonObject
            ?? new JsonObject { ["rope_type"] = "default" };
        parameters["rope_theta"] = Single("rope.freq_base") ?? 10_000;
        if (Single("rope.scaling.yarn_log_multiplier") is { } scale)
            (parameters["mscale"], parameters["mscale_all_dim"]) = (scale, scale);
        if (Single("attention.temperature_scale") is { } beta) parameters["llama_4_scaling_beta"] = beta;
        return parameters;
    }

    private void AddGemma(JsonObject config, long hidden, long heads, long width)
    {
        config.Remove("hidden_act");
        config["hidden_activation"] = "gelu_pytorch_tanh";
        if (architecture == "gemma") return;
        bool isLargest = Size("block_count") == (architecture == "gemma2" ? 46 : 62);
        config["query_pre_attn_scalar"] = isLargest ? hidden / heads : width;
        config["sliding_window"] = Size("attention.sliding_window");
        config["final_logit_softcapping"] = Single("final_logit_softcapping");
        if (architecture == "gemma2") config["attn_logit_softcapping"] = Single("attn_logit_softcapping");
        else
        {
            config["sliding_window_pattern"] = 6;
            config["rope_local_base_freq"] = Single("rope.freq_base_swa") ?? 10_000;
        }
    }

    private JsonObject? RopeScaling()
    {
        if (file.Tensors.TryGetValue("rope_freqs.weight", out GgufTensor? factors)) return Llama3(factors);
        if (file.Tensors.TryGetValue("rope_factors_long.weight", out GgufTensor? longer)
            && file.Tensors.TryGetValue("rope_factors_short.weight", out GgufTensor? shorter))
            return new JsonObject
            {
                ["rope_type"] = "longrope", ["long_factor"] = Values(longer), ["short_factor"] = Values(shorter),
                ["original_max_position_embeddings"] = Size("rope.scaling.original_context_length"),
                ["attention_factor"] = Single("rope.scaling.attn_factor") ?? 1,
            };
        string type = file.Metadata.Text(architecture + ".rope.scaling.type") ?? "none";
        switch (type)
        {
            case "none": return null;
            case "linear":
                return new JsonObject { ["rope_type"] = "linear", ["factor"] = Real("rope.scaling.factor") };
            case "yarn":
                return new JsonObject
                {
                    ["rope_type"] = "yarn", ["factor"] = Real("rope.scaling.factor"),
                    ["original_max_position_embeddings"] = Size("rope.scaling.original_context_length"),
                    ["beta_fast"] = Single("rope.scaling.yarn_beta_fast") ?? 32,
                    ["beta_slow"] = Single("rope.scaling.yarn_beta_slow") ?? 1,
                };
            default:
                problems.Add($"{architecture}.rope.scaling.type is {type}; known are none, linear and yarn");
                return null;
        }
    }

    // The factors are those of Llama 3.1 and later, which all scale frequencies between the same two lengths.
    private JsonObject? Llama3(GgufTensor factors)
    {
        float[] expected = new float[factors.Values];
        file.Expand(factors, 0, expected);
        double theta = Single("rope.freq_base") ?? 10_000;
        foreach (int original in (int[])[8192, 4096, 16384, 32768, 2048, 32, 64, 128])
        {
            var settings = new RopeSettings("llama3", theta, 2 * expected.Length, original)
            {
                Factor = expected.Max(), OriginalMaxPositions = original, LowFrequencyFactor = 1,
                HighFrequencyFactor = 4,
            };
            float[] found = GgufDecoderKeys.Llama3Factors(settings);
            if (!found.Zip(expected).All(pair => Math.Abs(pair.First / pair.Second - 1) < 1e-4)) continue;
            return new JsonObject
            {
                ["rope_type"] = "llama3", ["factor"] = settings.Factor, ["low_freq_factor"] = 1,
                ["high_freq_factor"] = 4, ["original_max_position_embeddings"] = original,
            };
        }
        problems.Add("rope_freqs.weight holds other factors than Llama 3's, which are not known here");
        return null;
    }

    private JsonObject Gpt2() => AddTokens(new JsonObject
    {
        ["model_type"] = "gpt2", ["n_embd"] = Size("embedding_length"), ["n_layer"] = Size("block_count"),
        ["n_head"] = Size("attention.head_count"), ["n_inner"] = Size("feed_forward_length"),
        ["n_positions"] = Size("context_length"), ["vocab_size"] = Rows(),
        ["layer_norm_epsilon"] = Real("attention.layer_norm_epsilon"), ["activation_function"] = "gelu_new",
        ["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight"),
    });

    private JsonObject NeoX()
    {
        long heads = Size("attention.head_count"), hidden = Size("embedding_length");
        return AddTokens(new JsonObject
        {
            ["model_type"] = "gpt_neox", ["hidden_size"] = hidden, ["num_hidden_layers"] = Size("block_count"),
            ["num_attention_heads"] = heads, ["intermediate_size"] = Size("feed_forward_length"),
            ["vocab_size"] = Rows(), ["max_position_embeddings"] = Size("context_length"),
            ["layer_norm_eps"] = Real("attention.layer_norm_epsilon"), ["hidden_act"] = "gelu",
            ["rotary_emb_base"] = Single("rope.freq_base") ?? 10_000,
            ["rotary_pct"] = Real("rope.dimension_count") / Math.Max(1, hidden / Math.Max(1, heads)),
            ["use_parallel_residual"] = file.Metadata.Flag("gptneox.use_parallel_residual") ?? true,
            ["attention_bias"] = file.Tensors.ContainsKey("blk.0.attn_qkv.bias"), ["tie_word_embeddings"] = false,
        });
    }

    private JsonObject Bloom() => AddTokens(new JsonObject
    {
        ["model_type"] = "bloom", ["hidden_size"] = Size("embedding_length"), ["n_layer"] = Size("block_count"),
        ["n_head"] = Size("attention.head_count"), ["vocab_size"] = Rows(), ["seq_length"] = Size("context_length"),
        ["layer_norm_epsilon"] = Real("attention.layer_norm_epsilon"),
        ["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight"),
    });

    private JsonObject Falcon()
    {
        long heads = Size("attention.head_count"), groups = (long)(Number("attention.head_count_kv") ?? heads);
        bool hasTwoNorms = Has("attn_norm_2.weight"), isGrouped = hasTwoNorms || (groups > 1 && groups < heads);
        return AddTokens(new JsonObject
        {
            ["model_type"] = "falcon", ["hidden_size"] = Size("embedding_length"),
            ["num_hidden_layers"] = Size("block_count"), ["num_attention_heads"] = heads, ["num_kv_heads"] = groups,
            ["multi_query"] = groups == 1, ["new_decoder_architecture"] = isGrouped, ["parallel_attn"] = true,
            ["num_ln_in_parallel_attn"] = hasTwoNorms ? 2 : 1, ["bias"] = false, ["alibi"] = false,
            ["ffn_hidden_size"] = Size("feed_forward_length"), ["vocab_size"] = Rows(),
            ["max_position_embeddings"] = Size("context_length"), ["activation"] = "gelu",
            ["layer_norm_epsilon"] = Real("attention.layer_norm_epsilon"),
            ["rope_theta"] = Single("rope.freq_base") ?? 10_000,
            ["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight"),
        });
    }

    private JsonObject AddTokens(JsonObject config)
    {
        foreach ((string key, string name) in (ReadOnlySpan<(string, string)>)
            [("bos_token_id", "bos_token_id"), ("padding_token_id", "pad_token_id")])
            if (file.Metadata.Integer("tokenizer.ggml." + key) is { } id) config[name] = id;
        long[] ends = [.. new[] { "eos_token_id", "eot_token_id", "eom_token_id" }
            .Select(key => file.Metadata.Integer("tokenizer.ggml." + key)).OfType<long>().Distinct()];
        if (ends.Length == 1) config["eos_token_id"] = ends[0];
        else if (ends.Length > 1) config["eos_token_id"] = new JsonArray([.. ends.Select(id => JsonValue.Create(id))]);
        return config;
    }

    private bool Has(string tensor) => file.Tensors.ContainsKey("blk.0." + tensor);

    private long Rows()
    {
        if (file.Tensors.TryGetValue("token_embd.weight", out GgufTensor? table)) return table.Shape[0];
        problems.Add("the tensor token_embd.weight is missing");
        return 1;
    }

    private long Size(string key)
    {
        if (file.Metadata.Integer($"{architecture}.{key}") is { } size and >= 0) return size;
        problems.Add($"{architecture}.{key} is missing, expected a whole number");
        return 1;
    }

    private double? Number(string key) => file.Metadata.Number($"{architecture}.{key}");

    // A float32 in the fewest digits that give it back, as configs have it.
    private double? Single(string key) =>
        Number(key) is { } number ? double.Parse(((float)number).ToString("R", System.Globalization.CultureInfo
            .InvariantCulture), System.Globalization.CultureInfo.InvariantCulture) : null;

    private double Real(string key)
    {
        if (Single(key) is { } number) return number;
        problems.Add($"{architecture}.{key} is missing, expected a number");
        return 1;
    }

    private JsonArray Values(GgufTensor tensor)
    {
        float[] values = new float[tensor.Values];
        file.Expand(tensor, 0, values);
        return [.. values.Select(value => JsonValue.Create(value))];
    }
}
