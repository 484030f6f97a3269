using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.Adapters.Matching;
using LowRank.Tensors;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.LoKr;

/// <summary>PEFT's LOKR: low-rank Kronecker products (KronA, arXiv 2212.10650; LyCORIS, arXiv 2309.14859).</summary>
internal sealed class LoKrKind : IAdapterKind
{
    public string PeftType => "LOKR";

    public string Label => "LoKr";

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. KindKeys.Layered,
        new("alpha", "8", Number),
        new("alpha_pattern", "{}", NumberMap | Null),
        new("decompose_both", "false", JsonShape.Boolean),
        new("decompose_factor", "-1", Integer),
        new("init_weights", "true", JsonShape.Boolean | Text),
        new("module_dropout", "0.0", Number),
        new("r", "8", Integer),
        new("rank_dropout", "0.0", Number),
        new("rank_dropout_scale", "false", JsonShape.Boolean),
        new("rank_pattern", "{}", IntegerMap | Null),
        new("use_effective_conv2d", "false", JsonShape.Boolean),
    ];

    public IEnumerable<string> Problems(LoraConfig config)
    {
        foreach (string problem in LoraConfigRules.Ranks(config)) yield return problem;
        foreach (string key in new[] { "rank_dropout", "module_dropout" })
            foreach (string problem in KindKeys.Range(config, key, 0, 1)) yield return problem;
        if (config.Whole("decompose_factor") is < 1 and not -1)
            yield return $"decompose_factor: found {config.Whole("decompose_factor")}, expected −1 or at least 1";
        if (config.InitialWeights.Name is not ("true" or "false" or "lycoris"))
            yield return $"init_weights: found \"{config.InitialWeights.Text}\", expected true, false or \"lycoris\"";
    }

    public IEnumerable<AdapterTensor> Tensors(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            ModuleInfo module = byPath[target.Path];
            KroneckerShape shape = KroneckerShape.Of(config, target.Rank, (int)module.OutputSize, (int)module.InputSize);
            foreach ((string ending, int rows, int columns) in shape.Tensors)
                yield return new AdapterTensor(PeftTensorKeys.Prefix + target.Path + ending, [rows, columns], target.Path, AdapterTensorPart.Own);
        }
    }

    /// <remarks>The singular values of a Kronecker product are the products of its factors'.</remarks>
    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) =>
        KindKeys.ModulesOf(file, ".lokr_w1").Concat(KindKeys.ModulesOf(file, ".lokr_w1_a")).Select(path =>
        {
            using var scope = NewDisposeScope();
            string key = PeftTensorKeys.Prefix + path;
            Tensor Whole(string part) => file.Entries.ContainsKey(key + part) ? file.Map(key + part) : matmul(file.Map(key + part + "_a"), file.Map(key + part + "_b"));
            Tensor first = Whole(".lokr_w1"), second = Whole(".lokr_w2");
            int rank = new PatternValues<int>(config.RankPattern, "rank_pattern").All(path) is [var own, ..] ? own.Value : config.Rank;
            double alpha = KindKeys.AlphaOf(config, path), scale = alpha / rank;
            DeltaSpectrum one = DeltaSpectrum.Of(first), two = DeltaSpectrum.Of(second);
            double[] values = [.. one.SingularValues.SelectMany(x => two.SingularValues.Select(y => x * y * Math.Abs(scale))).OrderDescending()];
            return new ModuleSummary(path, rank, alpha, scale, first.shape[0] * second.shape[0], first.shape[1] * second.shape[1], DeltaSpectrum.From(values))
            {
                Parameters = file.Entries.Values.Where(entry => entry.Name.StartsWith(key + ".lokr_", StringComparison.Ordinal)).Sum(entry => entry.ElementCount),
            };
        });

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdapterSite site = build.Sites[target.Path];
        using var scope = NewDisposeScope();
        KroneckerShape shape = KroneckerShape.Of(build.Config, target.Rank, site.OutputSize, site.InputSize);
        string zero = shape.ZeroAtStart(build.Config.InitialWeights.Name);
        var tensors = shape.Tensors.ToDictionary(tensor => tensor.Ending,
            tensor => build.Take(target.Path, tensor.Ending, () => tensor.Ending == zero ? zeros(tensor.Rows, tensor.Columns) : build.Kaiming(tensor.Rows, tensor.Columns)));
        return new AdaptedModule(site, new LoKrLayer(tensors, target.Scale, build.Config.Number("rank_dropout"),
            build.Config.Flag("rank_dropout_scale"), build.Config.Number("module_dropout")));
    })];
}
