using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>How A and B are initialised (<c>init_lora_weights</c>): true, false, or the name of a method.</summary>
public sealed record InitialWeights
{
    private InitialWeights(string name, string? text)
    {
        Name = name;
        Text = text;
    }

    /// <summary>A uniform (Kaiming with a = √5), B zero: the default.</summary>
    public static InitialWeights True { get; } = new("true", null);

    /// <summary>A and B both random, so that the adapter changes the model before any training; for tests.</summary>
    public static InitialWeights False { get; } = new("false", null);

    /// <summary>A normal with standard deviation 1/rank, B zero.</summary>
    public static InitialWeights Gaussian { get; } = Parse("gaussian");

    /// <summary>The largest singular directions of each weight (PiSSA, arXiv 2404.02948).</summary>
    public static InitialWeights Pissa { get; } = Parse("pissa");

    /// <summary>The first columns and rows of each weight's QR factors (OLoRA, arXiv 2406.01775).</summary>
    public static InitialWeights Olora { get; } = Parse("olora");

    /// <summary>Random pairs in complementary directions, whose product is zero.</summary>
    public static InitialWeights Orthogonal { get; } = Parse("orthogonal");

    /// <summary>The directions in which a layer's inputs vary most (EVA, arXiv 2410.07170); needs data.</summary>
    public static InitialWeights Eva { get; } = Parse("eva");

    /// <summary>Directions of each weight that its inputs determine (CorDA, arXiv 2406.05223); needs data.</summary>
    public static InitialWeights Corda { get; } = Parse("corda");

    /// <summary>The largest directions of each weight's gradient (LoRA-GA, arXiv 2407.05000); needs data.</summary>
    public static InitialWeights LoraGa { get; } = Parse("lora_ga");

    /// <summary>The quantisation error of each weight (LoftQ, arXiv 2310.08659); needs a quantised base.</summary>
    public static InitialWeights LoftQ { get; } = Parse("loftq");

    /// <summary>JSON's null, which PEFT treats like <see cref="False"/>.</summary>
    public static InitialWeights Null { get; } = new("null", null);

    /// <summary>"true", "false", "null" or the method's name in lower case.</summary>
    public string Name { get; }

    /// <summary>The method name as written; null for true, false and null.</summary>
    public string? Text { get; }

    /// <summary>PiSSA with a randomised decomposition, which is faster for large weights.</summary>
    /// <param name="iterations">Number of subspace iterations, at least 1.</param>
    public static InitialWeights RandomizedPissa(int iterations) => Parse($"pissa_niter_{iterations}");

    /// <summary>A method by its name in PEFT's files, such as "gaussian".</summary>
    public static InitialWeights Parse(string name) => new(name.ToLowerInvariant(), name);
}

/// <summary>A way to initialise pairs: a value of <c>init_lora_weights</c>, listed in
/// <see cref="LoraInitializers"/>.</summary>
internal interface ILoraInitializer
{
    /// <summary>The value in words, for messages; the plain values share one entry.</summary>
    string Name { get; }

    /// <summary>Whether the initialisation has this name, in lower case.</summary>
    bool Is(string name) => name == Name;

    /// <summary>Whether the pairs start as a part of the base that must be subtracted from it.</summary>
    bool StartsFromBase => false;

    /// <summary>Whether an adapter can be used as saved: one that started as a part of the base needs the same initial
    /// values again.</summary>
    bool CanRepeat => true;

    /// <summary>Whether a file that specifies this initialisation can be used as it is.</summary>
    bool CanLoad => !StartsFromBase || CanRepeat;

    /// <summary>Whether the initialisation no longer matters in a saved adapter; if so, <c>true</c> is
    /// written.</summary>
    bool IsSpent => false;

    /// <summary>Whether the adapter is only valid with a base in the format that it was created on; see
    /// <see cref="AdapterBase"/>.</summary>
    bool NeedsSameBase => false;

    /// <summary>The problems of a new adapter's config for this initialisation, one line each, starting with the
    /// key.</summary>
    IEnumerable<string> Problems(LoraConfig config) => [];

