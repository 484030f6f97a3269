using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>A way in which pairs begin: a value of <c>init_lora_weights</c>, listed in
/// <see cref="LoraInitializers"/>.</summary>
internal interface ILoraInitializer
{
    /// <summary>The value in words, for messages; the plain ones are one word.</summary>
    string Name { get; }

    /// <summary>Whether the start has this name, in lower case.</summary>
    bool Is(string name) => name == Name;

    /// <summary>Whether the pairs begin as a part of the base that is to be taken out of it.</summary>
    bool TakesFromBase => false;

    /// <summary>Whether an adapter saved as trained can be used: one that took from the base needs the same first
    /// values again.</summary>
    bool CanRepeat => true;

    /// <summary>Whether a file that names this start can be used as it is.</summary>
    bool CanLoad => !TakesFromBase || CanRepeat;

    /// <summary>Whether the start says nothing of a saved adapter any more: then <c>true</c> is written.</summary>
    bool IsSpent => false;

    /// <summary>Whether the adapter is right beside a base in the format that it was made on alone; see
    /// <see cref="AdapterBase"/>.</summary>
    bool NeedsSameBase => false;

    /// <summary>What is wrong with a new adapter's config for this start, a line each, the key first.</summary>
    IEnumerable<string> Problems(LoraConfig config) => [];

    /// <summary>First values of every target, in the caller's dispose scope.</summary>
    IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build);
}

/// <summary>All starts, in one list.</summary>
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

    /// <summary>Whether a value of <c>init_lora_weights</c> can be acted on.</summary>
    public static bool Supports(string name, AdapterUse use) =>
        All.FirstOrDefault(start => start.Is(name)) is { } found && (use == AdapterUse.Create || found.CanLoad);

    /// <summary>The start of a name; that of <c>true</c> for names that matter for new adapters only.</summary>
    public static ILoraInitializer Find(string name) => All.FirstOrDefault(start => start.Is(name))
        ?? All.Single(start => start.Is("true"));
}

/// <summary>true, false, null and "gaussian": drawn without looking at the model.</summary>
internal sealed class RandomInitializer : ILoraInitializer
{
    public string Name => "true, false, gaussian";

    public bool Is(string name) => name is "true" or "false" or "null" or "gaussian";

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build) =>
        build.Targets.ToDictionary(target => target.Path, target =>
    {
        AdaptableLayer site = build.Sites[target.Path];
        string kind = build.Config.InitialWeights.Name;
        (TorchSharp.torch.Tensor a, TorchSharp.torch.Tensor b) = site.Kind == ModuleKind.Embedding
            ? LoraInitialization.DrawEmbedding(kind, target.Rank, site.InputSize, site.OutputSize, build.Random)
            : LoraInitialization.Draw(kind, target.Rank, site.InputSize, site.OutputSize, build.Random);
        return new LoraPair(a, b);
    });
}

/// <summary>The largest singular directions of a matrix by random projection (Halko, Martinsson and Tropp, arXiv
/// 0909.4061, algorithms 4.4 and 5.1).</summary>
internal static class LeadingDirections
{
    /// <summary>U [rows, count], values [count], Vᵀ [count, columns], in the caller's dispose scope.</summary>
    /// <param name="matrix">[rows, columns]</param>
    /// <param name="count">How many directions; fewer where the matrix has fewer.</param>
    /// <param name="iterations">Subspace iterations; each makes the directions of close values more exact.</param>
    /// <param name="random">The source of randomness.</param>
    public static (Tensor U, Tensor Values, Tensor Vh) Of(Tensor matrix, int count, int iterations, Generator random)
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
