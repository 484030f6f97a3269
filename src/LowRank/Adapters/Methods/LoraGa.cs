using System.Text.Json;
using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>LoRA whose pairs start along the largest directions of the weights' gradients.</summary>
public sealed class LoraGaMethod : IAdapterMethod
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
        new("direction", "ArB2r",
            "which directions go to A and which to B") { Choices = ["ArBr", "A2rBr", "ArB2r", "random"] },
        new("scale", "stable", "how the pairs are scaled") { Choices = ["stable", "weight_svd", "gd_scale", "unit"] },
        new("stable_gamma", 16, "the gamma of the stable scale")
        {
            Least = 1, Most = int.MaxValue, Unless = options => options.Text("scale") == "stable" ? null
                : $"has no effect with scale: {options.Text("scale")}; remove it, or set scale: stable",
        },
        new("examples", 32, "number of training examples to look at") { Least = 1, Most = int.MaxValue },
    ];

    /// <inheritdoc/>
    public int CalibrationExamples(MethodOptions options) => options.Whole("examples");

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        InitialWeights = InitialWeights.Method("lora_ga"),
        OtherKeys = OwnKeys.With(shared, "lora_ga_config", new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["direction"] = options.Text("direction"), ["scale"] = options.Text("scale"),
                ["stable_gamma"] = options.Whole("stable_gamma"),
        }),
    };
}

/// <summary>LoRA-GA (arXiv 2407.05000): the pair begins along the largest directions of the gradient of W, so that its
/// first step is near full training's.</summary>
/// <remarks>The directions are those of an exact decomposition, where PEFT takes a randomised one.</remarks>
internal sealed class LoraGaInitializer : ILoraInitializer
{
    public string Name => "lora_ga";

    public bool TakesFromBase => true;

    /// <remarks>The directions depend on data that a saved adapter does not hold.</remarks>
    public bool CanRepeat => false;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        ICalibration calibration = build.RequireCalibration();
        Dictionary<string, GradientProbe> probes = build.Targets.ToDictionary(
            target => target.Path, target => new GradientProbe(build.Sites[target.Path], build.Network.Device));
        foreach ((string path, GradientProbe probe) in probes) build.Sites[path].Slot.Attach(probe);
        try
        {
            calibration.Backward();
            return build.Targets.ToDictionary(
                target => target.Path, target => Pair(build, target, probes[target.Path].Gradient));
        }
        finally
        {
            foreach ((string path, GradientProbe probe) in probes)
            {
                build.Sites[path].Slot.Detach(probe);
                probe.Dispose();
            }
        }
    }

    private static LoraPair Pair(AdapterBuild build, LoraTarget target, Tensor? gradient)
    {
        if (gradient is null)
            throw new InputException(
                $"init_lora_weights \"lora_ga\": no gradient reached {target.Path}. Take more examples " +
                "(method_options.examples).");
        using var noGradient = no_grad();
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(gradient, fullMatrices: false);
        int rank = target.Rank;
        if (2 * rank > values.shape[0])
            throw new InputException(
                $"{target.Path}: init_lora_weights \"lora_ga\" needs twice the rank {rank} of directions, and its " +
                $"weight has {values.shape[0]}. Lower the rank.");
        (Tensor forA, Tensor forB) = Places(Setting(build.Config, "direction", "ArB2r"), rank, build.Random);
        (forA, forB) = (forA.to(vh.device), forB.to(vh.device));
        Tensor a = vh.index_select(0, forA), chosen = values.index_select(0, forB),
            b = u.index_select(1, forB) * chosen;
        switch (Setting(build.Config, "scale", "stable"))
        {
            case "stable":
                b = b * (Math.Pow(build.Sites[target.Path].OutputSize, 0.25) / Math.Sqrt(Gamma(build.Config)));
                break;
            case "weight_svd":
                double largest = linalg.svdvals(build.Sites[target.Path].Matrix)[0].item<float>(),
                    first = chosen[0].item<float>();
                if (first > 0) b = b * (largest / first);
                break;
            case "gd_scale":
                (a, b) = (a / target.Scale, b / target.Scale);
                break;
        }
        return new LoraPair(a, b);
    }

    private static (Tensor A, Tensor B) Places(string direction, int rank, Generator random) => direction switch
    {
        "ArBr" => (arange(1, 2 * rank, 2), arange(0, 2 * rank, 2)),
        "A2rBr" => (arange(rank, 2 * rank), arange(rank)),
        "random" when randperm(2 * rank, generator: random).narrow(0, 0, rank) is var drawn => (drawn, drawn),
        _ => (arange(rank), arange(rank, 2 * rank)),
    };

    private static string Setting(LoraConfig config, string key, string otherwise) =>
        config.Value("lora_ga_config") is { ValueKind: JsonValueKind.Object } settings
            && settings.TryGetProperty(key, out JsonElement value) ? value.GetString() ?? otherwise : otherwise;

    private static double Gamma(LoraConfig config) =>
        config.Value("lora_ga_config") is { ValueKind: JsonValueKind.Object } settings
            && settings.TryGetProperty("stable_gamma", out JsonElement value) ? value.GetDouble() : 16;

    // y = inner.Forward(x) + x·Dᵀ with D zero: the gradient of D is that of W.
    private sealed class GradientProbe(AdaptableLayer site, Device device) : ISlotAdapter, IDisposable
    {
        private readonly Tensor change = zeros(site.OutputSize, site.InputSize, device: device, requires_grad: true)
            .DetachFromDisposeScope();

        public Tensor? Gradient => change.grad;

        public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
            inner.Forward(input) + nn.functional.linear(input, change);

        public void Dispose()
        {
            change.grad = null;
            change.Dispose();
        }
    }
}
