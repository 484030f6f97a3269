using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.IO;
using LowRank.Kernels;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>All layers share one frozen random pair; each layer trains two small vectors.</summary>
public sealed class VeraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "vera";

    /// <inheritdoc/>
    public string Title => "VeRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2310.11454";

    /// <inheritdoc/>
    public string Summary => "All layers share one frozen random pair; each layer trains two small vectors.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.TargetKeys.Where(key => key != "exclude_modules"), "rank", "dropout", "bias"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("d_initial", 0.1, "initial value of the vector over the rank"),
        new("projection_seed", 0, "seed of the random pair") { Most = int.MaxValue },
        new("save_projection", true, "save the random pair in the file; otherwise it is generated again from the seed"),
    ];

    /// <inheritdoc/>
    public int DefaultRank => 256;

    /// <inheritdoc/>
    public double DefaultLearningRate => 2e-3;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "VERA",
        OtherKeys = OwnKeys.With(
            shared, ("d_initial", options.Number("d_initial")),
            ("projection_prng_key", options.Whole("projection_seed")),
            ("save_projection", options.Flag("save_projection"))),
    };
}

/// <summary>PEFT's VERA (arXiv 2310.11454).</summary>
internal sealed class VeraType : IAdapterType
{
    private const string KeyA = "base_model.vera_A", KeyB = "base_model.vera_B";

    public string PeftType => "VERA";

    public string Label => "VeRA";

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. KindKeys.Layered.Where(key => key.Name != "exclude_modules"),
        new("bias", "\"none\"", Text),
        new("d_initial", "0.1", Number),
        new("fan_in_fan_out", "false", JsonShape.Boolean),
        new("init_weights", "true", JsonShape.Boolean),
        new("projection_prng_key", "0", Integer),
        new("r", "256", Integer),
        new("save_projection", "true", JsonShape.Boolean),
        new("vera_dropout", "0.0", Number),
    ];

    public IEnumerable<string> Problems(LoraConfig config)
    {
        if (config.Rank < 1) yield return $"r: found {config.Rank}, expected at least 1";
        if (config.Dropout.Value is < 0 or > 1) yield return $"vera_dropout: found {config.Dropout}, expected 0 to 1";
        if (config.Bias == BiasTraining.All)
            yield return "bias: found \"all\", which VeRA in PEFT does not save as it trains; use \"none\" or " +
                "\"lora_only\"";
    }

    public IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            string key = PeftTensorKeys.Prefix + target.Path;
            yield return new AdapterTensor(
                key + ".vera_lambda_b", [byPath[target.Path].OutputSize], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(key + ".vera_lambda_d", [config.Rank], target.Path, AdapterTensorPart.Own);
        }
        bool saved = config.Flag("save_projection");
        long inputs = targets.Max(target => byPath[target.Path].InputSize),
            outputs = targets.Max(target => byPath[target.Path].OutputSize);
        yield return new AdapterTensor(KeyA, [config.Rank, inputs], "", AdapterTensorPart.Own, IsRequired: saved);
        yield return new AdapterTensor(KeyB, [outputs, config.Rank], "", AdapterTensorPart.Own, IsRequired: saved);
    }

    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) =>
        KindKeys.ModulesOf(file, ".vera_lambda_b").Select(path =>
    {
        long outputs = file.Entries[PeftTensorKeys.Prefix + path + ".vera_lambda_b"].Shape[0];
        return new ModuleSummary(
            path, config.Rank, config.Rank, 1, outputs, 0, Delta: null) { Parameters = outputs + config.Rank };
    });

    public long TrainedCount(SafeTensorsFile file) =>
        file.Entries.Values.Where(entry => entry.Name is not (KeyA or KeyB)).Sum(entry => entry.ElementCount);

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        using var scope = NewDisposeScope();
        LoraConfig config = build.Config;
        List<AdaptableLayer> sites = [.. build.Targets.Select(target => build.Sites[target.Path])];
        // The projections follow from the key, as PyTorch's generator on a processor draws them: A first, then B.
        using var random = new Generator().manual_seed(config.Whole("projection_prng_key"));
        Tensor drawnA = Uniform(config.Rank, sites.Max(site => site.InputSize), random),
            drawnB = Uniform(sites.Max(site => site.OutputSize), config.Rank, random);
        var shared = new VeraProjections(
            build.TakeKey(KeyA, () => drawnA), build.TakeKey(KeyB, () => drawnB),
            isSaved: config.Flag("save_projection"), KeyA, KeyB);
        List<IAdapterPart> parts = [];
        foreach (AdaptableLayer site in sites)
        {
            using var layerScope = NewDisposeScope();
            bool starts = config.InitialWeights.Name == "true";
            Tensor b = build.Take(site.Path, ".vera_lambda_b", () => starts ? zeros(site.OutputSize)
                : ones(site.OutputSize));
            Tensor d = build.Take(site.Path, ".vera_lambda_d", () => starts
                ? full(config.Rank, config.Number("d_initial")) : empty(config.Rank).normal_(0, 1, build.Random));
            parts.Add(
                new AdaptedLayer(
                    site, new VeraLayer(shared, b, d, site.InputSize, site.OutputSize, config.Dropout.Value)));
        }
        return [.. parts, shared];
    }

    // Kaiming's uniform with fan-in and gain √2, as PEFT draws them: within ±√(6 / columns).
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
public sealed class VeraLayer(
    VeraProjections shared, Tensor lambdaB, Tensor lambdaD, int inputs, int outputs, double probability) : IAdapterLayer
{
    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".vera_lambda_b", lambdaB), KeyValuePair.Create(".vera_lambda_d", lambdaD)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor reduced = lambdaD * nn.functional.linear(
            Dropout.Apply(input, probability, dropout), shared.A.narrow(1, 0, inputs));
        return inner.Forward(input).add(lambdaB * nn.functional.linear(reduced, shared.B.narrow(0, 0, outputs)), Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor delta =
            matmul(lambdaB.unsqueeze(1) * shared.B.narrow(0, 0, outputs),
            lambdaD.unsqueeze(1) * shared.A.narrow(1, 0, inputs));
        return (weight.add(delta, Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lambdaB.Dispose();
        lambdaD.Dispose();
    }
}

/// <summary>VeRA's frozen random pair, shared by all layers: each takes the first columns of A and rows of B that it
/// needs.</summary>
/// <param name="a">A, [rank, widest input].</param>
/// <param name="b">B, [widest output, rank].</param>
/// <param name="isSaved">Whether the file holds them; otherwise they follow from the config's
/// projection_prng_key.</param>
/// <param name="keyA">The key of A in the file.</param>
/// <param name="keyB">The key of B in the file.</param>
public sealed class VeraProjections(Tensor a, Tensor b, bool isSaved, string keyA, string keyB) : IFrozenPart
{
    /// <summary>A, [rank, widest input].</summary>
    public Tensor A => a;

    /// <summary>B, [widest output, rank].</summary>
    public Tensor B => b;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        isSaved ? [KeyValuePair.Create(keyA, a), KeyValuePair.Create(keyB, b)] : [];

    /// <inheritdoc/>
    public void Attach()
    {
        // The layers that share the pair attach themselves.
    }

    /// <inheritdoc/>
    public void Detach()
    {
        // As Attach.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
    }
}
