using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>Qwen3's mixtures of experts: Qwen3's attention; every layer has experts except those that the config keeps
/// plain (arXiv 2505.09388).</summary>
internal sealed class Qwen3Moe : DecoderFamily
{
    /// <inheritdoc/>
    public override string ModelType => "qwen3_moe";

    /// <inheritdoc/>
    public override string ClassPrefix => "Qwen3Moe";

    /// <inheritdoc/>
    public override DecoderShape Read(ConfigReader config)
    {
        bool bias = config.FlagOr("attention_bias", false);
        DecoderShape shape = RotaryFamily.Read(config) with { AttentionBias = bias, OutputBias = bias };
        string countKey = config.Has("num_local_experts") ? "num_local_experts" : "num_experts";
        return shape with
        {
            Windows = RotaryFamily.Windows(config, shape.Layers, Qwen2.Window(config), _ => true),
            Experts = ReadExperts(config, shape.Layers, countKey, count: 128, active: 8, width: 768),
        };
    }

    /// <inheritdoc/>
    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer) =>
        RotaryFamily.BuildBlock(
            weights, shape, layer, normalizesHeads: true, BuildExperts(weights, shape, layer));

    /// <summary>Reads the keys of the mixture that Qwen's families share.</summary>
    /// <param name="config">The config.</param>
    /// <param name="layers">Number of layers.</param>
    /// <param name="countKey">The key of the number of experts.</param>
    /// <param name="count">Number of experts if the key is missing.</param>
    /// <param name="active">Number of experts per position if its key is missing.</param>
    /// <param name="width">Width of an expert if its key is missing.</param>
    internal static ExpertShape ReadExperts(
        ConfigReader config, int layers, string countKey, int count, int active, int width)
    {
        if (config.FlagOr("output_router_logits", false))
            config.Reject("output_router_logits", "true", "false (the router's own loss is not computed)");
        int step = config.PositiveOr("decoder_sparse_step", 1);
        (count, active) = (config.CountOr(countKey, count), config.SizeOr("num_experts_per_tok", active));
        if (active > count)
            config.Reject("num_experts_per_tok", active, $"at most num_experts ({count})");
        HashSet<int> plain = [.. config.TokenIds("mlp_only_layers")];
        return new ExpertShape(
            count, active, config.SizeOr("moe_intermediate_size", width), config.FlagOr("norm_topk_prob", false))
        {
            PlainLayers = [
                .. Enumerable.Range(0, layers).Where(layer => plain.Contains(layer) || (layer + 1) % step != 0)],
        };
    }

    /// <summary>A layer's mixture, with the expert of every position if there is one; null for a plain layer.</summary>
    internal static IFeedForward? BuildExperts(WeightLoader weights, DecoderShape shape, int layer)
    {
        ExpertShape settings = shape.Experts!;
        if (settings.PlainLayers.Contains(layer)) return null;
        string path = $"model.layers.{layer}.mlp";
        GatedFeedForward Expert(string name, int width) =>
            new(weights, $"{path}.{name}", shape with { IntermediateSize = width });
        Linear router = Linear.Unquantized(weights, path + ".gate", shape.HiddenSize, settings.Count, bias: false);
        IFeedForward[] experts = [.. Enumerable.Range(0, settings.Count)
            .Select(number => Expert($"experts.{number}", settings.IntermediateSize))];
        var mixture = new ExpertsFeedForward(router, experts, settings.Active, settings.NormalizesWeights);
        if (settings.SharedSize is not { } shared) return mixture;
        GatedFeedForward everywhere = Expert("shared_expert", shared);
        return new SharedExpertFeedForward(mixture, everywhere,
            Linear.Unquantized(weights, path + ".shared_expert_gate", shape.HiddenSize, 1, bias: false));
    }
}
