using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.IO;
using LowRank.Kernels;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>All layers share one frozen random pair; each layer trains two small vectors.</summary>
internal sealed record VeraMethod : IAdapterMethod
{
    public string Name => "vera";

    public string Title => "VeRA";

    public string Paper => "arXiv 2310.11454";

    public string Summary => "All layers share one frozen random pair; each layer trains two small vectors.";

    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.TargetKeys.Where(key => key != "exclude_modules"), "rank", "dropout", "bias"];

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        Of("d_initial", config => config.DInitial, (config, value) => config with { DInitial = value },
            "initial value of the vector over the rank"),
        Of("projection_seed", config => config.ProjectionPrngKey,
            (config, value) => config with { ProjectionPrngKey = value }, "seed of the random pair")
            with { Most = int.MaxValue },
        Of("save_projection", config => config.SaveProjection,
            (config, value) => config with { SaveProjection = value },
            "save the random pair in the file; otherwise it is generated again from the seed"),
    ];

    /// <summary>The config with the method's own settings.</summary>
    public VeraConfig Config { get; init; } = new();

    public int DefaultRank => new VeraConfig().Rank;

    public double DefaultLearningRate => 2e-3;

    public AdapterConfig Configure(LoraConfig shared) => (Config with
    {
        Rank = shared.Rank,
        Dropout = shared.Dropout,
        Bias = shared.Bias,
        InitWeights = shared.InitLoraWeights == InitialWeights.True,
    }).WithModulesOf(shared);

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is VeraConfig own ? this with { Config = own } : null;

    private static MethodOption Of<T>(
        string name, Func<VeraConfig, T> get, Func<VeraConfig, T, VeraConfig> set, string doc) =>
        MethodOption.Create<VeraMethod, T>(
            name, method => get(method.Config),
            (method, value) => method with { Config = set(method.Config, value) }, doc);
}

/// <summary>Settings of VeRA (arXiv 2310.11454).</summary>
public sealed record VeraConfig : AdapterConfig
{
    /// <inheritdoc/>
    public override IAdapterType Type => VeraType.Instance;

    /// <summary>The rank of the random pair (<c>r</c>); 256, at least 1.</summary>
    public int Rank { get; init; } = 256;

    /// <summary>Dropout on the input while training (<c>vera_dropout</c>), 0 to 1; 0.</summary>
    public double Dropout { get; init; }

    /// <summary>Which biases of the base are trained (<c>bias</c>), none or those of adapted layers; none.</summary>
    public BiasTraining Bias { get; init; }

    /// <summary>Initial value of the vector over the rank (<c>d_initial</c>); 0.1.</summary>
    public double DInitial { get; init; } = 0.1;

    /// <summary>The seed of the random pair (<c>projection_prng_key</c>); 0.</summary>
    public int ProjectionPrngKey { get; init; }

    /// <summary>Whether the file contains the random pair (<c>save_projection</c>); true. Otherwise it is regenerated
    /// from the seed.</summary>
    public bool SaveProjection { get; init; } = true;

    /// <summary>Whether the change starts as zero (<c>init_weights</c>); true.</summary>
    public bool InitWeights { get; init; } = true;

    internal override BiasTraining TrainedBiases => Bias;
}

/// <summary>PEFT's VERA (arXiv 2310.11454).</summary>
internal sealed class VeraType : IAdapterType
{
    private const string KeyA = "base_model.vera_A", KeyB = "base_model.vera_B";

    /// <summary>The single instance.</summary>
    public static VeraType Instance { get; } = new();

    public string PeftType => "VERA";

    public string Label => "VeRA";

