using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.IO;
using LowRank.Kernels;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>The change is the entry-by-entry product of two low-rank matrices: the square of the rank from twice the
/// weights.</summary>
public sealed class LoHaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "loha";

    /// <inheritdoc/>
    public string Title => "LoHa";

    /// <inheritdoc/>
    public string Paper => "arXiv 2108.06098";

    /// <inheritdoc/>
    public string Summary =>
        "The change is the entry-by-entry product of two low-rank matrices: the square of the rank from twice the " +
        "weights.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.TargetKeys, "rank", "alpha", "rank_pattern", "alpha_pattern"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("rank_dropout", 0.0, "share of the change's outputs that a step drops") { Most = 0.999 },
        new("module_dropout", 0.0, "probability that a step drops a whole change") { Most = 0.999 },
    ];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "LOHA",
        OtherKeys = OwnKeys.With(
            shared, ("rank_dropout", options.Number("rank_dropout")),
            ("module_dropout", options.Number("module_dropout"))),
    };
}

/// <summary>PEFT's LOHA: low-rank Hadamard products (FedPara, arXiv 2108.06098).</summary>
internal sealed class LoHaType : IAdapterType
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
        [.. LoraConfigRules.Ranks(config), .. KindKeys.Range(config, "rank_dropout", 0, 1),
            .. KindKeys.Range(config, "module_dropout", 0, 1)];

    public IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            foreach (string half in new[] { ".hada_w1", ".hada_w2" })
            {
                string key = PeftTensorKeys.Prefix + target.Path + half;
                yield return new AdapterTensor(
                    key + "_a", [byPath[target.Path].OutputSize, target.Rank], target.Path, AdapterTensorPart.Own);
                yield return new AdapterTensor(
                    key + "_b", [target.Rank, byPath[target.Path].InputSize], target.Path, AdapterTensorPart.Own);
            }
        }
    }

    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) =>
        KindKeys.ModulesOf(file, ".hada_w1_a").Select(path =>
    {
        using var scope = NewDisposeScope();
        Tensor Read(string ending) => file.Map(PeftTensorKeys.Prefix + path + ending);
        Tensor firstA = Read(".hada_w1_a"), firstB = Read(".hada_w1_b");
        int rank = (int)firstA.shape[1];
        double alpha = KindKeys.AlphaOf(config, path), scale = alpha / rank;
        Tensor delta = matmul(firstA, firstB) * matmul(Read(".hada_w2_a"), Read(".hada_w2_b")) * scale;
        return new ModuleSummary(
            path, rank, alpha, scale, delta.shape[0], delta.shape[1],
            DeltaSpectrum.Of(delta)) { Parameters = 2 * rank * (delta.shape[0] + delta.shape[1]) };
    });

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdaptableLayer site = build.Sites[target.Path];
        using var scope = NewDisposeScope();
        bool changes = build.Config.InitialWeights.Name != "true";
        Tensor Take(string ending, int rows, int columns, bool zero = false) =>
            build.Take(target.Path, ending, () => zero ? zeros(rows, columns) : build.Kaiming(rows, columns));
        return new AdaptedLayer(site, new LoHaLayer(
            (Take(".hada_w1_a", site.OutputSize, target.Rank), Take(".hada_w1_b", target.Rank, site.InputSize)),
            (Take(".hada_w2_a", site.OutputSize, target.Rank),
            Take(".hada_w2_b", target.Rank, site.InputSize, zero: !changes)),
            target.Scale, build.Config.Number("rank_dropout"), build.Config.Number("module_dropout")));
    })];
}

/// <summary>LoHa on a linear layer: the change is s·(A₁B₁) ∘ (A₂B₂), of rank up to the square of each product's
/// (FedPara, arXiv 2108.06098, section 2.1).</summary>
/// <param name="first">A₁ [out, rank] and B₁ [rank, in], float32.</param>
/// <param name="second">A₂ and B₂, as the first.</param>
/// <param name="scale">s = alpha / rank.</param>
/// <param name="rankDropout">Share of the change's rows left out while training; the others are scaled up.</param>
/// <param name="moduleDropout">How often the whole change is left out while training.</param>
public sealed class LoHaLayer((Tensor A, Tensor B) first, (Tensor A, Tensor B) second, double scale, double rankDropout,
    double moduleDropout) : IAdapterLayer
{
    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
    [
        KeyValuePair.Create(".hada_w1_a", first.A), KeyValuePair.Create(".hada_w1_b", first.B),
        KeyValuePair.Create(".hada_w2_a", second.A), KeyValuePair.Create(".hada_w2_b", second.B),
    ];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        if (LycorisDropout.SkipsModule(moduleDropout, dropout)) return inner.Forward(input);
        Tensor change = LycorisDropout.Apply(nn.functional.linear(input, Product()), rankDropout, rescales: true, dropout);
        return inner.Forward(input).add(change, scale * Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(Product(), scale * Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in new[] { first.A, first.B, second.A, second.B }) tensor.Dispose();
    }

    private Tensor Product() => matmul(first.A, first.B) * matmul(second.A, second.B); // [out, in]
}
