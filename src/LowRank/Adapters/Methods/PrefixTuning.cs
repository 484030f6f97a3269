using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
using LowRank.Models;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Trained keys and values before every text, in every layer.</summary>
internal sealed record PrefixTuningMethod : IAdapterMethod
{
    public string Name => "prefix_tuning";

    public string Title => "prefix tuning";

    public string Paper => "arXiv 2101.00190";

    public string Summary =>
        "Trained keys and values before every text, in every layer; decoders only, nothing to merge.";

    public IReadOnlyList<string> Keys => [];

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        MethodOption.Create<PrefixTuningMethod, int>(
            "virtual_tokens", method => method.Config.NumVirtualTokens ?? 0,
            (method, value) => method with { Config = method.Config with { NumVirtualTokens = value } },
            "number of positions") with { Least = 1, Most = int.MaxValue },
    ];

    /// <summary>The config with the method's own settings.</summary>
    public PrefixTuningConfig Config { get; init; } = new();

    public double DefaultLearningRate => 1e-2;

    public AdapterConfig Configure(LoraConfig shared) => Config.WithModulesOf(shared);

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is PrefixTuningConfig own ? this with { Config = own } : null;
}

/// <summary>Settings of prefix tuning (arXiv 2101.00190).</summary>
public sealed record PrefixTuningConfig : PromptConfig
{
    /// <inheritdoc/>
    public override IAdapterType Type => PrefixTuningType.Instance;

    /// <summary>The width of PEFT's network (<c>encoder_hidden_size</c>), which is not used here; null uses the width
    /// of keys and values.</summary>
    public int? EncoderHiddenSize { get; init; }
}

/// <summary>PEFT's PREFIX_TUNING (arXiv 2101.00190): trained keys and values before every text, in every
/// layer.</summary>
internal sealed class PrefixTuningType : IAdapterType
{
    /// <summary>The single instance.</summary>
    public static PrefixTuningType Instance { get; } = new();

    public string PeftType => "PREFIX_TUNING";

    public string Label => "prefix tuning";

    public bool HasTargets => false;

    public IReadOnlyList<ConfigKey> Keys { get; } =
    [
        .. PromptKeys.Common,
        ConfigKey.WholeOrNull<PrefixTuningConfig>(
            "encoder_hidden_size", config => config.EncoderHiddenSize,
            (config, value) => config with { EncoderHiddenSize = value }),
        new("init_weights", "null", JsonShape.Boolean | Text | Null),
        new("prefix_projection", "false", JsonShape.Boolean,
        new((value, _) => value.ValueKind == System.Text.Json.JsonValueKind.False, "false",
            "it computes the prefix by a network that PEFT throws away after training; save the adapter for " +
                "inference in PEFT")),
    ];

    public AdapterConfig Create() => new PrefixTuningConfig();

    public IEnumerable<string> Problems(AdapterConfig config) => PromptKeys.Problems((PromptConfig)config);

    public AdapterConfig Fill(AdapterConfig config, PretrainedModel pretrained)
    {
        Decoder model = PromptKeys.RequireDecoder(pretrained.Network, Label);
        int width = model.Shape.KeyValueHeads * model.Shape.HeadDimension;
        var described = (PrefixTuningConfig)((PromptConfig)config).Describe(
            width, model.Shape.KeyValueHeads, model.Shape.Layers);
        return described with { EncoderHiddenSize = described.EncoderHiddenSize ?? width };
    }

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig any, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        var config = (PrefixTuningConfig)any;
        return [new AdapterTensor(
            PromptPart.Key, [config.NumVirtualTokens!.Value, 2L * (config.NumLayers ?? 0) * (config.TokenDim ?? 0)], "",
            AdapterTensorPart.Own)];
    }

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        Decoder model = PromptKeys.RequireDecoder(build.Network, Label);
        using var scope = NewDisposeScope();
        int count = ((PrefixTuningConfig)build.Config).NumVirtualTokens!.Value,
            width = model.Shape.KeyValueHeads * model.Shape.HeadDimension;
        Tensor vectors =
            build.LoadOrInitialize(
                PromptPart.Key, () => empty(count, 2 * model.Shape.Layers * width).normal_(0, 1, build.Random));
        if (vectors.shape[1] != 2L * model.Shape.Layers * width)
            throw new InputException(
                $"{PromptPart.Key}: found {vectors.shape[1]} numbers for a position, expected " +
                $"{2 * model.Shape.Layers * width}: a key and a value of {width} in {model.Shape.Layers} layers. " +
                "Is this the base model of the adapter?");
        return [new PromptPart(model, vectors, Split)];
    }

    // [positions, layers · 2 · heads · dimension] to each layer's key and value, [1, heads, positions, dimension]
    private static List<(Tensor, Tensor)> Split(Decoder model, Tensor vectors, Generator? dropout)
    {
        Tensor all = vectors.view(
            vectors.shape[0], model.Shape.Layers * 2, model.Shape.KeyValueHeads, model.Shape.HeadDimension).permute(
                1, 2, 0, 3);
        return [.. Enumerable.Range(0, model.Shape.Layers)
            .Select(layer => (all.narrow(0, 2 * layer, 1), all.narrow(0, 2 * layer + 1, 1)))];
    }
}
