using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using TorchSharp;
using LowRank.Tensors;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Vera;

/// <summary>PEFT's VERA (arXiv 2310.11454).</summary>
internal sealed class VeraKind : IAdapterKind
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
        if (config.Bias == BiasTraining.All) yield return "bias: found \"all\", which VeRA in PEFT does not save as it trains; use \"none\" or \"lora_only\"";
    }

    public IEnumerable<AdapterTensor> Tensors(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            string key = PeftTensorKeys.Prefix + target.Path;
            yield return new AdapterTensor(key + ".vera_lambda_b", [byPath[target.Path].OutputSize], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(key + ".vera_lambda_d", [config.Rank], target.Path, AdapterTensorPart.Own);
        }
        bool saved = config.Flag("save_projection");
        long inputs = targets.Max(target => byPath[target.Path].InputSize), outputs = targets.Max(target => byPath[target.Path].OutputSize);
        yield return new AdapterTensor(KeyA, [config.Rank, inputs], "", AdapterTensorPart.Own, IsRequired: saved);
        yield return new AdapterTensor(KeyB, [outputs, config.Rank], "", AdapterTensorPart.Own, IsRequired: saved);
    }

    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) => KindKeys.ModulesOf(file, ".vera_lambda_b").Select(path =>
    {
        long outputs = file.Entries[PeftTensorKeys.Prefix + path + ".vera_lambda_b"].Shape[0];
        return new ModuleSummary(path, config.Rank, config.Rank, 1, outputs, 0, Delta: null) { Parameters = outputs + config.Rank };
    });

    public long TrainedCount(SafeTensorsFile file) => file.Entries.Values.Where(entry => entry.Name is not (KeyA or KeyB)).Sum(entry => entry.ElementCount);

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        using var scope = NewDisposeScope();
        LoraConfig config = build.Config;
        List<AdapterSite> sites = [.. build.Targets.Select(target => build.Sites[target.Path])];
        // The projections follow from the key, as PyTorch's generator on a processor draws them: A first, then B.
        using var random = new Generator().manual_seed(config.Whole("projection_prng_key"));
        Tensor drawnA = Uniform(config.Rank, sites.Max(site => site.InputSize), random), drawnB = Uniform(sites.Max(site => site.OutputSize), config.Rank, random);
        var shared = new VeraProjections(build.TakeKey(KeyA, () => drawnA), build.TakeKey(KeyB, () => drawnB), isSaved: config.Flag("save_projection"), KeyA, KeyB);
        List<IAdapterPart> parts = [];
        foreach (AdapterSite site in sites)
        {
            using var layerScope = NewDisposeScope();
            bool starts = config.InitialWeights.Name == "true";
            Tensor b = build.Take(site.Path, ".vera_lambda_b", () => starts ? zeros(site.OutputSize) : ones(site.OutputSize));
            Tensor d = build.Take(site.Path, ".vera_lambda_d", () => starts ? full(config.Rank, config.Number("d_initial")) : empty(config.Rank).normal_(0, 1, build.Random));
            parts.Add(new AdaptedModule(site, new VeraLayer(shared, b, d, site.InputSize, site.OutputSize, config.Dropout.Value)));
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
