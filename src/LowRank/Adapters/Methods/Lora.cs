using LowRank.Adapters.Files;
using LowRank.Kernels;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>A low-rank pair beside each frozen weight: y = Wx + s·B(Ax).</summary>
public sealed class LoraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lora";

    /// <inheritdoc/>
    public string Title => "LoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2106.09685";

    /// <inheritdoc/>
    public string Summary => "A low-rank pair beside each frozen weight: y = Wx + s·B(Ax).";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys, "lora_bias", "init_lora_weights"];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared;
}

/// <summary>PEFT's LORA: low-rank pairs, with DoRA's magnitudes, biases on B and trained tokens where the config asks
/// for them.</summary>
internal sealed class LoraType : IAdapterType
{
    public string PeftType => "LORA";

    public string Label => "LoRA";

    public IReadOnlyList<LoraConfigKey> Keys => LoraConfigKeys.All;

    public string? RefusesEmbeddings(LoraConfig config) => config.UseDora ? "DoRA adapts linear layers only here"
        : config.BiasOnB ? "lora_bias has no meaning on an embedding"
        : LoraInitializers.Find(config.InitialWeights.Name) is RandomInitializer ? null
        : $"init_lora_weights \"{config.InitialWeights.Text}\" works on linear layers only";

    public IEnumerable<string> Problems(LoraConfig config) =>
        [.. LoraConfigRules.Problems(config), .. LoraInitializers.Find(config.InitialWeights.Name).Problems(config),
            .. Together(config)];

    public IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            ModuleInfo module = byPath[target.Path];
            bool isEmbedding = module.Kind == ModuleKind.Embedding;
            yield return Tensor(target.Path, isEmbedding ? AdapterTensorPart.EmbeddingA
                : AdapterTensorPart.LinearA, [target.Rank, module.InputSize]);
            yield return Tensor(target.Path, isEmbedding ? AdapterTensorPart.EmbeddingB
                : AdapterTensorPart.LinearB, [module.OutputSize, target.Rank]);
            if (isEmbedding) continue;
            if (config.UseDora) yield return Tensor(target.Path, AdapterTensorPart.Magnitude, [module.OutputSize]);
            if (config.BiasOnB) yield return Tensor(target.Path, AdapterTensorPart.OutputBias, [module.OutputSize]);
        }
        if (TiedHead(config, targets, modules) is { } head
            && targets.First(target => target.Path == Table(modules)?.Path) is { } table)
        {
            yield return Tensor(
                head.Path, AdapterTensorPart.LinearA,
                [table.Rank, head.InputSize]) with { Part = AdapterTensorPart.Duplicate, IsRequired = false };
            yield return Tensor(
                head.Path, AdapterTensorPart.LinearB,
                [head.OutputSize, table.Rank]) with { Part = AdapterTensorPart.Duplicate, IsRequired = false };
        }
        foreach ((string path, IReadOnlyList<int> tokens) in TrainedTokens.Of(config, modules))
            yield return Tensor(path, AdapterTensorPart.TokenRows, [tokens.Count, TrainedTokens.Width(byPath[path])]);
    }

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        ILoraInitializer start = LoraInitializers.Find(build.Config.InitialWeights.Name);
        IReadOnlyDictionary<string, LoraPair>? first = build.IsNew || start.TakesFromBase ? start.Draw(build) : null;
        List<IAdapterPart> parts = [];
        foreach (LoraTarget target in build.Targets)
            parts.Add(
                new AdaptedLayer(
                    build.Sites[target.Path],
                    Layer(build, target, first?.GetValueOrDefault(target.Path), start.TakesFromBase)));
        foreach (AdaptedLayer table in parts.OfType<AdaptedLayer>()
            .Where(module => module.Layer is LoraEmbedding { CoversTie: true }).ToList())
            parts.Add(
                new AdaptedLayer(
                    build.Sites.Values.First(site => site.IsTiedHead),
                    new LoraTiedHead((LoraEmbedding)table.Layer, build.Config.Dropout.Value)));
        parts.AddRange(TrainedTokens.Build(build));
        return parts;
    }

    /// <summary>The output head that follows the embedding's pair (<c>ensure_weight_tying</c>); null where none
    /// does.</summary>
    internal static ModuleInfo? TiedHead(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules) =>
        config.EnsureWeightTying && targets.Any(target => target.Path == Table(modules)?.Path)
            ? modules.FirstOrDefault(module => module.IsTied) : null;

    private static ModuleInfo? Table(IReadOnlyList<ModuleInfo> modules) =>
        modules.FirstOrDefault(module => module.IsInputEmbedding);

    public AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts) =>
        LoraConversion.Export(LoraInitializers.Find(config.InitialWeights.Name).IsSpent
            ? config with { InitialWeights = InitialWeights.True } : config, parts);

    // A magnitude would be of the whole weight, and the pair would begin as a part that was taken from it.
    private static IEnumerable<string> Together(LoraConfig config)
    {
        if (config.UseDora && LoraInitializers.Find(config.InitialWeights.Name) is { TakesFromBase: true })
            yield return $"init_lora_weights: found \"{config.InitialWeights.Text}\" beside use_dora; DoRA cannot " +
                "begin as a part of the base here. Choose one";
    }

    private static IAdapterLayer Layer(AdapterBuild build, LoraTarget target, LoraPair? first, bool takesFromBase)
    {
        string path = target.Path;
        AdaptableLayer site = build.Sites[path];
        using var scope = NewDisposeScope();
        LoraPair Draw() => first ?? throw new InvalidOperationException($"{path} has no first values.");
        if (site.Kind == ModuleKind.Embedding)
            return new LoraEmbedding(
                build.Take(path, ".lora_embedding_A", () => Draw().A),
                build.Take(path, ".lora_embedding_B", () => Draw().B), target.Scale,
                build.Config.EnsureWeightTying
                && build.Sites.Values.Any(other => other.IsTiedHead && other.Parameter == site.Parameter));
        Tensor a = build.Take(path, ".lora_A.weight", () => Draw().A),
            b = build.Take(path, ".lora_B.weight", () => Draw().B);
        double dropout = build.Config.Dropout.Value;
        if (build.Config.UseDora)
            return new DoraLayer(
                site, a, b, build.IsNew ? null : build.Take(path, ".lora_magnitude_vector", () => Draw().B),
                target.Scale, dropout);
        Tensor? bias = build.Config.BiasOnB ? build.Take(path, ".lora_B.bias", () => zeros(site.OutputSize)) : null;
        return new LoraLayer(
            a, b, target.Scale, dropout, bias, takesFromBase ? (build.Own(Draw().A), build.Own(Draw().B)) : null);
    }

    private static AdapterTensor Tensor(string path, AdapterTensorPart part, long[] shape) =>
        new(PeftTensorKeys.Key(path, part), shape, path, part);
}

