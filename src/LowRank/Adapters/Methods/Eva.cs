using System.Text.Json;
using LowRank.Adapters.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>LoRA whose A starts along the directions in which a layer's inputs vary most; layers where a few directions
/// explain much get a higher rank.</summary>
public sealed record EvaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "eva";

    /// <inheritdoc/>
    public string Title => "EVA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2410.07170";

    /// <inheritdoc/>
    public string Summary =>
        "LoRA whose A starts along the directions in which a layer's inputs vary most; layers where a few directions " +
        "explain much get more rank.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.PairKeys.Where(key => key is not "trainable_token_indices" and not "new_tokens")];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        Of("rho", config => config.Rho, (config, value) => config with { Rho = value },
            "a layer may get at most rho times the rank; 1 gives every layer the same rank") with { Least = 1 },
        MethodOption.Create<EvaMethod, int>(
            "examples", method => method.Examples, (method, value) => method with { Examples = value },
            "number of training examples to look at") with { Least = 1, Most = int.MaxValue },
        Of("use_label_mask", config => config.UseLabelMask,
            (config, value) => config with { UseLabelMask = value }, "look only at positions with labels"),
        Of("whiten", config => config.Whiten, (config, value) => config with { Whiten = value },
            "divide each direction by the square root of its singular value"),
        Of("adjust_scaling_factors", config => config.AdjustScalingFactors,
            (config, value) => config with { AdjustScalingFactors = value },
            "keep the scale of layers whose rank changes"),
    ];

    /// <summary>The settings written for the initialisation.</summary>
    public EvaConfig Config { get; init; } = new();

    /// <summary>Number of training examples to examine; 64.</summary>
    public int Examples { get; init; } = 64;

    /// <inheritdoc/>
    public int CalibrationExamples => Examples;

    /// <inheritdoc/>
    public AdapterConfig Configure(LoraConfig shared) =>
        shared with { InitLoraWeights = InitialWeights.Eva, EvaConfig = Config };

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is LoraConfig { UseDora: false, InitLoraWeights.Name: "eva" } lora
            ? this with { Config = lora.EvaConfig ?? new EvaConfig() } : null;

    private static MethodOption Of<T>(
        string name, Func<EvaConfig, T> get, Func<EvaConfig, T, EvaConfig> set, string doc) =>
        MethodOption.Create<EvaMethod, T>(
            name, method => get(method.Config),
            (method, value) => method with { Config = set(method.Config, value) }, doc);
}

/// <summary>How EVA initialises the pairs (PEFT's <c>eva_config</c>).</summary>
public sealed record EvaConfig
{
    /// <summary>The maximum rank of a layer, as a multiple of the rank; 2, at least 1.</summary>
    public double Rho { get; init; } = 2;

    /// <summary>Whether only positions with labels are examined; true.</summary>
    public bool UseLabelMask { get; init; } = true;

    /// <summary>Whether each direction is divided by the square root of its singular value; false.</summary>
    public bool Whiten { get; init; }

    /// <summary>Whether layers keep their scale when their rank changes; true.</summary>
    public bool AdjustScalingFactors { get; init; } = true;

    // The meaning of an omitted key is PEFT's.
    internal static EvaConfig Parse(JsonElement settings) => new()
    {
        Rho = settings.NumberOr("rho", 2.0),
        UseLabelMask = settings.FlagOr("use_label_mask", true),
        Whiten = settings.FlagOr("whiten", false),
        AdjustScalingFactors = settings.FlagOr("adjust_scaling_factors", true),
    };

    internal JsonElement Write() => JsonValues.Map(
        ("adjust_scaling_factors", JsonValues.Flag(AdjustScalingFactors)),
        ("label_mask_value", JsonValues.Whole(-100)), ("rho", JsonValues.Number(Rho)),
        ("tau", JsonValues.Number(0.99)), ("use_label_mask", JsonValues.Flag(UseLabelMask)),
        ("whiten", JsonValues.Flag(Whiten)));
}

