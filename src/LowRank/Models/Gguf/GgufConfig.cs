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
        ["llama", "qwen2", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3", "gpt2", "gptneox"];

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
                "qwen3moe" => "qwen3_moe",
                "gemma3" => "gemma3_text",
                var same => same,
            },
            ["hidden_size"] = hidden, ["num_hidden_layers"] = Size("block_count"), ["num_attention_heads"] = heads,
            ["num_key_value_heads"] = (long)(Number("attention.head_count_kv") ?? heads), ["head_dim"] = width,
            ["intermediate_size"] = Size("feed_forward_length"), ["vocab_size"] = Rows(),
            ["max_position_embeddings"] = (long)(Number("context_length") ?? DefaultContext),
            ["rms_norm_eps"] = Real("attention.layer_norm_rms_epsilon"), ["hidden_act"] = "silu",
            ["rope_theta"] = Single("rope.freq_base") ?? 10_000,
            ["tie_word_embeddings"] = !file.Tensors.ContainsKey("output.weight"),
        };
        if (architecture is "llama" or "qwen3" or "qwen3moe")
            config["attention_bias"] = file.Tensors.ContainsKey("blk.0.attn_q.bias");
        if (architecture == "llama" && experts == 0) config["mlp_bias"] = file.Tensors.ContainsKey("blk.0.ffn_up.bias");
        if (experts > 0) AddExperts(config, experts);
        if (architecture is "gemma2" or "gemma3") AddGemma(config, hidden, heads, width);
        if (architecture == "phi3")
            config["partial_rotary_factor"] = (Number("rope.dimension_count") ?? width) / width;
        if (RopeScaling() is { } scaling) config["rope_scaling"] = scaling;
        return AddTokens(config);
    }

    private void AddExperts(JsonObject config, long experts)
    {
        config[architecture == "llama" ? "num_local_experts" : "num_experts"] = experts;
        config["num_experts_per_tok"] = Size("expert_used_count");
        if (architecture == "llama") return;
        config["moe_intermediate_size"] = Size("expert_feed_forward_length");
        config["norm_topk_prob"] = true;
    }

    private void AddGemma(JsonObject config, long hidden, long heads, long width)
    {
        config.Remove("hidden_act");
        config["hidden_activation"] = "gelu_pytorch_tanh";
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
