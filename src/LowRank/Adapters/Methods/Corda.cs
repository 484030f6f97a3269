using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>LoRA whose pairs start along the directions of the weights that the data uses most, or least.</summary>
public sealed class CordaMethod : IAdapterMethod
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
        new("mode", "ipm",
            "ipm learns the new task fastest; kpm keeps what the base knows") { Choices = ["ipm", "kpm"] },
        new("examples", 64, "number of training examples to look at") { Least = 1, Most = int.MaxValue },
    ];

    /// <inheritdoc/>
    public int CalibrationExamples(MethodOptions options) => options.Whole("examples");

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        InitialWeights = InitialWeights.Method("corda"),
        OtherKeys = OwnKeys.With(shared, "corda_config", new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["cache_file"] = null, ["corda_method"] = options.Text("mode"), ["covariance_file"] = null,
                ["prune_temporary_fields"] = true,
            ["use_float16_for_covariance"] = false, ["verbose"] = false,
        }),
    };
}

/// <summary>CorDA (arXiv 2406.05223): the pair begins as the directions of W·C, with C the covariance of the layer's
/// inputs: the largest ("ipm", for the new task) or the smallest ("kpm", which keeps what the base knows).</summary>
internal sealed class CordaInitializer : ILoraInitializer
{
    public string Name => "corda";

    public bool TakesFromBase => true;

    /// <remarks>The directions depend on data that a saved adapter does not hold.</remarks>
    public bool CanRepeat => false;

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        bool keeps = build.Config.Value("corda_config") is { ValueKind: JsonValueKind.Object } settings
            && settings.TryGetProperty("corda_method", out JsonElement method) && method.GetString() == "kpm";
        Dictionary<string, InputStatistics> statistics =
            InputStatistics.Collect(build, usesLabels: false, normalizes: true);
        return build.Targets.ToDictionary(target => target.Path, target =>
        {
            using InputStatistics inputs = statistics[target.Path];
            using var scope = NewDisposeScope(); // one layer's decomposition at a time
            return Pair(build.Sites[target.Path].Matrix, inputs.Products / inputs.Calls, target, keeps)
                .MoveToOuterDisposeScope();
        });
    }

    private static LoraPair Pair(Tensor weight, Tensor covariance, LoraTarget target, bool keeps)
    {
        using var noGradient = no_grad();
        (Tensor damped, Tensor inverse) = Invertible(covariance);
        (Tensor u, Tensor values, Tensor vh) =
            linalg.svd(matmul(weight.to(ScalarType.Float64), damped), fullMatrices: false);
        if (target.Rank > values.shape[0])
            throw new InputException(
                $"{target.Path}: rank {target.Rank} is more than its weight can have, {values.shape[0]}. Lower the " +
                "rank, or give this module its own in rank_pattern.");
        long first = keeps ? values.shape[0] - target.Rank : 0;
        Tensor root = values.narrow(0, first, target.Rank).div(target.Scale).sqrt();
        Tensor a = root.unsqueeze(1) * matmul(vh.narrow(0, first, target.Rank), inverse),
            b = u.narrow(1, first, target.Rank) * root;
        return new LoraPair(a.to(ScalarType.Float32), b.to(ScalarType.Float32));
    }

    // As PEFT: a share of the mean variance is added to the diagonal, doubled until the inverse is one.
    private static (Tensor Damped, Tensor Inverse) Invertible(Tensor covariance)
    {
        const double FirstDamp = 0.01, LargestError = 0.05;
        Tensor one = eye(covariance.shape[0], dtype: ScalarType.Float64, device: covariance.device);
        Tensor mean = covariance.diagonal().mean();
        for (double damp = FirstDamp; ; damp *= 2)
        {
            Tensor damped = covariance + one * mean * damp;
            Tensor inverse = linalg.inv(damped);
            if ((matmul(damped, inverse) - one).norm().item<double>() < LargestError) return (damped, inverse);
            if (damp > 1e6)
                throw new InputException(
                    "init_lora_weights \"corda\": the inputs of a layer have no usable covariance. Take more and " +
                    "more different examples.");
        }
    }
}
