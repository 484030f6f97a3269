using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.IO;
using LowRank.Kernels;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>Pairs in the form of a singular value decomposition; training gives more directions to the layers where
/// they matter.</summary>
public sealed class AdaLoraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "adalora";

    /// <inheritdoc/>
    public string Title => "AdaLoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2303.10512";

    /// <inheritdoc/>
    public string Summary =>
        "Pairs in the form of a singular value decomposition; training gives more directions to the layers where " +
        "they matter.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.TargetKeys, "rank", "alpha", "dropout", "bias"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("initial_rank", 0,
            "rank of every layer at the start; 0 for one and a half times the rank") { Most = int.MaxValue },
        new("start_steps", 0, "steps before directions are dropped") { Most = int.MaxValue },
        new("final_steps", 0, "number of last steps, in which the directions no longer change") { Most = int.MaxValue },
        new("interval", 1, "steps between two selections of directions") { Least = 1, Most = int.MaxValue },
        new("beta1", 0.85, "smoothing of a weight's importance") { Least = 1e-6, Most = 0.999999 },
        new("beta2", 0.85, "smoothing of the uncertainty of its importance") { Least = 1e-6, Most = 0.999999 },
        new("orthogonal_weight", 0.5, "weight of the penalty that keeps A and B orthogonal"),
    ];

    /// <inheritdoc/>
    public double DefaultLearningRate => 1e-3;

    /// <inheritdoc/>
    public ITrainingHooks Rules(Adapter adapter, MethodOptions options) => new AdaLoraHooks(adapter);

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "ADALORA",
        OtherKeys = OwnKeys.With(
            shared, ("init_r", options.Whole("initial_rank") is > 0 and var rank ? rank : (shared.Rank * 3 + 1) / 2),
            ("target_r", shared.Rank),
            ("tinit", options.Whole("start_steps")), ("tfinal", options.Whole("final_steps")),
            ("deltaT", options.Whole("interval")),
            ("beta1", options.Number("beta1")), ("beta2", options.Number("beta2")),
            ("orth_reg_weight", options.Number("orthogonal_weight"))),
    };
}

/// <summary>PEFT's ADALORA (arXiv 2303.10512).</summary>
internal sealed class AdaLoraType : IAdapterType
{
    /// <summary>The key that holds which directions each layer keeps.</summary>
    public const string RankPattern = "rank_pattern";

    private const string Ending = ".lora_E";

    public string PeftType => "ADALORA";

