using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
using LowRank.Models;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>Trained keys and values before every text, in every layer.</summary>
public sealed class PrefixTuningMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "prefix_tuning";

    /// <inheritdoc/>
    public string Title => "prefix tuning";

    /// <inheritdoc/>
    public string Paper => "arXiv 2101.00190";

    /// <inheritdoc/>
    public string Summary =>
        "Trained keys and values before every text, in every layer; decoders only, nothing to merge.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => [];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
        [new("virtual_tokens", 20, "number of positions") { Least = 1, Most = int.MaxValue }];

    /// <inheritdoc/>
    public double DefaultLearningRate => 1e-2;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) =>
        shared with { PeftType = "PREFIX_TUNING",
            OtherKeys = OwnKeys.With(shared, ("num_virtual_tokens", options.Whole("virtual_tokens"))) };
}

/// <summary>PEFT's PREFIX_TUNING (arXiv 2101.00190): trained keys and values before every text, in every
/// layer.</summary>
internal sealed class PrefixTuningType : IAdapterType
{
    public string PeftType => "PREFIX_TUNING";

    public string Label => "prefix tuning";

    public bool HasTargets => false;

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. PromptKeys.Common,
        new("encoder_hidden_size", "null", Integer | Null),
        new("init_weights", "null", JsonShape.Boolean | Text | Null, IsOwn: true),
        new("prefix_projection", "false", JsonShape.Boolean,
        new((value, _) => value.ValueKind == System.Text.Json.JsonValueKind.False, "false",
            "it computes the prefix by a network that PEFT throws away after training; save the adapter for " +
                "inference in PEFT")),
    ];

    public IEnumerable<string> Problems(LoraConfig config) => PromptKeys.Problems(config);

    public LoraConfig Fill(LoraConfig config, PretrainedModel pretrained)
    {
        Decoder model = PromptKeys.RequireDecoder(pretrained.Network, Label);
        int width = model.Shape.KeyValueHeads * model.Shape.HeadDimension;
        LoraConfig described = PromptKeys.Describe(config, width, model.Shape.KeyValueHeads, model.Shape.Layers);
        return described.OtherKeys.ContainsKey("encoder_hidden_size") ? described
            : described with { OtherKeys = OwnKeys.With(described, ("encoder_hidden_size", width)) };
    }

    public IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules) =>
        [new AdapterTensor(
            PromptPart.Key,
            [config.Whole("num_virtual_tokens"), 2L * config.Whole("num_layers") * config.Whole("token_dim")], "",
            AdapterTensorPart.Own)];

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        Decoder model = PromptKeys.RequireDecoder(build.Network, Label);
        using var scope = NewDisposeScope();
        int count = build.Config.Whole("num_virtual_tokens"),
            width = model.Shape.KeyValueHeads * model.Shape.HeadDimension;
        Tensor vectors =
            build.TakeKey(
                PromptPart.Key, () => empty(count, 2 * model.Shape.Layers * width).normal_(0, 1, build.Random));
        if (vectors.shape[1] != 2L * model.Shape.Layers * width)
            throw new InputException(
                $"{PromptPart.Key}: found {vectors.shape[1]} numbers for a position, expected " +
                $"{2 * model.Shape.Layers * width}: a key and a value of {width} in {model.Shape.Layers} layers. " +
                "Is this the base model of the adapter?");
        return [new PromptPart(model, vectors, Split)];
    }

    // [positions, layers · 2 · heads · dimension] to a key and a value [1, heads, positions, dimension] of each layer
    private static List<(Tensor, Tensor)> Split(Decoder model, Tensor vectors, Generator? dropout)
    {
        Tensor all = vectors.view(
            vectors.shape[0], model.Shape.Layers * 2, model.Shape.KeyValueHeads, model.Shape.HeadDimension).permute(
                1, 2, 0, 3);
        return [.. Enumerable.Range(0, model.Shape.Layers)
            .Select(layer => (all.narrow(0, 2 * layer, 1), all.narrow(0, 2 * layer + 1, 1)))];
    }
}
