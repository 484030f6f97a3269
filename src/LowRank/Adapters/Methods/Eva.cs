using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>LoRA whose A starts along the directions in which a layer's inputs vary most; layers where a few directions
/// explain much get more rank.</summary>
public sealed class EvaMethod : IAdapterMethod
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
        new("rho", 2.0, "a layer may get at most rho times the rank; 1 gives every layer the same rank") { Least = 1 },
        new("examples", 64, "number of training examples to look at") { Least = 1, Most = int.MaxValue },
        new("use_label_mask", true, "look only at positions with labels"),
        new("whiten", false, "divide each direction by the square root of its singular value"),
        new("adjust_scaling_factors", true, "keep the scale of layers whose rank changes"),
    ];

    /// <inheritdoc/>
    public int CalibrationExamples(MethodOptions options) => options.Whole("examples");

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        InitialWeights = InitialWeights.Method("eva"),
        OtherKeys = OwnKeys.With(shared, "eva_config", new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["adjust_scaling_factors"] = options.Flag("adjust_scaling_factors"), ["label_mask_value"] = -100,
                ["rho"] = options.Number("rho"),
            ["tau"] = 0.99, ["use_label_mask"] = options.Flag("use_label_mask"), ["whiten"] = options.Flag("whiten"),
        }),
    };
}

/// <summary>EVA (arXiv 2410.07170): A begins as the directions in which a layer's inputs vary most, B as zero, and
/// ranks go to the layers whose directions explain most (section 3.2).</summary>
/// <remarks>The directions are those of an exact principal component analysis over the calibration examples, where PEFT
/// approximates them batch by batch; the sign of a direction is free.</remarks>
internal sealed class EvaInitializer : ILoraInitializer
{
    public string Name => "eva";

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build)
    {
        double rho = Setting(build.Config, "rho", 2.0);
        bool usesLabels = Setting(build.Config, "use_label_mask", true),
            whitens = Setting(build.Config, "whiten", false),
            adjusts = Setting(build.Config, "adjust_scaling_factors", true);
        Dictionary<string, InputStatistics> statistics = InputStatistics.Collect(build, usesLabels, normalizes: false);
        Dictionary<string, (Tensor Directions, double[] Shares, Tensor Values)> layers =
            build.Targets.ToDictionary(target => target.Path,
            target => Components(statistics[target.Path], (int)Math.Round(target.Rank * rho, MidpointRounding.ToEven)));
        foreach (InputStatistics recorder in statistics.Values) recorder.Dispose();
        Dictionary<string, int> ranks =
            Distribute(build, layers.ToDictionary(layer => layer.Key, layer => layer.Value.Shares));
        Redistribute(build, ranks, adjusts);
        return build.Targets.ToDictionary(target => target.Path, target =>
        {
            (Tensor directions, _, Tensor values) = layers[target.Path];
            Tensor a = directions.narrow(0, 0, target.Rank);
            if (whitens) a = a / values.narrow(0, 0, target.Rank).sqrt().unsqueeze(1);
            return new LoraPair(a, zeros(build.Sites[target.Path].OutputSize, target.Rank));
        });
    }

    // The leading directions [count, in], the share of the variance that each explains, and their singular values.
    private static (Tensor, double[], Tensor) Components(InputStatistics inputs, int count)
    {
        using var noGradient = no_grad();
        Tensor mean = inputs.Sum / inputs.Count;
        Tensor scatter = inputs.Products - outer(mean, mean) * inputs.Count; // Σ(x − mean)(x − mean)ᵀ
        (Tensor values, Tensor vectors) = linalg.eigh(scatter);
        long most = Math.Min(Math.Min(count, inputs.Count), values.shape[0]);
        Tensor leading = values.flip(0).narrow(0, 0, most).clamp_min(0);
        double whole = values.clamp_min(0).sum().item<double>();
        double[] shares = [.. leading.cpu().data<double>().ToArray().Select(value => whole > 0 ? value / whole : 0)];
        return (vectors.flip(1).narrow(1, 0, most).t().to(ScalarType.Float32), shares,
            leading.sqrt().to(ScalarType.Float32));
    }

    // The whole budget goes to the directions that explain most, whichever layer they belong to.
    private static Dictionary<string, int> Distribute(AdapterBuild build, Dictionary<string, double[]> shares)
    {
        int budget = build.Targets.Sum(target => target.Rank);
        string[] chosen =
            [.. build.Targets.SelectMany(target => shares[target.Path].Select(share => (target.Path, Share: share)))
            .OrderByDescending(direction => direction.Share).Take(budget).Select(direction => direction.Path)];
        return build.Targets.ToDictionary(target => target.Path, target => chosen.Count(path => path == target.Path));
    }

    // A layer without a direction is no target any more; with the scale kept, every layer learns at the same pace.
    private static void Redistribute(AdapterBuild build, Dictionary<string, int> ranks, bool adjusts)
    {
        LoraConfig config = build.Config;
        double Alpha(LoraTarget target) => adjusts ? target.Alpha * ranks[target.Path] / target.Rank : target.Alpha;
        List<LoraTarget> targets = [.. build.Targets.Where(target => ranks[target.Path] > 0)
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
            ExcludeModules = dropped.Length == 0 ? config.ExcludeModules : ModuleSelection.Of([.. excluded]),
        }, targets);
    }

    private static double Setting(LoraConfig config, string key, double otherwise) =>
        Find(config, key) is { ValueKind: JsonValueKind.Number } value ? value.GetDouble() : otherwise;

    private static bool Setting(LoraConfig config, string key, bool otherwise) =>
        Find(config, key) is { ValueKind: JsonValueKind.True or JsonValueKind.False } value
            ? value.GetBoolean() : otherwise;

    private static JsonElement? Find(LoraConfig config, string key) =>
        config.Value("eva_config") is { ValueKind: JsonValueKind.Object } settings
            && settings.TryGetProperty(key, out JsonElement value) ? value : null;
}
