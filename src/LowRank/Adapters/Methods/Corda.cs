using System.Text.Json;
using LowRank.Adapters.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA whose pairs start along the directions of the weights that the data uses most, or least.</summary>
public sealed record CordaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "corda";

    /// <inheritdoc/>
    public string Title => "CorDA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2406.05223";

    /// <inheritdoc/>
    public string Summary =>
        "LoRA whose pairs start along the directions of the weights that the data uses most, or least.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => AdapterMethods.PairKeys;

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        MethodOption.Create<CordaMethod, string>(
            "mode", method => method.Config.Mode,
            (method, value) => method with { Config = method.Config with { Mode = value } },
            "ipm learns the new task fastest; kpm keeps what the base knows") with { Choices = ["ipm", "kpm"] },
        MethodOption.Create<CordaMethod, int>(
            "examples", method => method.Examples, (method, value) => method with { Examples = value },
            "number of training examples to look at") with { Least = 1, Most = int.MaxValue },
    ];

    /// <summary>The settings written for the initialisation.</summary>
    public CordaConfig Config { get; init; } = new();

    /// <summary>Number of training examples to examine; 64.</summary>
    public int Examples { get; init; } = 64;

    /// <inheritdoc/>
    public int CalibrationExamples => Examples;

    /// <inheritdoc/>
    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { InitLoraWeights = InitialWeights.Corda, CordaConfig = Config };

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoraConfig { UseDora: false, InitLoraWeights.Name: "corda" } lora
            ? this with { Config = lora.CordaConfig ?? new CordaConfig() } : null;
}

/// <summary>How CorDA initialises the pairs (PEFT's <c>corda_config</c>).</summary>
public sealed record CordaConfig
{
    /// <summary>"ipm" starts with the largest directions and learns the new task fastest; "kpm" starts with the
    /// smallest, which preserves the base's knowledge; ipm.</summary>
    public string Mode { get; init; } = "ipm";

    internal static CordaConfig Parse(JsonElement settings) => new() { Mode = settings.TextOr("corda_method", "ipm") };

    internal JsonElement Write() => JsonValues.Map(
        ("cache_file", JsonValues.Null), ("corda_method", JsonValues.Text(Mode)), ("covariance_file", JsonValues.Null),
        ("prune_temporary_fields", JsonValues.Flag(true)), ("use_float16_for_covariance", JsonValues.Flag(false)),
        ("verbose", JsonValues.Flag(false)));
}

/// <summary>CorDA (arXiv 2406.05223): the pair starts as directions of W·C, where C is the covariance of the layer's
/// inputs: the largest ("ipm", for the new task) or the smallest ("kpm", which preserves the base's
/// knowledge).</summary>
internal sealed class CordaInitializer : ILoraInitializer
{
    public string Name => "corda";

    public bool StartsFromBase => true;

    /// <remarks>The directions depend on data that a saved adapter does not contain.</remarks>
    public bool CanRepeat => false;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        bool keeps = ((LoraConfig)build.Config).CordaConfig?.Mode == "kpm";
        return InputStatistics.Collect(build, usesLabels: false, normalizes: true, statistics =>
            LoraPair.ForEach(build, (layer, target) =>
        {
            InputStatistics inputs = statistics[target.Path];
            return Pair(layer.Matrix, inputs.Products / Number(inputs.Calls), target, keeps);
        }));
    }

    private static LoraPair Pair(Tensor weight, Tensor covariance, AdapterTarget target, bool keeps)
    {
        (Tensor damped, Tensor inverse) = Invertible(covariance);
        (Tensor u, Tensor values, Tensor vh) =
            linalg.svd(matmul(weight.to(ScalarType.Float64), damped), fullMatrices: false);
        if (target.Rank > values.shape[0])
            throw new InputException(
                $"{target.Path}: rank {target.Rank} is more than its weight can have, {values.shape[0]}. Lower the " +
                "rank, or give this module its own in rank_pattern.");
        long first = keeps ? values.shape[0] - target.Rank : 0;
        Tensor root = values.narrow(0, first, target.Rank).div(Number(target.Scale)).sqrt();
        Tensor a = root.unsqueeze(1) * matmul(vh.narrow(0, first, target.Rank), inverse),
            b = u.narrow(1, first, target.Rank) * root;
        return new LoraPair(a.to(ScalarType.Float32), b.to(ScalarType.Float32));
    }

    // As in PEFT: a fraction of the mean variance is added to the diagonal and doubled until the matrix can be
    // inverted.
    private static (Tensor Damped, Tensor Inverse) Invertible(Tensor covariance)
    {
        const double FirstDamp = 0.01, LargestError = 0.05;
        Tensor one = eye(covariance.shape[0], dtype: ScalarType.Float64, device: covariance.device);
        Tensor mean = covariance.diagonal().mean();
        for (double damp = FirstDamp; ; damp *= 2)
        {
            Tensor damped = covariance.Plus(one * mean * Number(damp));
            Tensor inverse = linalg.inv(damped);
            if ((matmul(damped, inverse) - one).norm().item<double>() < LargestError) return (damped, inverse);
            if (damp > 1e6)
                throw new InputException(
                    "init_lora_weights \"corda\": the inputs of a layer have no usable covariance. Take more and " +
                    "more different examples.");
        }
    }
}
