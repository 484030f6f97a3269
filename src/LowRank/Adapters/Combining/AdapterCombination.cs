using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Combining;

/// <summary>Combines several adapters into one, like PEFT's add_weighted_adapter (peft/tuners/lora/model.py).</summary>
/// <remarks><c>cat</c> concatenates the pairs: exactly the weighted sum of the changes, with the sum of the ranks. The
/// kinds named after a merge (<c>linear</c>, <c>ties</c>, …) merge A with A and B with B, each multiplied by the square
/// root of its weight and scale. With <c>_svd</c> they merge the changes themselves and decompose the result into a
/// pair of the requested rank; <c>svd</c> does this with the weighted sum.</remarks>
public static class AdapterCombination
{
    private const string SvdEnding = "_svd";

    private static readonly Registry<ITensorMerge> Merges = new("way to merge tensors", merge => merge.Name,
        [new DareLinearMerge(), new DareTiesMerge(), new LinearMerge(), new MagnitudePruneMerge(), new TiesMerge()],
        "cat", "svd");

    /// <summary>The kinds of combination, sorted.</summary>
    public static IReadOnlyList<string> Kinds =>
        [.. Merges.Names.Concat(Merges.Names.Where(name => name != "linear").Select(name => name + SvdEnding))
            .Append("cat").Append("svd").Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Adds your own way to merge tensors for every combination made afterwards. Thread-safe.</summary>
    /// <exception cref="ArgumentException">Its name is taken or ends in <c>_svd</c>, which is reserved for the form of
    /// a merge that decomposes the merged changes.</exception>
    public static void Register(ITensorMerge merge)
    {
        ArgumentNullException.ThrowIfNull(merge);
        if (merge.Name.EndsWith(SvdEnding, StringComparison.Ordinal))
            throw new ArgumentException(
                $"\"{merge.Name}\" cannot name a way to merge tensors: each has a form of its name with _svd already.",
                nameof(merge));
        Merges.Register(merge);
    }

    /// <summary>Combines adapters.</summary>
    /// <param name="adapters">The adapters with their weights; at least one.</param>
    /// <param name="kind">One of <see cref="Kinds"/>.</param>
    /// <param name="options">Density, rank and other options.</param>
    /// <returns>The result; its tensors are in the caller's dispose scope.</returns>
    /// <exception cref="InputException">The adapters or options are incompatible; the message lists all
    /// problems.</exception>
    public static LoraFolder Combine(
        IReadOnlyList<(LoraFolder Adapter, double Weight)> adapters, string kind, CombineOptions options)
    {
        ITensorMerge? merge = Merge(kind);
        bool decomposes = kind == "svd" || kind.EndsWith(SvdEnding, StringComparison.Ordinal);
        Check(adapters, kind, merge, decomposes, options);
        using var noGradient = no_grad();
        using Generator random = new Generator().manual_seed(options.Seed);
        options = options with { Random = random };
        int rank = options.Rank ?? adapters.Max(given => given.Adapter.Modules.Max(module => module.Rank));
        string[] paths =
            [.. adapters.SelectMany(given => given.Adapter.Modules.Select(module => module.Path)).Distinct()
            .Order(ModulePathOrder.Instance)];
        List<LoraModule> modules = [.. paths.Select(path =>
        {
            (LoraModule Module, double Weight)[] pairs =
                [.. adapters.SelectMany(
                    given => given.Adapter.Modules.Where(module => module.Path == path)
                    .Select(module => (module, given.Weight)))];
            return kind == "cat" ? Concatenate(pairs) : decomposes ? Decompose(pairs, merge!, rank, options)
                : MergePairs(pairs, merge!, options);
        })];
        LoraConfig first = adapters[0].Adapter.Config;
        LoraConfig config =
            first with { TargetModules = Targets(adapters), UseRsLora = false,
            InitLoraWeights = InitialWeights.True };
        AdapterTask?[] tasks = [.. adapters.Select(given => given.Adapter.Task)];
        return new LoraFolder(config, modules, new Dictionary<string, Tensor>())
        {
            Task = tasks.All(task => task?.Task == tasks[0]?.Task) ? tasks[0] : null,
            Data = AdapterData.Common(adapters.Select(given => given.Adapter.Data)),
            Base = AdapterBase.Common(adapters.Select(given => given.Adapter.Base)),
            Vocabulary = AdapterVocabulary.Common(adapters.Select(given => given.Adapter.Vocabulary)),
            ChatTemplates = AdapterChatTemplates.Common(adapters.Select(given => given.Adapter.ChatTemplates)),
        };
    }

    /// <summary>Rejects an unknown kind.</summary>
    /// <exception cref="InputException">The kind is unknown; the message lists the known ones.</exception>
    public static void RequireKind(string kind)
    {
        if (!Kinds.Contains(kind))
            throw new InputException($"kind: found \"{kind}\", expected one of {string.Join(", ", Kinds)}.");
    }

    /// <summary>Whether an option has an effect with a kind.</summary>
    /// <param name="kind">One of <see cref="Kinds"/>.</param>
    /// <param name="option">The name of a property of <see cref="CombineOptions"/>.</param>
    /// <exception cref="InputException">The kind is unknown.</exception>
    public static bool Uses(string kind, string option) => Traits(kind) is var traits && option switch
    {
        nameof(CombineOptions.Density) => traits.Prunes,
        nameof(CombineOptions.Rank) or nameof(CombineOptions.ScaleOnce) => traits.Decomposes,
        nameof(CombineOptions.Seed) => traits.IsRandom,
        nameof(CombineOptions.SignByFrequency) => traits.ElectsSigns,
        _ => throw new ArgumentException($"{option} is no property of {nameof(CombineOptions)}.", nameof(option)),
    };

    /// <summary>The properties of a kind, which determine its options.</summary>
    /// <exception cref="InputException">The kind is unknown.</exception>
    internal static CombinationTraits Traits(string kind)
    {
        ITensorMerge? merge = Merge(kind);
        return new CombinationTraits(
            merge?.Prunes == true, kind == "svd" || kind.EndsWith(SvdEnding, StringComparison.Ordinal),
            merge?.IsRandom == true, merge?.ElectsSigns == true);
    }

    private static ITensorMerge? Merge(string kind)
    {
        RequireKind(kind);
        if (kind == "cat") return null;
        return Merges.Find(kind == "svd" ? "linear" : kind.EndsWith(SvdEnding, StringComparison.Ordinal)
            ? kind[..^SvdEnding.Length] : kind);
    }

    private static LoraModule Concatenate((LoraModule Module, double Weight)[] pairs) =>
        new(pairs[0].Module.Path, pairs[0].Module.IsEmbedding,
        cat([.. pairs.Select(pair => pair.Module.A * Number(pair.Weight * pair.Module.Scale))], 0),
        cat([.. pairs.Select(pair => pair.Module.B)], 1), 1);

    // A sign goes only to A; in both it would cancel.
    private static LoraModule MergePairs(
        (LoraModule Module, double Weight)[] pairs, ITensorMerge merge, CombineOptions options)
    {
        double[] shares = [.. pairs.Select(pair => pair.Weight * pair.Module.Scale)];
        Tensor a = merge.Merge(
            [.. pairs.Select(pair => pair.Module.A)],
            [.. shares.Select(share => Math.Sqrt(Math.Abs(share)) * (share >= 0 ? 1 : -1))], options);
        Tensor b = merge.Merge(
            [.. pairs.Select(pair => pair.Module.B)], [.. shares.Select(share => Math.Sqrt(Math.Abs(share)))], options);
        return new LoraModule(pairs[0].Module.Path, pairs[0].Module.IsEmbedding, a, b, 1);
    }

    private static LoraModule Decompose(
        (LoraModule Module, double Weight)[] pairs, ITensorMerge merge, int rank, CombineOptions options)
    {
        using var scope = NewDisposeScope();
        LoraModule first = pairs[0].Module;
        double[] weights = [.. pairs.Select(pair => options.ScaleOnce ? pair.Weight : pair.Weight * pair.Module.Scale)];
        Tensor delta = merge.Merge([.. pairs.Select(pair => pair.Module.Delta())], weights, options);
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(delta, fullMatrices: false);
        long kept = Math.Min(rank, values.shape[0]);
        Tensor a = vh.narrow(0, 0, kept).clone(), b = (u.narrow(1, 0, kept) * values.narrow(0, 0, kept)).contiguous();
        return new LoraModule(
            first.Path, first.IsEmbedding, a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope(), 1);
    }

    private static ModuleSelection? Targets(IReadOnlyList<(LoraFolder Adapter, double Weight)> adapters)
    {
        ModuleSelection?[] all = [.. adapters.Select(given => given.Adapter.Config.TargetModules)];
        if (all.All(selection => selection?.Names is not null))
            return [.. all.SelectMany(selection => selection!.Names!).Distinct().Order(StringComparer.Ordinal)];
        return all.All(selection => selection?.Text is not null)
            ? ModuleSelection.Pattern(
                string.Join('|', all.Select(selection => selection!.Text).Distinct().Select(text => $"({text})")))
                : all[0];
    }

    private static void Check(IReadOnlyList<(LoraFolder Adapter, double Weight)> adapters, string kind,
        ITensorMerge? merge, bool decomposes, CombineOptions options)
    {
        var problems = new List<string>();
        if (adapters.Count == 0) problems.Add("adapters: there is none; name at least one");
        if (adapters.Any(given => !double.IsFinite(given.Weight)))
            problems.Add("weights: found one that is not finite");
        if (merge?.Prunes == true && options.Density is null)
            problems.Add(
                $"density: missing, and {kind} leaves values out; give the share that is kept, above 0 and at most 1");
        if (options.Density is { } density && (merge?.Prunes != true || density is not (> 0 and <= 1)))
            problems.Add(merge?.Prunes == true ? $"density: found {density}, expected above 0 and at most 1"
                : $"density: found {density}, which has no effect with {kind}; leave it out");
        if (options.Rank is { } rank && (!decomposes || rank < 1))
            problems.Add(decomposes ? $"rank: found {rank}, expected at least 1"
                : $"rank: found {rank}, which has no effect with {kind}; leave it out, or take {kind}_svd");
        if (options.SignByFrequency && merge?.ElectsSigns != true)
            problems.Add($"sign by frequency: has no effect with {kind}; leave it out");
        if (options.ScaleOnce && !decomposes) problems.Add($"scale once: has no effect with {kind}; leave it out");
        problems.AddRange(Mismatches(adapters, kind, decomposes));
        if (problems.Count > 0) throw new InputException("The adapters cannot be combined so:", problems);
    }

    private static IEnumerable<string> Mismatches(
        IReadOnlyList<(LoraFolder Adapter, double Weight)> adapters, string kind, bool decomposes)
    {
        if (adapters.Any(
            given => given.Adapter.Others.Keys.Any(
                key => PeftTensorKeys.Parse(key)?.Part != AdapterTensorPart.AdaptedWeight)))
            yield return "an adapter trains biases or whole modules besides its pairs (bias, modules_to_save), " +
                "which have no weighted sum here: use the adapters together unmerged, or merge them one after the " +
                "other";
        var modules = adapters.SelectMany((given, number) => given.Adapter.Modules.Select(module => (number, module)))
            .GroupBy(entry => entry.module.Path);
        foreach (var group in modules)
        {
            if (group.Select(entry => (entry.module.A.shape[1], entry.module.B.shape[0], entry.module.IsEmbedding))
                .Distinct().Count() > 1)
                yield return $"{group.Key}: the adapters have pairs of different widths, " +
                    $"{string.Join(" and ", group.Select(entry =>
                        $"{entry.module.B.shape[0]} × {entry.module.A.shape[1]}"))}; are they of the same base?";
            else if (kind != "cat" && !decomposes && group.Select(entry => entry.module.Rank).Distinct().Count() > 1)
                yield return $"{group.Key}: ranks are " +
                    $"{string.Join(" and ", group.Select(entry => entry.module.Rank))}, and {kind} needs the same; " +
                    "take cat or a kind with _svd, or resize one first";
        }
    }
}