    public string Label => "AdaLoRA";

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. LoraConfigKeys.All.Where(
            key => key.Name is not RankPattern and not "init_lora_weights" and not "lora_bias" and not "use_dora"
            and not "trainable_token_indices"),
        new("beta1", "0.85", Number),
        new("beta2", "0.85", Number),
        new("deltaT", "1", Integer),
        new("init_lora_weights", "true", JsonShape.Boolean | Text | Null,
        new((value, _) => value.ValueKind is JsonValueKind.True or JsonValueKind.False, "true or false",
        "AdaLoRA begins in its own way")),
        new("init_r", "12", Integer),
        new("lora_bias", "false", JsonShape.Boolean,
        new((value, _) => value.ValueKind == JsonValueKind.False, "false", "AdaLoRA has no bias on B; use LoRA")),
        new("orth_reg_weight", "0.5", Number),
        new(RankPattern, "null", Map | Null, IsOwn: true),
        new("target_r", "8", Integer),
        new("tfinal", "0", Integer),
        new("tinit", "0", Integer),
        new("total_step", "null", Integer | Null),
        new("trainable_token_indices", "null", IntegerList | Map | Null,
        new((value, _) => value.ValueKind == JsonValueKind.Null, "null", "AdaLoRA trains no tokens; use LoRA")),
        new("use_dora", "false", JsonShape.Boolean,
        new((value, _) => value.ValueKind == JsonValueKind.False, "false", "AdaLoRA has no magnitudes; use DoRA")),
    ];

    public IEnumerable<string> Problems(LoraConfig config)
    {
        foreach (string problem in LoraConfigRules.Problems(config)) yield return problem;
        foreach (string key in new[] { "beta1", "beta2" })
            if (config.Number(key) is not (> 0 and < 1))
                yield return $"{key}: found {config.Number(key)}, expected more than 0 and less than 1";
        if (config.Number("orth_reg_weight") < 0)
            yield return $"orth_reg_weight: found {config.Number("orth_reg_weight")}, expected at least 0";
        if (config.Whole("init_r") < 1) yield return $"init_r: found {config.Whole("init_r")}, expected at least 1";
        if (config.Whole("target_r") < 1 || config.Whole("target_r") > config.Whole("init_r"))
            yield return $"target_r: found {config.Whole("target_r")}, expected 1 to init_r, {config.Whole("init_r")}";
        foreach (string key in new[] { "tinit", "tfinal" })
            if (config.Whole(key) < 0) yield return $"{key}: found {config.Whole(key)}, expected at least 0";
        if (config.Whole("deltaT") < 1) yield return $"deltaT: found {config.Whole("deltaT")}, expected at least 1";
        if (config.Value("total_step") is { ValueKind: JsonValueKind.Number } total
            && total.GetInt32() <= config.Whole("tinit") + config.Whole("tfinal"))
            yield return $"total_step: found {total}, expected more than tinit and tfinal together, " +
                $"{config.Whole("tinit") + config.Whole("tfinal")}";
    }

    public IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            int rank = Kept(config, target.Path)?.Count(kept => kept) ?? config.Whole("init_r");
            string key = PeftTensorKeys.Prefix + target.Path;
            yield return new AdapterTensor(
                key + ".lora_A", [rank, byPath[target.Path].InputSize], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(
                key + ".lora_B", [byPath[target.Path].OutputSize, rank], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(key + Ending, [rank, 1], target.Path, AdapterTensorPart.Own);
        }
    }

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdaptableLayer site = build.Sites[target.Path];
        using var scope = NewDisposeScope();
        int rank = build.Config.Whole("init_r");
        bool changes = build.Config.InitialWeights.Name != "true";
        Tensor Normal(int rows, int columns) => empty(rows, columns).normal_(0, changes ? 1 : 0.02, build.Random);
        double alpha = build.Config.Alpha.Value;
        // The scale keeps the rank that training began with, however many directions are left (SVDLinear.ranknum).
        return new AdaptedLayer(site, new AdaLoraLayer(
            build.Take(target.Path, ".lora_A", () => Normal(rank, site.InputSize)),
            build.Take(target.Path, ".lora_B", () => Normal(site.OutputSize, rank)),
            build.Take(target.Path, Ending, () => changes ? Normal(rank, 1) : zeros(rank, 1)),
            (alpha > 0 ? alpha : rank) / (rank + 1e-5), build.Config.Dropout.Value));
    })];

    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) =>
        KindKeys.ModulesOf(file, ".lora_A").Select(path =>
    {
        using var scope = NewDisposeScope();
        Tensor Read(string ending) => file.Map(PeftTensorKeys.Prefix + path + ending);
        Tensor a = Read(".lora_A"), b = Read(".lora_B");
        int first = config.Whole("init_r");
        double alpha = config.Alpha.Value, scale = (alpha > 0 ? alpha : first) / (first + 1e-5);
        DeltaSpectrum delta = a.shape[0] == 0 ? DeltaSpectrum.Of(zeros(1, 1))
            : DeltaSpectrum.Of(a * Read(Ending), b, scale);
        return new ModuleSummary(
            path, (int)a.shape[0], alpha, scale, b.shape[0], a.shape[1],
            delta) { Parameters = a.shape[0] * (a.shape[1] + b.shape[0] + 1) };
    });

    /// <summary>Drops the directions that are masked, as PEFT does when it saves.</summary>
    public AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts)
    {
        using var noGradient = no_grad();
        List<KeyValuePair<string, Tensor>> weights = [];
        foreach (IAdapterPart part in parts)
        {
            bool[]? kept = part is AdaptedLayer { Layer: AdaLoraLayer layer } module
                && Kept(config, module.Site.Path) is { } mask
                && mask.Count == layer.A.shape[0] && mask.Contains(false) ? [.. mask] : null;
            weights.AddRange(
                kept is null ? part.Weights
                : part.Weights.Select(weight => KeyValuePair.Create(weight.Key, Masked(weight, kept))));
        }
        return new AdapterExport(config, weights);
    }

    /// <summary>Which directions of a layer are kept; null where the config does not say.</summary>
    public static IReadOnlyList<bool>? Kept(LoraConfig config, string path)
    {
        if (config.Value(RankPattern) is not { ValueKind: JsonValueKind.Object } pattern) return null;
        foreach (JsonProperty entry in pattern.EnumerateObject())
            if (Normal(entry.Name) == path) return [.. entry.Value.EnumerateArray().Select(kept => kept.GetBoolean())];
        return null;
    }

    /// <summary>A config that says which directions each layer keeps.</summary>
    public static LoraConfig WithKept(LoraConfig config, IEnumerable<KeyValuePair<string, bool[]>> kept) => config with
    {
        OtherKeys = new Dictionary<string, JsonElement>(config.OtherKeys)
        {
            [RankPattern] = JsonSerializer.SerializeToElement(
                kept.ToDictionary(layer => layer.Key + Ending, layer => layer.Value)),
        },
    };

    private static Tensor Masked(KeyValuePair<string, Tensor> weight, bool[] kept)
    {
        long[] places = [.. Enumerable.Range(0, kept.Length).Where(place => kept[place]).Select(place => (long)place)];
        return weight.Value.index_select(weight.Key.EndsWith(".lora_B", StringComparison.Ordinal) ? 1
            : 0, tensor(places, device: weight.Value.device));
    }

    // PEFT writes "model.….q_proj.lora_E", in some versions with the adapter's name after it or "base_model.model."
    // before.
    private static string Normal(string name)
    {
        string plain = name.EndsWith(".default", StringComparison.Ordinal) ? name[..^".default".Length] : name;
        if (plain.EndsWith(Ending, StringComparison.Ordinal)) plain = plain[..^Ending.Length];
        return plain.StartsWith(PeftTensorKeys.Prefix, StringComparison.Ordinal)
            ? plain[PeftTensorKeys.Prefix.Length..] : plain;
    }
}