/// <summary>The low-rank pair of one linear layer: y = Wx + b + s·B(A·dropout(x)) (LoRA, arXiv 2106.09685, section
/// 4.1).</summary>
/// <remarks>Where the pair began as a part of W (PiSSA, OLoRA, …), that part is taken out again: y += −s·B₀(A₀x). W
/// itself stays as it is, so that every other adapter and the saved base remain right.</remarks>
public sealed class LoraLayer : IAdapterLayer
{
    private readonly double probability;

    /// <summary>Takes over the tensors, float32.</summary>
    /// <param name="a">A, [rank, in].</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="scale">s: alpha / rank, or alpha / √rank with rsLoRA.</param>
    /// <param name="dropout">Dropout on the input of A while training, in [0, 1).</param>
    /// <param name="outputBias">A bias on B (<c>lora_bias</c>), [out], scaled as B is; null for none.</param>
    /// <param name="taken">A₀ and B₀ where they are to be taken out of the base; null otherwise.</param>
    public LoraLayer(
        Tensor a, Tensor b, double scale, double dropout, Tensor? outputBias = null, (Tensor A, Tensor B)? taken = null)
    {
        (A, B, Scale, OutputBias, InitialPair) = (a, b, scale, outputBias, taken);
        probability = dropout;
    }

    /// <summary>A, [rank, in].</summary>
    public Tensor A { get; }

    /// <summary>B, [out, rank].</summary>
    public Tensor B { get; }

    /// <summary>The bias on B, [out]; null for none.</summary>
    public Tensor? OutputBias { get; }

    /// <summary>A₀ and B₀, the part of the base that the pair began as; null where it began beside the base.</summary>
    public (Tensor A, Tensor B)? InitialPair { get; }