    public IReadOnlyList<ConfigKey> Keys { get; } =
    [
        .. PeftKeys.Layered.Where(key => key.Name != "exclude_modules"),
        PeftKeys.Bias<VeraConfig>(config => config.Bias, (config, value) => config with { Bias = value }),
        ConfigKey.Number<VeraConfig>(
            "d_initial", 0.1, config => config.DInitial, (config, value) => config with { DInitial = value }),
        PeftKeys.FanInFanOut,
        ConfigKey.Flag<VeraConfig>(
            "init_weights", true, config => config.InitWeights,
            (config, value) => config with { InitWeights = value }),
        ConfigKey.Whole<VeraConfig>(
            "projection_prng_key", 0, config => config.ProjectionPrngKey,
            (config, value) => config with { ProjectionPrngKey = value }),
        ConfigKey.Whole<VeraConfig>(
            "r", 256, config => config.Rank, (config, value) => config with { Rank = value }),
        ConfigKey.Flag<VeraConfig>(
            "save_projection", true, config => config.SaveProjection,
            (config, value) => config with { SaveProjection = value }),
        ConfigKey.Number<VeraConfig>(
            "vera_dropout", 0, config => config.Dropout, (config, value) => config with { Dropout = value }),
    ];

    public AdapterConfig Create() => new VeraConfig();

    public IEnumerable<string> Problems(AdapterConfig any)
    {
        var config = (VeraConfig)any;
        if (config.Rank < 1) yield return $"r: found {config.Rank}, expected at least 1";
        foreach (string problem in ConfigRules.Fraction("vera_dropout", config.Dropout)) yield return problem;
        if (config.ExcludeModules is not null)
            yield return "exclude_modules: VeRA has no such key; name the modules to adapt";
        if (config.Bias == BiasTraining.All)
            yield return "bias: found \"all\", which VeRA in PEFT does not save as it trains; use \"none\" or " +
                "\"lora_only\"";
    }

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig any, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        var config = (VeraConfig)any;
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (AdapterTarget target in targets)
        {
            string key = PeftTensorKeys.Prefix + target.Path;
            yield return new AdapterTensor(
                key + ".vera_lambda_b", [byPath[target.Path].OutputSize], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(key + ".vera_lambda_d", [config.Rank], target.Path, AdapterTensorPart.Own);
        }
        bool saved = config.SaveProjection;
        long inputs = targets.Max(target => byPath[target.Path].InputSize),
            outputs = targets.Max(target => byPath[target.Path].OutputSize);
        yield return new AdapterTensor(KeyA, [config.Rank, inputs], "", AdapterTensorPart.Own, isRequired: saved);
        yield return new AdapterTensor(KeyB, [outputs, config.Rank], "", AdapterTensorPart.Own, isRequired: saved);
    }

    public IEnumerable<ModuleSummary> Summarize(AdapterConfig config, SafeTensorsFile file) =>
        PeftKeys.ModulesOf(file, ".vera_lambda_b").Select(path =>
    {
        int rank = ((VeraConfig)config).Rank;
        long outputs = file.Entries[PeftTensorKeys.Prefix + path + ".vera_lambda_b"].Shape[0];
        return new ModuleSummary(
            path, rank, rank, 1, outputs, 0, Delta: null) { Parameters = outputs + rank };
    });