/// <summary>AdaLoRA on a linear layer: the change is s·B·diag(E)·A, a singular value decomposition in form, whose
/// values E are set to zero where they matter least (arXiv 2303.10512, equation 3).</summary>
/// <param name="a">A, [rank, in], float32.</param>
/// <param name="b">B, [out, rank].</param>
/// <param name="values">E, [rank, 1].</param>
/// <param name="scale">s.</param>
/// <param name="probability">Dropout on the input while training, in [0, 1).</param>
public sealed class AdaLoraLayer(Tensor a, Tensor b, Tensor values, double scale, double probability) : IAdapterLayer
{
    /// <summary>A, [rank, in].</summary>
    public Tensor A => a;

    /// <summary>B, [out, rank].</summary>
    public Tensor B => b;

    /// <summary>E, [rank, 1].</summary>
    public Tensor Values => values;

    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".lora_A", a), KeyValuePair.Create(".lora_B", b), KeyValuePair.Create(".lora_E", values)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor reduced = nn.functional.linear(Dropout.Apply(input, probability, dropout), a * values);
        return inner.Forward(input).add(nn.functional.linear(reduced, b), scale * Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(matmul(b, a * values), scale * Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
        values.Dispose();
    }
}

/// <summary>AdaLoRA's training (arXiv 2303.10512): the penalty that keeps A and B orthogonal (equation 4), the
/// importance of each direction (equations 8 to 11) and the budget that falls from the initial rank to the target
/// (equation 12).</summary>
public sealed class AdaLoraHooks : ITrainingHooks
{
    private readonly Adapter adapter;
    private readonly (string Path, AdaLoraLayer Layer)[] layers;
    private readonly Dictionary<Tensor, (Tensor Sensitivity, Tensor Uncertainty)> averages =
        new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<string, Tensor> kept; // 1 for a direction that is kept, [rank] of each layer
    private readonly double beta1;
    private readonly double beta2;
    private readonly double penaltyWeight;
    private readonly int startSteps;
    private readonly int finalSteps;
    private readonly int interval;
    private readonly int targetRank;
    private long totalSteps;

    /// <summary>Takes the settings from the adapter's config.</summary>
    public AdaLoraHooks(Adapter adapter)
    {
        this.adapter = adapter;
        LoraConfig config = adapter.Config;
        layers = [.. adapter.Layers.Select(layer => (layer.Key, (AdaLoraLayer)layer.Value))];
        (beta1, beta2, penaltyWeight) =
            (config.Number("beta1"), config.Number("beta2"), config.Number("orth_reg_weight"));
        (startSteps, finalSteps, interval, targetRank) =
            (config.Whole("tinit"), config.Whole("tfinal"), config.Whole("deltaT"), config.Whole("target_r"));
        kept = layers.ToDictionary(layer => layer.Path, layer => ones(layer.Layer.A.shape[0]).DetachFromDisposeScope());
        foreach (Tensor weight in layers.SelectMany(layer => Weights(layer.Layer)))
            averages[weight] =
                (zeros_like(weight, requires_grad: false).DetachFromDisposeScope(),
                zeros_like(weight, requires_grad: false).DetachFromDisposeScope());
    }

    private int InitialBudget => (int)layers.Sum(layer => layer.Layer.A.shape[0]);

