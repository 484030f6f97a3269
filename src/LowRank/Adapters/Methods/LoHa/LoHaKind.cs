using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.Tensors;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.LoHa;

/// <summary>PEFT's LOHA: low-rank Hadamard products (FedPara, arXiv 2108.06098).</summary>
internal sealed class LoHaKind : IAdapterKind
{
    public string PeftType => "LOHA";

    public string Label => "LoHa";

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. KindKeys.Layered,
        new("alpha", "8", Number),
        new("alpha_pattern", "{}", NumberMap | Null),
        new("init_weights", "true", JsonShape.Boolean),
        new("module_dropout", "0.0", Number),
        new("r", "8", Integer),
        new("rank_dropout", "0.0", Number),
        new("rank_pattern", "{}", IntegerMap | Null),
        new("use_effective_conv2d", "false", JsonShape.Boolean),
    ];

    public IEnumerable<string> Problems(LoraConfig config) =>
        [.. LoraConfigRules.Ranks(config), .. KindKeys.Range(config, "rank_dropout", 0, 1), .. KindKeys.Range(config, "module_dropout", 0, 1)];

    public IEnumerable<AdapterTensor> Tensors(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            foreach (string half in new[] { ".hada_w1", ".hada_w2" })
            {
                string key = PeftTensorKeys.Prefix + target.Path + half;
                yield return new AdapterTensor(key + "_a", [byPath[target.Path].OutputSize, target.Rank], target.Path, AdapterTensorPart.Own);
                yield return new AdapterTensor(key + "_b", [target.Rank, byPath[target.Path].InputSize], target.Path, AdapterTensorPart.Own);
            }
        }
    }

    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) => KindKeys.ModulesOf(file, ".hada_w1_a").Select(path =>
    {
        using var scope = NewDisposeScope();
        Tensor Read(string ending) => file.Map(PeftTensorKeys.Prefix + path + ending);
        Tensor firstA = Read(".hada_w1_a"), firstB = Read(".hada_w1_b");
        int rank = (int)firstA.shape[1];
        double alpha = KindKeys.AlphaOf(config, path), scale = alpha / rank;
        Tensor delta = matmul(firstA, firstB) * matmul(Read(".hada_w2_a"), Read(".hada_w2_b")) * scale;
        return new ModuleSummary(path, rank, alpha, scale, delta.shape[0], delta.shape[1], DeltaSpectrum.Of(delta)) { Parameters = 2 * rank * (delta.shape[0] + delta.shape[1]) };
    });

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdapterSite site = build.Sites[target.Path];
        using var scope = NewDisposeScope();
        bool changes = build.Config.InitialWeights.Name != "true";
        Tensor Take(string ending, int rows, int columns, bool zero = false) =>
            build.Take(target.Path, ending, () => zero ? zeros(rows, columns) : build.Kaiming(rows, columns));
        return new AdaptedModule(site, new LoHaLayer(
            (Take(".hada_w1_a", site.OutputSize, target.Rank), Take(".hada_w1_b", target.Rank, site.InputSize)),
            (Take(".hada_w2_a", site.OutputSize, target.Rank), Take(".hada_w2_b", target.Rank, site.InputSize, zero: !changes)),
            target.Scale, build.Config.Number("rank_dropout"), build.Config.Number("module_dropout")));
    })];
}