    /// <summary>Initial values for every target, in the caller's dispose scope.</summary>
    IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build);
}

/// <summary>All initialisations, in one list.</summary>
internal static class LoraInitializers
{
    // Sorted by name, as messages list them.
    private static readonly ILoraInitializer[] All =
    [
        .. new ILoraInitializer[]
        {
            new CordaInitializer(), new EvaInitializer(), new LoftQInitializer(), new LoraGaInitializer(),
            new OloraInitializer(), new OrthogonalInitializer(), new PissaInitializer(), new RandomInitializer(),
            new RandomizedPissaInitializer(),
        }.OrderBy(start => start.Name, StringComparer.Ordinal),
    ];

    /// <summary>The names in words.</summary>
    public static string Names => string.Join(", ", All.Select(start => start.Name));

    /// <summary>Whether a value of <c>init_lora_weights</c> is supported.</summary>
    public static bool Supports(string name, AdapterUse use) =>
        All.FirstOrDefault(start => start.Is(name)) is { } found && (use == AdapterUse.Create || found.CanLoad);

    /// <summary>The initialisation with a name; that of <c>true</c> for names that only matter for new
    /// adapters.</summary>
    public static ILoraInitializer Find(string name) => All.FirstOrDefault(start => start.Is(name))
        ?? All.Single(start => start.Is("true"));
}

/// <summary>true, false, null and "gaussian": drawn without examining the model.</summary>
internal sealed class RandomInitializer : ILoraInitializer
{
    public string Name => "true, false, gaussian";

    public bool Is(string name) => name is "true" or "false" or "null" or "gaussian";

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build) =>
        LoraPair.ForEach(build, (layer, target) =>
    {
        string kind = ((LoraConfig)build.Config).InitLoraWeights.Name;
        (Tensor a, Tensor b) = layer.Kind == ModuleKind.Embedding
            ? LoraInitialization.DrawEmbedding(kind, target.Rank, layer.InputSize, layer.OutputSize, build.Random)
            : LoraInitialization.Draw(kind, target.Rank, layer.InputSize, layer.OutputSize, build.Random);
        return new LoraPair(a, b);
    });
}

/// <summary>The largest singular directions of a matrix, by random projection (Halko, Martinsson and Tropp, arXiv
/// 0909.4061, algorithms 4.4 and 5.1).</summary>
internal static class LeadingDirections
{
    /// <summary>U [rows, count], values [count], Vᵀ [count, columns], in the caller's dispose scope.</summary>
    /// <param name="matrix">[rows, columns]</param>
    /// <param name="count">Number of directions; fewer if the matrix has fewer.</param>
    /// <param name="iterations">Number of subspace iterations; each improves the accuracy of directions with similar
    /// values.</param>
    /// <param name="random">The random generator.</param>
    public static (Tensor U, Tensor Values, Tensor Vh) Compute(
        Tensor matrix, int count, int iterations, Generator random)
    {
        using var noGradient = no_grad();
        long width = Math.Min(count, Math.Min(matrix.shape[0], matrix.shape[1]));
        Tensor probe = empty(matrix.shape[1], width).normal_(0, 1, random).to(matrix.device);
        (Tensor basis, _) = linalg.qr(matmul(matrix, probe));
        for (int i = 0; i < iterations; i++)
        {
            (Tensor back, _) = linalg.qr(matmul(matrix.t(), basis));
            (basis, _) = linalg.qr(matmul(matrix, back));
        }
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(matmul(basis.t(), matrix), fullMatrices: false);
        return (matmul(basis, u), values, vh);
    }
}

