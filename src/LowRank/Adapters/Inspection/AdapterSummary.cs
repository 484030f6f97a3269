using System.Globalization;
using LowRank.Adapters.Files;
using LowRank.Adapters.Matching;
using LowRank.IO;
using static TorchSharp.torch;

namespace LowRank.Adapters.Inspection;

/// <summary>The contents of a PEFT folder of any type, read without its base model.</summary>
/// <param name="Config">The adapter's config.</param>
/// <param name="Modules">The modules it changes, by path.</param>
/// <param name="Parameters">Number of trained values: pairs, biases, modules saved whole.</param>
/// <param name="Bytes">Size of the tensor file.</param>
/// <param name="Notes">What the summary does not show, one sentence each.</param>
public sealed record AdapterSummary(
    AdapterConfig Config, IReadOnlyList<ModuleSummary> Modules, long Parameters, long Bytes,
    IReadOnlyList<string> Notes)
{
    /// <summary>Reads a folder.</summary>
    /// <param name="folder">A folder with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</param>
    /// <exception cref="InputException">A file is missing or invalid, half of a pair is missing, or the halves have
    /// incompatible shapes.</exception>
    /// <exception cref="NonFiniteException">A value is not finite.</exception>
    public static AdapterSummary Load(string folder)
    {
        AdapterConfig any = AdapterConfig.Load(folder);
        string path = Adapter.TensorsPath(folder);
        using SafeTensorsFile file = AdapterTensorFile.Load(folder);
        if (any is not LoraConfig config) return OfOtherKind(any, any.Type, file);
        var parts = file.Entries.Keys.ToDictionary(key => key, PeftTensorKeys.Parse);
        CheckPairs(path, file, parts);
        var alphas = new PatternValues<ConfigNumber>(config.AlphaPattern, "alpha_pattern");
        List<ModuleSummary> modules = [.. parts.Values.OfType<(string Path, AdapterTensorPart Part)>()
            .Where(part => part.Part is AdapterTensorPart.LinearA or AdapterTensorPart.EmbeddingA)
            .OrderBy(part => part.Path, ModulePathOrder.Instance)
            .Select(part =>
            Summarize(file, config, alphas, part.Path, part.Part == AdapterTensorPart.EmbeddingA ? ModuleKind.Embedding
            : ModuleKind.Linear))];
        return new AdapterSummary(
            config, modules,
            file.Entries.Values.Where(entry => parts[entry.Name]?.Part != AdapterTensorPart.AdaptedWeight)
            .Sum(entry => entry.ElementCount),
            new FileInfo(path).Length, [.. NotesOf(config, parts)]);
    }

    /// <summary>The name of the adapter type, such as "LoRA".</summary>
    public string Label => Config is LoraConfig { UseDora: true } ? "DoRA" : Config.Type.Label;

    /// <summary>The rank; null for a type without one.</summary>
    public int? Rank => Config switch { LowRankConfig pairs => pairs.Rank, VeraConfig vera => vera.Rank, _ => null };

    /// <summary>The alpha; null for a type without one.</summary>
    public ConfigNumber? Alpha => (Config as LowRankConfig)?.Alpha;

    /// <summary>Whether the scale is divided by the square root of the rank.</summary>
    public bool IsRankStabilized => Config is LoraConfig { UseRsLora: true } or AdaLoraConfig { UseRsLora: true };

    /// <summary>Dropout on the input of the change while training; 0 for a type without it.</summary>
    public ConfigNumber Dropout => Config switch
    {
        LoraConfig lora => lora.Dropout, AdaLoraConfig adaptive => adaptive.Dropout, VeraConfig vera => vera.Dropout,
        _ => 0.0,
    };

    /// <summary>Which biases of the base are trained.</summary>
    public BiasTraining Bias => Config.TrainedBiases;

    /// <summary>Whether the adapter type attaches to layers.</summary>
    public bool HasTargets => Config.Type.HasTargets;

    /// <summary>The smallest rank that keeps a given fraction of the energy Σσ² of every module's change; null if no
    /// change is known.</summary>
    public int? RankFor(double fraction) => Modules.Any(module => module.Delta is not null)
        ? Modules.Max(module => module.Delta?.RankFor(fraction) ?? 0) : null;

    private static AdapterSummary OfOtherKind(AdapterConfig config, IAdapterType kind, SafeTensorsFile file)
    {
        List<ModuleSummary> modules =
            [.. kind.Summarize(config, file).OrderBy(module => module.Path, ModulePathOrder.Instance)];
        List<string> notes =
            [.. config.Warnings, .. config.UnsupportedRequests(AdapterUse.Load)
            .Select(request => $"LowRank cannot load this adapter: {request}")];
        if (modules.Exists(module => module.Delta is null))
            notes.Add($"What {kind.Label} changes depends on the base: no delta is shown.");
        return new AdapterSummary(config, modules, kind.TrainedCount(file), new FileInfo(file.Path).Length, notes);
    }

    private static ModuleSummary Summarize(
        SafeTensorsFile file, LoraConfig config, PatternValues<ConfigNumber> alphas, string path, ModuleKind kind)
    {
        using Tensor a = file.Map(PeftTensorKeys.A(path, kind)), b = file.Map(PeftTensorKeys.B(path, kind));
        int rank = (int)a.shape[0];
        double alpha = (alphas.All(path) is [var first, ..] ? first.Value : config.Alpha).Value;
        double scale = config.Scale(rank, alpha);
        try
        {
            return new ModuleSummary(path, rank, alpha, scale, b.shape[0], a.shape[1], DeltaSpectrum.From(a, b, scale));
        }
        catch (NonFiniteException e)
        {
            throw new NonFiniteException($"{file.Path}: {path}: {e.Message}");
        }
    }

    private static void CheckPairs(
        string path, SafeTensorsFile file, Dictionary<string, (string Path, AdapterTensorPart Part)?> parts)
    {
        var problems = new List<string>();
        foreach ((string key, (string Path, AdapterTensorPart Part)? part) in parts)
        {
            if (part is not { } known || Other(known.Part) is not { } half) continue;
            string other = PeftTensorKeys.Key(known.Path, half);
            if (!file.Entries.TryGetValue(other, out SafeTensorsEntry? partner))
            {
                problems.Add($"{key} has no partner; expected {other} beside it");
                continue;
            }
            long[] shape = file.Entries[key].Shape;
            if (shape.Length != 2 || shape.Contains(0))
                problems.Add($"{key} is {Show(shape)}; expected two dimensions above 0");
            else if (known.Part is AdapterTensorPart.LinearA or AdapterTensorPart.EmbeddingA
                && partner.Shape.Length == 2 && shape[0] != partner.Shape[1])
                problems.Add(
                    $"{key} is {Show(shape)} and {other} {Show(partner.Shape)}; expected [rank, in] and [out, rank]");
        }
        if (problems.Count > 0) throw new InputException($"{path} is not a whole LoRA adapter:", problems);
    }

    private static string Words(AdapterTensorPart part) => part switch
    {
        AdapterTensorPart.AdaptedBias or AdapterTensorPart.Bias => "biases",
        AdapterTensorPart.Magnitude => "DoRA's magnitudes",
        AdapterTensorPart.OutputBias => "biases on B",
        AdapterTensorPart.TokenRows => "rows of trained tokens",
        _ => "modules saved whole",
    };

    private static string Show(long[] shape) => $"[{string.Join(", ", shape)}]";

    private static AdapterTensorPart? Other(AdapterTensorPart part) => part switch
    {
        AdapterTensorPart.LinearA => AdapterTensorPart.LinearB,
        AdapterTensorPart.LinearB => AdapterTensorPart.LinearA,
        AdapterTensorPart.EmbeddingA => AdapterTensorPart.EmbeddingB,
        AdapterTensorPart.EmbeddingB => AdapterTensorPart.EmbeddingA,
        _ => null,
    };

    private static IEnumerable<string> NotesOf(
        LoraConfig config, Dictionary<string, (string Path, AdapterTensorPart Part)?> parts)
    {
        foreach (string warning in config.Warnings) yield return warning;
        foreach (string request in config.UnsupportedRequests(AdapterUse.Load))
            yield return $"LowRank cannot load this adapter: {request}";
        foreach (var group in parts.Values.OfType<(string Path, AdapterTensorPart Part)>()
            .Where(part => Other(part.Part) is null).GroupBy(part => part.Part))
        {
            yield return group.Key == AdapterTensorPart.AdaptedWeight
                ? $"{group.Count()} weights of the base are stored beside their pairs; they are not trained and " +
                "not counted."
                : $"{(group.Count() == 1 ? "1 tensor besides the pairs is"
                    : $"{group.Count()} tensors besides the pairs are")} trained ({Words(group.Key)}); " +
                    $"no delta is shown for {(group.Count() == 1 ? "it" : "them")}.";
        }
        string[] foreign = [.. parts.Where(part => part.Value is null).Select(part => part.Key)];
        if (foreign.Length > 0)
            yield return $"{foreign.Length} tensors have keys that PEFT does not write: " +
                $"{string.Join(", ", foreign.Take(5))}{(foreign.Length > 5 ? ", …" : "")}";
    }
}