    public long TrainedCount(SafeTensorsFile file) =>
        file.Entries.Values.Where(entry => entry.Name is not (KeyA or KeyB)).Sum(entry => entry.ElementCount);

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        using var scope = NewDisposeScope();
        var config = (VeraConfig)build.Config;
        List<AdaptableLayer> layers = [.. build.Targets.Select(target => build.Layers[target.Path])];
        // The projections follow from the key, as PyTorch's CPU generator draws them: A first, then B.
        using var random = new Generator().manual_seed(config.ProjectionPrngKey);
        Tensor drawnA = Uniform(config.Rank, layers.Max(layer => layer.InputSize), random),
            drawnB = Uniform(layers.Max(layer => layer.OutputSize), config.Rank, random);
        var shared = new VeraProjections(
            build.LoadOrInitialize(KeyA, () => drawnA), build.LoadOrInitialize(KeyB, () => drawnB),
            isSaved: config.SaveProjection, KeyA, KeyB);
        List<IAdapterPart> parts = [];
        foreach (AdaptableLayer layer in layers)
        {
            using var layerScope = NewDisposeScope();
            bool starts = config.InitWeights;
            Tensor b = build.LoadOrInitialize(layer.Path, ".vera_lambda_b", () => starts ? zeros(layer.OutputSize)
                : ones(layer.OutputSize));
            Tensor d = build.LoadOrInitialize(layer.Path, ".vera_lambda_d", () => starts
                ? full(config.Rank, Number(config.DInitial)) : empty(config.Rank).normal_(0, 1, build.Random));
            parts.Add(
                new AdaptedLayer(
                    layer, new VeraLayer(shared, b, d, layer.InputSize, layer.OutputSize, config.Dropout)));
        }
        return [.. parts, shared];
    }

    // Kaiming uniform with fan-in and gain √2, as in PEFT: within ±√(6 / columns).
    private static Tensor Uniform(int rows, int columns, Generator random)
    {
        double bound = Math.Sqrt(3) * (Math.Sqrt(2) / Math.Sqrt(columns));
        return empty(rows, columns).uniform_(-bound, bound, random);
    }
}

/// <summary>VeRA on a linear layer: y = Wx + b + Λb·B(Λd·A·dropout(x)) with a frozen random pair A, B and two trained
/// vectors (arXiv 2310.11454, equation 2).</summary>
/// <param name="shared">The pair; not owned.</param>
/// <param name="lambdaB">Λb, [out], float32.</param>
/// <param name="lambdaD">Λd, [rank], float32.</param>
/// <param name="inputs">Width of the input.</param>
/// <param name="outputs">Width of the output.</param>
/// <param name="probability">Dropout on the input while training, in [0, 1).</param>
internal sealed class VeraLayer(
    VeraProjections shared, Tensor lambdaB, Tensor lambdaD, int inputs, int outputs, double probability) : IAdapterLayer
{
    public double Weight { get; set; } = 1;

    public bool IsAdditive => true;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".vera_lambda_b", lambdaB), KeyValuePair.Create(".vera_lambda_d", lambdaD)];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor reduced = lambdaD * LinearProduct.Apply(
            Dropout.Apply(input, probability, dropout), shared.A.narrow(1, 0, inputs));
        return inner.Forward(input)
            .add(lambdaB * LinearProduct.Apply(reduced, shared.B.narrow(0, 0, outputs)), Number(Weight));
    }

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor delta =
            matmul(lambdaB.unsqueeze(1) * shared.B.narrow(0, 0, outputs),
            lambdaD.unsqueeze(1) * shared.A.narrow(1, 0, inputs));
        return (weight.add(delta, Number(Weight)), bias);
    }

    public void Dispose()
    {
        lambdaB.Dispose();
        lambdaD.Dispose();
    }
}

/// <summary>VeRA's frozen random pair, shared by all layers: each uses as many of the first columns of A and rows of B
/// as it needs.</summary>
/// <param name="a">A, [rank, widest input].</param>
/// <param name="b">B, [widest output, rank].</param>
/// <param name="isSaved">Whether the file contains them; otherwise they are generated from the config's
/// projection_prng_key.</param>
/// <param name="keyA">The key of A in the file.</param>
/// <param name="keyB">The key of B in the file.</param>
internal sealed class VeraProjections(Tensor a, Tensor b, bool isSaved, string keyA, string keyB) : IFrozenPart
{
    /// <summary>A, [rank, widest input].</summary>
    public Tensor A => a;

    /// <summary>B, [widest output, rank].</summary>
    public Tensor B => b;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        isSaved ? [KeyValuePair.Create(keyA, a), KeyValuePair.Create(keyB, b)] : [];

    public void Attach()
    {
        // The layers that share the pair attach themselves.
    }

    public void Detach()
    {
        // As in Attach.
    }

    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
    }
}