    /// <summary>The factor s.</summary>
    public double Scale { get; }

    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public bool ChangesBias => OutputBias is not null;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
    [
        KeyValuePair.Create(".lora_A.weight", A),
        KeyValuePair.Create(".lora_B.weight", B),
        .. OutputBias is { } bias ? [KeyValuePair.Create(".lora_B.bias", bias)]
        : Array.Empty<KeyValuePair<string, Tensor>>(),
    ];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        double s = Scale * Share;
        Tensor? kept = Dropout.Kept(input, probability, dropout);
        Tensor output = LowRankLinear.Apply(input, inner, A, B, s, kept, OutputBias);
        return InitialPair is { } taken ? LowRankLinear.Add(output, input, taken.A, taken.B, -s) : output;
    }

    /// <summary>s·B·A of the change as a whole, [out, in], in float32; the caller owns it.</summary>
    public Tensor Delta()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor delta = matmul(B, A);
        if (InitialPair is { } taken) delta = delta.sub_(matmul(taken.B, taken.A));
        return delta.mul_(Scale * Share).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        if (OutputBias is null) return (weight + Delta(), bias);
        if (bias is null)
            throw new InputException(
                "lora_bias: the adapter has a bias on B, but the layer has no bias that could take it. Use the " +
                "adapter unmerged.");
        return (weight + Delta(), bias + OutputBias.detach() * (Scale * Share));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
        OutputBias?.Dispose();
        InitialPair?.A.Dispose();
        InitialPair?.B.Dispose();
    }
}

/// <summary>First values of a pair.</summary>
/// <param name="A">[rank, in]</param>
/// <param name="B">[out, rank]</param>
internal sealed record LoraPair(Tensor A, Tensor B)
{
    /// <summary>Lets both outlive the present scope.</summary>
    public LoraPair MoveToOuterDisposeScope()
    {
        A.MoveToOuterDisposeScope();
        B.MoveToOuterDisposeScope();
        return this;
    }
}

/// <summary>The low-rank pair of an embedding: row i becomes E[i] + s·B·A[:, i].</summary>
/// <remarks>As PEFT has it, without dropout. A tied output head computes with the table alone, unless
/// <c>ensure_weight_tying</c> has it follow (<see cref="LoraTiedHead"/>).</remarks>
/// <param name="a">A, [rank, rows], float32.</param>
/// <param name="b">B, [width, rank], float32.</param>
/// <param name="scale">s.</param>
/// <param name="coversTie">Whether the output head that shares the table follows.</param>
public sealed class LoraEmbedding(Tensor a, Tensor b, double scale, bool coversTie = false) : IAdapterLayer
{
    /// <summary>A, [rank, rows].</summary>
    public Tensor A => a;

    /// <summary>B, [width, rank].</summary>
    public Tensor B => b;

    /// <summary>The factor s.</summary>
    public double Scale => scale;

    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool CoversTie => coversTie;

    /// <inheritdoc/>
    public bool IsAdditive => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
        [KeyValuePair.Create(".lora_embedding_A", a), KeyValuePair.Create(".lora_embedding_B", b)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout)
    {
        Tensor reduced = a.index_select(1, input.reshape(-1)).t(); // [tokens, rank]
        Tensor change = nn.functional.linear(reduced, b).view([.. input.shape, b.shape[0]]);
        return inner.Forward(input).add(change, scale * Share);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight.add(matmul(b, a).t(), scale * Share), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
    }
}

/// <summary>First values of A and B, as PEFT draws them.</summary>
/// <remarks><c>true</c>: A uniform in ±1/√in (Kaiming with a = √5, arXiv 1502.01852), B zero. <c>"gaussian"</c>: A
/// normal with standard deviation 1/rank, B zero. <c>false</c>: both uniform, so that the adapter changes the model
/// from the start (for tests).</remarks>
public static class LoraInitialization
{
    /// <summary>Draws A, [rank, in], and B, [out, rank]; the caller owns them.</summary>
    /// <param name="kind">"true", "false" or "gaussian".</param>
    /// <param name="rank">The rank.</param>
    /// <param name="inputs">Width of the layer's input.</param>
    /// <param name="outputs">Width of the layer's output.</param>
    /// <param name="generator">The source of randomness.</param>
    public static (Tensor A, Tensor B) Draw(string kind, int rank, int inputs, int outputs, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor a = kind == "gaussian"
            ? empty(rank, inputs).normal_(0, 1.0 / rank, generator)
            : Uniform(rank, inputs, generator);
        Tensor b = kind is "false" or "null" ? Uniform(outputs, rank, generator) : zeros(outputs, rank);
        return (a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope());
    }