/// <summary>One module that an adapter changes.</summary>
/// <param name="Path">Its path in the model.</param>
/// <param name="Rank">The rank of its pair.</param>
/// <param name="Alpha">Its alpha.</param>
/// <param name="Scale">s of the change s·B·A.</param>
/// <param name="OutputSize">Rows of B.</param>
/// <param name="InputSize">Columns of A.</param>
/// <param name="Delta">The size and spectrum of the change; null if it cannot be determined without the base.</param>
public sealed record ModuleSummary(
    string Path, int Rank, double Alpha, double Scale, long OutputSize, long InputSize, DeltaSpectrum? Delta)
{
    /// <summary>Number of trained values in it: those of A and B, rank · (in + out), unless the adapter type has
    /// others.</summary>
    public long Parameters { get; init; } = Rank * (InputSize + OutputSize);
}

/// <summary>Sorts module paths numerically: layer 2 before layer 10.</summary>
internal sealed class ModulePathOrder : IComparer<string>
{
    public static ModulePathOrder Instance { get; } = new();

    public int Compare(string? x, string? y)
    {
        string[] left = (x ?? "").Split('.'), right = (y ?? "").Split('.');
        for (int i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            int order = long.TryParse(left[i], CultureInfo.InvariantCulture, out long a)
                && long.TryParse(right[i], CultureInfo.InvariantCulture, out long b) ? a.CompareTo(b)
                : string.CompareOrdinal(left[i], right[i]);
            if (order != 0) return order;
        }
        return left.Length.CompareTo(right.Length);
    }
}