/// <summary>EVA (arXiv 2410.07170): A starts as the directions in which a layer's inputs vary most, B starts as zero,
/// and ranks go to the layers whose directions explain most (section 3.2).</summary>
/// <remarks>The directions come from an exact principal component analysis over the calibration examples, which PEFT
/// approximates batch by batch; the sign of a direction is arbitrary.</remarks>
internal sealed class EvaInitializer : ILoraInitializer
{
    public string Name => "eva";

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        EvaConfig settings = ((LoraConfig)build.Config).EvaConfig ?? new EvaConfig();
        Dictionary<string, (Tensor Directions, double[] Shares, Tensor Values)> layers =
            InputStatistics.Collect(build, settings.UseLabelMask, normalizes: false, statistics =>
                build.Targets.ToDictionary(target => target.Path, target => Components(
                    statistics[target.Path],
                    (int)Math.Round(target.Rank * settings.Rho, MidpointRounding.ToEven))));
        Dictionary<string, int> ranks =
            Distribute(build, layers.ToDictionary(layer => layer.Key, layer => layer.Value.Shares));
        Redistribute(build, ranks, settings.AdjustScalingFactors);
        return build.Targets.ToDictionary(target => target.Path, target =>
        {
            (Tensor directions, _, Tensor values) = layers[target.Path];
            Tensor a = directions.narrow(0, 0, target.Rank);
            if (settings.Whiten) a = a / values.narrow(0, 0, target.Rank).sqrt().unsqueeze(1);
            return new LoraPair(a, zeros(build.Layers[target.Path].OutputSize, target.Rank));
        });
    }

    // The leading directions [count, in], the fraction of the variance that each explains, and their singular values.
    private static (Tensor, double[], Tensor) Components(InputStatistics inputs, int count)
    {
        using var noGradient = no_grad();
        Tensor mean = inputs.Sum / Number(inputs.Count);
        Tensor scatter = inputs.Products - outer(mean, mean) * Number(inputs.Count); // Σ(x − mean)(x − mean)ᵀ
        (Tensor values, Tensor vectors) = linalg.eigh(scatter);
        long most = Math.Min(Math.Min(count, inputs.Count), values.shape[0]);
        Tensor leading = values.flip(0).narrow(0, 0, most).clamp_min(Number(0));
        double whole = values.clamp_min(Number(0)).sum().item<double>();
        double[] shares = [.. leading.cpu().data<double>().ToArray().Select(value => whole > 0 ? value / whole : 0)];
        return (vectors.flip(1).narrow(1, 0, most).t().to(ScalarType.Float32), shares,
            leading.sqrt().to(ScalarType.Float32));
    }

    // The whole budget goes to the directions that explain most, in any layer.
    private static Dictionary<string, int> Distribute(AdapterBuild build, Dictionary<string, double[]> shares)
    {
        int budget = build.Targets.Sum(target => target.Rank);
        string[] chosen =
            [.. build.Targets.SelectMany(target => shares[target.Path].Select(share => (target.Path, Share: share)))
            .OrderByDescending(direction => direction.Share).Take(budget).Select(direction => direction.Path)];
        return build.Targets.ToDictionary(target => target.Path, target => chosen.Count(path => path == target.Path));
    }

    // A layer without directions is no longer a target; with the scale kept, every layer learns at the same rate.
    private static void Redistribute(AdapterBuild build, Dictionary<string, int> ranks, bool adjusts)
    {
        var config = (LoraConfig)build.Config;
        double Alpha(AdapterTarget target) => adjusts ? target.Alpha * ranks[target.Path] / target.Rank : target.Alpha;
        List<AdapterTarget> targets = [.. build.Targets.Where(target => ranks[target.Path] > 0)
            .Select(target =>
            target with { Rank = ranks[target.Path], Alpha = Alpha(target),
            Scale = config.Scale(ranks[target.Path], Alpha(target)) })];
        string[] dropped = [.. ranks.Where(rank => rank.Value == 0).Select(rank => rank.Key)];
        IEnumerable<string> excluded = [.. config.ExcludeModules?.Names ?? [], .. dropped];
        build.Revise(config with
        {
            RankPattern = new OrderedDictionary<string, int>(
                targets.Where(target => target.Rank != config.Rank)
                .Select(target => KeyValuePair.Create(target.Path, target.Rank))),
            AlphaPattern = new OrderedDictionary<string, ConfigNumber>(
                targets.Where(target => target.Alpha != config.Alpha.Value)
                .Select(target => KeyValuePair.Create(target.Path, (ConfigNumber)target.Alpha))),
            ExcludeModules = dropped.Length == 0 ? config.ExcludeModules : [.. excluded],
        }, targets);
    }
}
