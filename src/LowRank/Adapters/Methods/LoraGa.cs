using System.Text.Json;
using LowRank.Adapters.Json;
using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA whose pairs start along the largest directions of the weights' gradients.</summary>
public sealed record LoraGaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lora_ga";

    /// <inheritdoc/>
    public string Title => "LoRA-GA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2407.05000";

    /// <inheritdoc/>
    public string Summary => "LoRA whose pairs start along the largest directions of the weights' gradients.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        Of("direction", config => config.Direction, (config, value) => config with { Direction = value },
            "which directions go to A and which to B") with { Choices = ["ArBr", "A2rBr", "ArB2r", "random"] },
        Of("scale", config => config.Scale, (config, value) => config with { Scale = value },
            "how the pairs are scaled") with { Choices = ["stable", "weight_svd", "gd_scale", "unit"] },
        Of("stable_gamma", config => (int)config.StableGamma,
            (config, value) => config with { StableGamma = value }, "the gamma of the stable scale") with
        {
            Least = 1,
            Most = int.MaxValue,
            Unless = method => ((LoraGaMethod)method).Config.Scale is "stable" ? null
                : $"has no effect with scale: {((LoraGaMethod)method).Config.Scale}; remove it, or set scale: stable",
        },
        MethodOption.Create<LoraGaMethod, int>(
            "examples", method => method.Examples, (method, value) => method with { Examples = value },
            "number of training examples to look at") with { Least = 1, Most = int.MaxValue },
    ];

    /// <summary>The settings written for the initialisation.</summary>
    public LoraGaConfig Config { get; init; } = new();

    /// <summary>Number of training examples to examine; 32.</summary>
    public int Examples { get; init; } = 32;

    /// <inheritdoc/>
    public int CalibrationExamples => Examples;

    /// <inheritdoc/>
    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { InitLoraWeights = InitialWeights.LoraGa, LoraGaConfig = Config };

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoraConfig { UseDora: false, InitLoraWeights.Name: "lora_ga" } lora
            ? this with { Config = lora.LoraGaConfig ?? new LoraGaConfig() } : null;

    private static MethodOption Of<T>(
        string name, Func<LoraGaConfig, T> get, Func<LoraGaConfig, T, LoraGaConfig> set, string doc) =>
        MethodOption.Create<LoraGaMethod, T>(
            name, method => get(method.Config),
            (method, value) => method with { Config = set(method.Config, value) }, doc);
}

/// <summary>How LoRA-GA initialises the pairs (PEFT's <c>lora_ga_config</c>).</summary>
public sealed record LoraGaConfig
{
    /// <summary>Which directions go to A and which to B: "ArBr", "A2rBr", "ArB2r" or "random"; ArB2r.</summary>
    public string Direction { get; init; } = "ArB2r";

    /// <summary>How the pairs are scaled: "stable", "weight_svd", "gd_scale" or "unit"; stable.</summary>
    public string Scale { get; init; } = "stable";

    /// <summary>The gamma of the stable scale; 16.</summary>
    public double StableGamma { get; init; } = 16;

    // The meaning of an omitted key is PEFT's.
    internal static LoraGaConfig Parse(JsonElement settings) => new()
    {
        Direction = settings.TextOr("direction", "ArB2r"),
        Scale = settings.TextOr("scale", "stable"),
        StableGamma = settings.NumberOr("stable_gamma", 16),
    };

    internal JsonElement Write() => JsonValues.Map(
        ("direction", JsonValues.Text(Direction)), ("scale", JsonValues.Text(Scale)),
        ("stable_gamma", StableGamma % 1 == 0
            ? JsonValues.Whole((long)StableGamma) : JsonValues.Number(StableGamma)));
}

/// <summary>LoRA-GA (arXiv 2407.05000): the pair starts along the largest directions of the gradient of W, so that its
/// first step is close to full training's.</summary>
/// <remarks>The directions come from an exact decomposition; PEFT uses a randomised one.</remarks>
internal sealed class LoraGaInitializer : ILoraInitializer
{
    public string Name => "lora_ga";

    public bool StartsFromBase => true;

    /// <remarks>The directions depend on data that a saved adapter does not contain.</remarks>
    public bool CanRepeat => false;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        ICalibration calibration = build.RequireCalibration();
        return build.Observe(
            layer => new GradientProbe(layer, build.Network.Device), _ => calibration.Backward(),
            probes => LoraPair.ForEach(
                build, (layer, target) => Pair(build, layer, target, probes[target.Path].Gradient)));
    }

    private static LoraPair Pair(
        AdapterBuild build, AdaptableLayer layer, AdapterTarget target, Tensor? gradient)
    {
        if (gradient is null)
            throw new InputException(
                $"init_lora_weights \"lora_ga\": no gradient reached {target.Path}. Take more examples " +
                "to look at.");
        LoraGaConfig settings = ((LoraConfig)build.Config).LoraGaConfig ?? new LoraGaConfig();
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(gradient, fullMatrices: false);
        int rank = target.Rank;
        if (2 * rank > values.shape[0])
            throw new InputException(
                $"{target.Path}: init_lora_weights \"lora_ga\" needs twice the rank {rank} of directions, and its " +
                $"weight has {values.shape[0]}. Lower the rank.");
        (Tensor forA, Tensor forB) = Places(settings.Direction, rank, build.Random);
        (forA, forB) = (forA.to(vh.device), forB.to(vh.device));
        Tensor a = vh.index_select(0, forA), chosen = values.index_select(0, forB),
            b = u.index_select(1, forB) * chosen;
        switch (settings.Scale)
        {
            case "stable":
                b = b * Number(Math.Pow(layer.OutputSize, 0.25) / Math.Sqrt(settings.StableGamma));
                break;
            case "weight_svd":
                double largest = linalg.svdvals(layer.Matrix)[0].item<float>(),
                    first = chosen[0].item<float>();
                if (first > 0) b = b * Number(largest / first);
                break;
            case "gd_scale":
                (a, b) = (a / Number(target.Scale), b / Number(target.Scale));
                break;
        }
        return new LoraPair(a, b);
    }

    private static (Tensor A, Tensor B) Places(string direction, int rank, Generator random) => direction switch
    {
        "ArBr" => (Indices(1, 2 * rank, step: 2), Indices(0, 2 * rank, step: 2)),
        "A2rBr" => (Indices(rank, 2 * rank), Indices(0, rank)),
        "random" when randperm(2 * rank, generator: random).narrow(0, 0, rank) is var drawn => (drawn, drawn),
        _ => (Indices(0, rank), Indices(rank, 2 * rank)),
    };

    // y = inner.Forward(x) + x·Dᵀ with D zero: the gradient of D equals that of W.
    private sealed class GradientProbe(AdaptableLayer layer, Device device) : ISlotAdapter, IDisposable
    {
        private readonly Tensor change = zeros(layer.OutputSize, layer.InputSize, device: device, requires_grad: true)
            .DetachFromDisposeScope();

        public Tensor? Gradient => change.grad;

        public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
            inner.Forward(input).Plus(LinearProduct.Apply(input, change));

        public void Dispose()
        {
            change.grad = null;
            change.Dispose();
        }
    }
}