    private int TargetBudget => targetRank * layers.Length;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> State =>
    [
        .. layers.SelectMany(
            layer => new[] { ("A", layer.Layer.A), ("B", layer.Layer.B), ("E", layer.Layer.Values) }.SelectMany(
                part => new[]
        {
            KeyValuePair.Create($"{layer.Path}.{part.Item1}.sensitivity", averages[part.Item2].Sensitivity),
            KeyValuePair.Create($"{layer.Path}.{part.Item1}.uncertainty", averages[part.Item2].Uncertainty),
        })),
        .. kept.Select(layer => KeyValuePair.Create($"{layer.Key}.kept", layer.Value)),
    ];

    /// <inheritdoc/>
    /// <exception cref="InputException">The run is shorter than its first and last steps together.</exception>
    public void Start(long totalSteps, double learningRate)
    {
        this.totalSteps = totalSteps;
        if (totalSteps <= startSteps + finalSteps)
            throw new InputException(
                $"adalora: method_options.start_steps and final_steps are {startSteps + finalSteps} together, " +
                $"expected fewer than the run's {totalSteps} steps.");
        adapter.Revise(adapter.Config with
        {
            OtherKeys = OwnKeys.With(adapter.Config, ("total_step", (int)Math.Min(int.MaxValue, totalSteps))),
        });
    }

    /// <inheritdoc/>
    public Tensor? Penalty()
    {
        if (penaltyWeight == 0) return null;
        Tensor sum = zeros(1, device: layers[0].Layer.A.device);
        foreach ((string _, AdaLoraLayer layer) in layers)
            sum = sum + Distance(matmul(layer.A, layer.A.t())) + Distance(matmul(layer.B.t(), layer.B));
        return (sum * (penaltyWeight / (2 * layers.Length))).sum();
    }

    /// <inheritdoc/>
    public void BeforeUpdate()
    {
        // Importance is measured after the step, as PEFT does.
    }

    /// <inheritdoc/>
    public void AfterUpdate(long step)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        long end = totalSteps - finalSteps;
        if (step > end)
        {
            Apply();
            return;
        }
        if (step < end) Measure();
        if (step == end || (step > startSteps && step % interval == 0)) Choose(Budget(step));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Tensor sensitivity, Tensor uncertainty) in averages.Values)
        {
            sensitivity.Dispose();
            uncertainty.Dispose();
        }
        foreach (Tensor mask in kept.Values) mask.Dispose();
    }

    /// <summary>How many directions all layers together keep at a step: the whole budget at first, then a cubic fall to
    /// the target.</summary>
    internal int Budget(long step)
    {
        if (step <= startSteps) return InitialBudget;
        if (step > totalSteps - finalSteps) return TargetBudget;
        double left = 1 - (double)(step - startSteps) / (totalSteps - finalSteps - startSteps);
        return (int)((InitialBudget - TargetBudget) * Math.Pow(left, 3) + TargetBudget);
    }

    // Smoothed |w·gradient| and how much it wavers.
    private void Measure()
    {
        foreach ((Tensor weight, (Tensor sensitivity, Tensor uncertainty)) in averages)
        {
            if (weight.grad is not { } gradient) continue;
            Tensor now = (weight * gradient).abs();
            sensitivity.mul_(beta1).add_(now, 1 - beta1);
            uncertainty.mul_(beta2).add_((now - sensitivity).abs(), 1 - beta2);
        }
    }

    // Values of the directions that matter least are set to zero: as many as the budget leaves out.
    private void Choose(int budget)
    {
        int left = InitialBudget - budget;
        if (left == 0) return;
        Tensor[] scores = [.. layers.Select(layer => Score(layer.Layer))];
        float threshold = cat(scores).sort().Values[left - 1].item<float>();
        for (int i = 0; i < layers.Length; i++) kept[layers[i].Path].copy_(scores[i] > threshold);
        Apply();
    }

    // The config says it too, as a save drops the directions.
    private void Apply()
    {
        foreach ((string path, AdaLoraLayer layer) in layers)
            layer.Values.mul_(kept[path].to(layer.Values.device).unsqueeze(1));
        adapter.Revise(AdaLoraType.WithKept(adapter.Config, kept.Select(layer =>
            KeyValuePair.Create(layer.Key, layer.Value.data<float>().ToArray().Select(mask => mask != 0).ToArray()))));
    }

    // Of each direction: the importance of its value, and the mean importance of its entries in A and B.
    private Tensor Score(AdaLoraLayer layer)
    {
        Tensor Importance(Tensor weight) => averages[weight].Sensitivity * averages[weight].Uncertainty;
        return (Importance(layer.Values).view(-1) + Importance(layer.A).mean([1])
            + Importance(layer.B).mean([0])).cpu();
    }

    private static Tensor Distance(Tensor square) => (square - eye(square.shape[0], device: square.device)).norm();

    private static IEnumerable<Tensor> Weights(AdaLoraLayer layer) => [layer.A, layer.B, layer.Values];
}