    /// <summary>Draws A, [rank, rows], and B, [width, rank], of an embedding: A zero and B standard normal, as PEFT
    /// draws them; with <c>false</c> both normal.</summary>
    /// <param name="kind">"true", "false" or "gaussian".</param>
    /// <param name="rank">The rank.</param>
    /// <param name="rows">Rows of the table.</param>
    /// <param name="width">Width of the vectors.</param>
    /// <param name="generator">The source of randomness.</param>
    public static (Tensor A, Tensor B) DrawEmbedding(string kind, int rank, int rows, int width, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor a = kind is "false" or "null" ? empty(rank, rows).normal_(0, 1, generator) : zeros(rank, rows);
        Tensor b = empty(width, rank).normal_(0, 1, generator);
        return (a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope());
    }

    private static Tensor Uniform(int rows, int columns, Generator generator)
    {
        double bound = 1 / Math.Sqrt(columns);
        return empty(rows, columns).uniform_(-bound, bound, generator);
    }
}

/// <summary>Makes a save right on the untouched base where pairs began as a part of it (PiSSA, OLoRA, CorDA,
/// LoRA-GA).</summary>
/// <remarks>The change of the base is s·(B·A − B₀·A₀), a pair of twice the rank: A' = [A; A₀], B' = [B, −B₀], with the
/// scale kept by twice the alpha (√2 times with rsLoRA). PEFT calls it
/// path_initial_model_for_weight_conversion.</remarks>
internal static class LoraConversion
{
    public static AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts)
    {
        if (!parts.OfType<AdaptedLayer>().Any(module => module.Layer is LoraLayer { InitialPair: not null }))
            return new AdapterExport(config, [.. parts.SelectMany(part => part.Weights)]);
        using var noGradient = no_grad();
        IEnumerable<KeyValuePair<string, Tensor>> weights =
            parts.SelectMany(part => part is AdaptedLayer { Layer: LoraLayer { InitialPair: { } taken } layer }
            ? part.Weights.Select(weight => KeyValuePair.Create(weight.Key, Doubled(weight.Value, layer, taken)))
            : part.Weights);
        return new AdapterExport(Doubled(config), [.. weights]);
    }

    private static Tensor Doubled(Tensor weight, LoraLayer layer, (Tensor A, Tensor B) taken) =>
        ReferenceEquals(weight, layer.A) ? cat([weight.detach(), taken.A], 0)
        : ReferenceEquals(weight, layer.B) ? cat([weight.detach(), taken.B.neg()], 1) : weight;

    private static LoraConfig Doubled(LoraConfig config)
    {
        ConfigNumber Alpha(ConfigNumber alpha) => config.UseRankStabilizedScale
            ? ConfigNumber.FromDouble(alpha.Value * Math.Sqrt(2))
            : alpha.IsInteger ? ConfigNumber.FromInt32((int)alpha.Value * 2) : ConfigNumber.FromDouble(alpha.Value * 2);
        return config with
        {
            Rank = config.Rank * 2,
            Alpha = Alpha(config.Alpha),
            RankPattern = new OrderedDictionary<string, int>(
                config.RankPattern.Select(rank => KeyValuePair.Create(rank.Key, rank.Value * 2))),
            AlphaPattern = new OrderedDictionary<string, ConfigNumber>(
                config.AlphaPattern.Select(alpha => KeyValuePair.Create(alpha.Key, Alpha(alpha.Value)))),
            InitialWeights = InitialWeights.True,
        };
    }
}

/// <summary>LoRA with the scale alpha / √rank, with which high ranks learn as fast as low ones.</summary>
public sealed class RsLoraMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "rslora";

    /// <inheritdoc/>
    public string Title => "rsLoRA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2312.03732";

    /// <inheritdoc/>
    public string Summary => "LoRA with the scale alpha / √rank, with which high ranks learn as fast as low ones.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } =
        [.. AdapterMethods.PairKeys.Where(key => key != "use_rslora"), "lora_bias", "init_lora_weights"];

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) =>
        shared with { UseRankStabilizedScale = true };
}
