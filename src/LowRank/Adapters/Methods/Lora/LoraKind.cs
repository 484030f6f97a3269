using LowRank.Adapters.Files;
using LowRank.Adapters.Methods.Dora;
using LowRank.Adapters.Methods.Lora.Starts;
using LowRank.Adapters.Methods.Tokens;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora;

/// <summary>PEFT's LORA: low-rank pairs, with DoRA's magnitudes, biases on B and trained tokens where the config asks for them.</summary>
internal sealed class LoraKind : IAdapterKind
{
    public string PeftType => "LORA";

    public string Label => "LoRA";

    public IReadOnlyList<LoraConfigKey> Keys => LoraConfigKeys.All;

    public string? RefusesEmbeddings(LoraConfig config) => config.UseDora ? "DoRA adapts linear layers only here"
        : config.BiasOnB ? "lora_bias has no meaning on an embedding"
        : LoraStarts.Find(config.InitialWeights.Name) is DrawnStart ? null : $"init_lora_weights \"{config.InitialWeights.Text}\" works on linear layers only";

    public IEnumerable<string> Problems(LoraConfig config) =>
        [.. LoraConfigRules.Problems(config), .. LoraStarts.Find(config.InitialWeights.Name).Problems(config), .. Together(config)];

    public IEnumerable<AdapterTensor> Tensors(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            ModuleInfo module = byPath[target.Path];
            bool isEmbedding = module.Kind == ModuleKind.Embedding;
            yield return Tensor(target.Path, isEmbedding ? AdapterTensorPart.EmbeddingA : AdapterTensorPart.LinearA, [target.Rank, module.InputSize]);
            yield return Tensor(target.Path, isEmbedding ? AdapterTensorPart.EmbeddingB : AdapterTensorPart.LinearB, [module.OutputSize, target.Rank]);
            if (isEmbedding) continue;
            if (config.UseDora) yield return Tensor(target.Path, AdapterTensorPart.Magnitude, [module.OutputSize]);
            if (config.BiasOnB) yield return Tensor(target.Path, AdapterTensorPart.OutputBias, [module.OutputSize]);
        }
        if (TiedHead(config, targets, modules) is { } head && targets.First(target => target.Path == Table(modules)?.Path) is { } table)
        {
            yield return Tensor(head.Path, AdapterTensorPart.LinearA, [table.Rank, head.InputSize]) with { Part = AdapterTensorPart.Duplicate, IsRequired = false };
            yield return Tensor(head.Path, AdapterTensorPart.LinearB, [head.OutputSize, table.Rank]) with { Part = AdapterTensorPart.Duplicate, IsRequired = false };
        }
        foreach ((string path, IReadOnlyList<int> tokens) in TrainedTokens.Of(config, modules))
            yield return Tensor(path, AdapterTensorPart.TokenRows, [tokens.Count, TrainedTokens.Width(byPath[path])]);
    }

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        ILoraStart start = LoraStarts.Find(build.Config.InitialWeights.Name);
        IReadOnlyDictionary<string, LoraPair>? first = build.IsNew || start.TakesFromBase ? start.Draw(build) : null;
        List<IAdapterPart> parts = [];
        foreach (LoraTarget target in build.Targets)
            parts.Add(new AdaptedModule(build.Sites[target.Path], Layer(build, target, first?.GetValueOrDefault(target.Path), start.TakesFromBase)));
        foreach (AdaptedModule table in parts.OfType<AdaptedModule>().Where(module => module.Layer is LoraEmbedding { CoversTie: true }).ToList())
            parts.Add(new AdaptedModule(build.Sites.Values.First(site => site.IsTiedHead), new LoraTiedHead((LoraEmbedding)table.Layer, build.Config.Dropout.Value)));
        parts.AddRange(TrainedTokens.Build(build));
        return parts;
    }

    /// <summary>The output head that follows the embedding's pair (<c>ensure_weight_tying</c>); null where none does.</summary>
    internal static ModuleInfo? TiedHead(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules) =>
        config.EnsureWeightTying && targets.Any(target => target.Path == Table(modules)?.Path) ? modules.FirstOrDefault(module => module.IsTied) : null;

    private static ModuleInfo? Table(IReadOnlyList<ModuleInfo> modules) => modules.FirstOrDefault(module => module.IsInputEmbedding);

    public AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts) =>
        LoraConversion.Export(LoraStarts.Find(config.InitialWeights.Name).IsSpent ? config with { InitialWeights = InitialWeights.True } : config, parts);

    // A magnitude would be of the whole weight, and the pair would begin as a part that was taken from it.
    private static IEnumerable<string> Together(LoraConfig config)
    {
        if (config.UseDora && LoraStarts.Find(config.InitialWeights.Name) is { TakesFromBase: true })
            yield return $"init_lora_weights: found \"{config.InitialWeights.Text}\" beside use_dora; DoRA cannot begin as a part of the base here. Choose one";
    }

    private static IAdapterLayer Layer(AdapterBuild build, LoraTarget target, LoraPair? first, bool takesFromBase)
    {
        string path = target.Path;
        AdapterSite site = build.Sites[path];
        using var scope = NewDisposeScope();
        LoraPair Draw() => first ?? throw new InvalidOperationException($"{path} has no first values.");
        if (site.Kind == ModuleKind.Embedding)
            return new LoraEmbedding(build.Take(path, ".lora_embedding_A", () => Draw().A), build.Take(path, ".lora_embedding_B", () => Draw().B), target.Scale,
                build.Config.EnsureWeightTying && build.Sites.Values.Any(other => other.IsTiedHead && other.Parameter == site.Parameter));
        Tensor a = build.Take(path, ".lora_A.weight", () => Draw().A), b = build.Take(path, ".lora_B.weight", () => Draw().B);
        double dropout = build.Config.Dropout.Value;
        if (build.Config.UseDora)
            return new DoraLayer(site, a, b, build.IsNew ? null : build.Take(path, ".lora_magnitude_vector", () => Draw().B), target.Scale, dropout);
        Tensor? bias = build.Config.BiasOnB ? build.Take(path, ".lora_B.bias", () => zeros(site.OutputSize)) : null;
        return new LoraLayer(a, b, target.Scale, dropout, bias, takesFromBase ? (build.Own(Draw().A), build.Own(Draw().B)) : null);
    }

    private static AdapterTensor Tensor(string path, AdapterTensorPart part, long[] shape) => new(PeftTensorKeys.Key(path, part), shape, path, part);
}