/// <summary>Initial values of a pair.</summary>
/// <param name="A">[rank, in]</param>
/// <param name="B">[out, rank]</param>
internal sealed record LoraPair(Tensor A, Tensor B)
{
    /// <summary>Initialises the pair of every target, one layer at a time: a decomposition needs much memory.</summary>
    /// <returns>The pairs by path, in the caller's dispose scope.</returns>
    public static IReadOnlyDictionary<string, LoraPair> ForEach(
        AdapterBuild build, Func<AdaptableLayer, AdapterTarget, LoraPair> initialize) =>
        build.Targets.ToDictionary(target => target.Path, target =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        LoraPair pair = initialize(build.Layers[target.Path], target);
        pair.A.MoveToOuterDisposeScope();
        pair.B.MoveToOuterDisposeScope();
        return pair;
    });
}

/// <summary>Initial values of A and B, as in PEFT.</summary>
/// <remarks><c>true</c>: A uniform in ±1/√in (Kaiming with a = √5, arXiv 1502.01852), B zero. <c>"gaussian"</c>: A
/// normal with standard deviation 1/rank, B zero. <c>false</c>: both uniform, so that the adapter changes the model
/// from the start (for tests).</remarks>
internal static class LoraInitialization
{
    /// <summary>Draws A, [rank, in], and B, [out, rank]; the caller owns them.</summary>
    /// <param name="kind">"true", "false" or "gaussian".</param>
    /// <param name="rank">The rank.</param>
    /// <param name="inputs">Width of the layer's input.</param>
    /// <param name="outputs">Width of the layer's output.</param>
    /// <param name="generator">The random generator.</param>
    public static (Tensor A, Tensor B) Draw(string kind, int rank, int inputs, int outputs, Generator generator)
    {
        using var scope = NewDisposeScope();
        Tensor a = kind == "gaussian"
            ? empty(rank, inputs).normal_(0, 1.0 / rank, generator)
            : Uniform(rank, inputs, generator);
        Tensor b = kind is "false" or "null" ? Uniform(outputs, rank, generator) : zeros(outputs, rank);
        return (a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope());
    }

    /// <summary>Draws A, [rank, rows], and B, [width, rank], for an embedding: A zero and B standard normal, as in
    /// PEFT; both normal with <c>false</c>.</summary>
    /// <param name="kind">"true", "false" or "gaussian".</param>
    /// <param name="rank">The rank.</param>
    /// <param name="rows">Number of rows in the table.</param>
    /// <param name="width">Width of the vectors.</param>
    /// <param name="generator">The random generator.</param>
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

/// <summary>Makes a saved adapter valid for the unchanged base if its pairs started as a part of it (PiSSA, OLoRA,
/// CorDA, LoRA-GA).</summary>
/// <remarks>The change of the base is s·(B·A − B₀·A₀), a pair with twice the rank: A' = [A; A₀], B' = [B, −B₀];
/// doubling alpha (√2 times with rsLoRA) preserves the scale. PEFT calls it
/// path_initial_model_for_weight_conversion.</remarks>
internal static class LoraConversion
{
    public static AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts)
    {
        if (!parts.OfType<AdaptedLayer>().Any(module => module.Layer is LoraLayer { InitialPair: not null }))
            return new AdapterExport(config, [.. parts.SelectMany(part => part.Weights)]);
        using var noGradient = no_grad();
        IEnumerable<KeyValuePair<string, Tensor>> weights =
            parts.SelectMany(part => part is AdaptedLayer { Layer: LoraLayer { InitialPair: { } initial } layer }
            ? part.Weights.Select(weight => KeyValuePair.Create(weight.Key, Doubled(weight.Value, layer, initial)))
            : part.Weights);
        return new AdapterExport(Doubled(config), [.. weights]);
    }

    private static Tensor Doubled(Tensor weight, LoraLayer layer, (Tensor A, Tensor B) initial) =>
        ReferenceEquals(weight, layer.A) ? cat([weight.detach(), initial.A], 0)
        : ReferenceEquals(weight, layer.B) ? cat([weight.detach(), initial.B.neg()], 1) : weight;

    private static LoraConfig Doubled(LoraConfig config)
    {
        ConfigNumber Alpha(ConfigNumber alpha) => config.UseRsLora
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
            InitLoraWeights = InitialWeights.True,
        };
    }
}
