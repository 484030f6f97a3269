using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
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
