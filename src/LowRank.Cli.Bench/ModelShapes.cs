using System.Text.Json.Nodes;

namespace LowRank.Cli.Bench;

/// <summary>Named model shapes in the form of <c>config.json</c>, which benchmarks fill with random weights.</summary>
internal static class ModelShapes
{
    private static readonly Dictionary<string, string> Configs = new(StringComparer.Ordinal)
    {
        // GPT-2 small, 124 M
        ["gpt2-small"] = """
            {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257,
             "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "resid_pdrop": 0.0}
            """,
        // JackFram/llama-160m
        ["llama-160m"] = """
            {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
             "num_key_value_heads": 12, "max_position_embeddings": 2048, "vocab_size": 32000, "hidden_act": "silu", "rms_norm_eps": 1e-6, "tie_word_embeddings": false}
            """,
        // TinyLlama/TinyLlama-1.1B, 1.1 G
        ["llama-1b"] = """
            {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
             "num_key_value_heads": 4, "max_position_embeddings": 2048, "vocab_size": 32000, "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": false}
            """,
        // meta-llama/Llama-3.1-8B, 8.0 G
        ["llama-8b"] = """
            {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
             "num_key_value_heads": 8, "max_position_embeddings": 8192, "vocab_size": 128256, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
             "tie_word_embeddings": false}
            """,
        // BERT base, 110 M
        ["bert-base"] = """
            {"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
             "max_position_embeddings": 512, "type_vocab_size": 2, "vocab_size": 30522, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
             "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
            """,
        // models/base, the embedded base, 3 M
        ["base"] = """
            {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 5, "num_attention_heads": 6,
             "num_key_value_heads": 3, "head_dim": 32, "max_position_embeddings": 512, "vocab_size": 4096, "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": true}
            """,
    };

    private static readonly string[] DropoutKeys =
        ["embd_pdrop", "attn_pdrop", "resid_pdrop", "hidden_dropout_prob", "attention_probs_dropout_prob",
            "attention_dropout"];

    private static readonly string[] LayerKeys = ["num_hidden_layers", "n_layer"];

    /// <summary>The names.</summary>
    public static IReadOnlyCollection<string> Names => Configs.Keys;

    /// <summary>What a benchmark measures by default, one after the other: weights stored [out, in], as most models
    /// have them, and GPT-2's, stored [in, out].</summary>
    public static IReadOnlyList<string> Measured { get; } = ["llama-160m", "gpt2-small"];

    /// <summary>The config of a shape.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="dropout">The model's own dropout, if its family has one.</param>
    /// <param name="layers">Number of layers; null for the shape's own.</param>
    /// <exception cref="InputException">The name is unknown; the message lists the known ones.</exception>
    public static JsonObject Config(string name, double dropout = 0, int? layers = null)
    {
        if (!Configs.TryGetValue(name, out string? text))
            throw new InputException(
                $"The shape \"{name}\" is unknown, and no folder of that name has a config.json. Expected one of " +
                $"{string.Join(", ", Names)}, or a model folder.");
        JsonObject config = JsonNode.Parse(text)!.AsObject();
        foreach (string key in DropoutKeys.Where(config.ContainsKey)) config[key] = dropout;
        if (layers is not null) config[LayerKeys.Single(config.ContainsKey)] = layers;
        return config;
    }
}