/// <summary>The properties of a kind of combination.</summary>
/// <param name="Prunes">Whether it drops values, and needs a density.</param>
/// <param name="Decomposes">Whether it decomposes the merged changes into a pair of the requested rank.</param>
/// <param name="IsRandom">Whether the dropped values are chosen at random.</param>
/// <param name="ElectsSigns">Whether it elects the sign of each value.</param>
internal sealed record CombinationTraits(bool Prunes, bool Decomposes, bool IsRandom, bool ElectsSigns);

/// <summary>How adapters are combined.</summary>
public sealed record CombineOptions
{
    /// <summary>Fraction of values kept by kinds that drop values, above 0 and at most 1; null for kinds that keep
    /// all.</summary>
    public double? Density { get; init; }

    /// <summary>The rank of the result if it comes from a singular value decomposition; null for the largest rank of
    /// the inputs.</summary>
    public int? Rank { get; init; }

    /// <summary>Seed for values dropped at random (DARE); 42.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>Whether signs are elected by their number ("frequency") or their sum ("total", the default).</summary>
    public bool SignByFrequency { get; init; }

    /// <summary>Whether decompositions apply each adapter's scale once. PEFT applies it twice, which is also the
    /// default here for identical results.</summary>
    public bool ScaleOnce { get; init; }

    /// <summary>The random generator during an operation.</summary>
    public torch.Generator Random { get; internal init; } = null!;
}
