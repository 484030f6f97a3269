using LowRank.Adapters.Inspection;
using LowRank.Adapters.Matching;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Files;

/// <summary>A PEFT folder with plain low-rank pairs, as read and written by operations on adapters, without a base
/// model.</summary>
/// <remarks>The tensors belong to the dispose scope that was open when the folder was read.</remarks>
/// <param name="Config">Its config.</param>
/// <param name="Modules">Its pairs, in model order.</param>
/// <param name="Others">Its other tensors by key: biases, modules saved whole.</param>
public sealed record LoraFolder(
    LoraConfig Config, IReadOnlyList<LoraModule> Modules, IReadOnlyDictionary<string, Tensor> Others)
{
    /// <summary>What the adapter was trained for; null if the folder does not say.</summary>
    public AdapterTask? Task { get; init; }

    /// <summary>How the training rows were read; null if everything is at its default.</summary>
    public AdapterData? Data { get; init; }

    /// <summary>The only base that it works with; null if it works with any base with these weights.</summary>
    public AdapterBase? Base { get; init; }

    /// <summary>Its own tokenizer; null if it has none.</summary>
    public AdapterVocabulary? Vocabulary { get; init; }

    /// <summary>The chat templates that it was trained with; null if it has none.</summary>
    public AdapterChatTemplates? ChatTemplates { get; init; }

    /// <summary>Reads a folder.</summary>
    /// <exception cref="InputException">A file is missing or invalid, or the adapter has more than low-rank
    /// pairs.</exception>
    public static LoraFolder Load(string folder) => Load(folder, allowsMagnitudes: false);

    /// <summary>Reads a folder, including DoRA: its magnitudes are among the other tensors.</summary>
    internal static LoraFolder Load(string folder, bool allowsMagnitudes)
    {
        LoraConfig config = Require(folder, AdapterConfig.Load(folder), allowsMagnitudes);
        _ = AdapterSummary.Load(folder); // says which half of a pair is missing, and what is not finite
        using SafeTensorsFile file = AdapterTensorFile.Load(folder);
        Tensor Wide(string key) => file.Map(key).to(ScalarType.Float32).clone();
        var alphas = new PatternValues<ConfigNumber>(config.AlphaPattern, "alpha_pattern");
        var modules = new List<LoraModule>();
        var others = new Dictionary<string, Tensor>();
        foreach (string key in file.Entries.Keys)
        {
            if (PeftTensorKeys.Parse(key) is not { } place
                || place.Part is not (AdapterTensorPart.LinearA or AdapterTensorPart.EmbeddingA))
            {
                if (PeftTensorKeys.Parse(key)?.Part is not (AdapterTensorPart.LinearB or AdapterTensorPart.EmbeddingB))
                    others[key] = Wide(key);
                continue;
            }
            bool isEmbedding = place.Part == AdapterTensorPart.EmbeddingA;
            Tensor a = Wide(key);
            double alpha = (alphas.All(place.Path) is [var own, ..] ? own.Value : config.Alpha).Value;
            modules.Add(
                new LoraModule(
                    place.Path, isEmbedding, a,
                    Wide(PeftTensorKeys.B(place.Path, isEmbedding ? ModuleKind.Embedding : ModuleKind.Linear)),
                    config.Scale((int)a.shape[0], alpha)));
        }
        return new LoraFolder(config, [.. modules.OrderBy(module => module.Path, ModulePathOrder.Instance)], others)
        {
            Task = AdapterTask.Load(folder), Data = AdapterData.Load(folder), Base = AdapterBase.Load(folder),
                Vocabulary = AdapterVocabulary.Load(folder),
            ChatTemplates = AdapterChatTemplates.Load(folder),
        };
    }

    /// <summary>Writes a PEFT folder atomically. The ranks and scales of the pairs are stored in the config.</summary>
    /// <exception cref="InputException">The folder exists and is not empty.</exception>
    /// <exception cref="NonFiniteException">A tensor is not finite.</exception>
    public void Write(string folder)
    {
        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
            throw new InputException($"{folder} is not empty. Choose another output, or remove it first.");
        if (Modules.FirstOrDefault(module => !FiniteOutput.Holds(module.A) || !FiniteOutput.Holds(module.B)
            || !double.IsFinite(module.Scale)) is { } broken)
            throw new NonFiniteException(
                $"{broken.Path}: the pair that was computed is not finite: the adapters' numbers leave float32. " +
                $"Check alpha and norms of each{KnownSettings.Inspect.Aside}.");
        if (Others.FirstOrDefault(tensor => !FiniteOutput.Holds(tensor.Value)).Key is { } other)
            throw new NonFiniteException(
                $"{other} is not finite (NaN or infinite). Use an earlier checkpoint of the adapter.");
        LoraConfig config = Settings();
        AtomicFolder.Write(folder, into =>
        {
            using var scope = NewDisposeScope();
            IEnumerable<KeyValuePair<string, Tensor>> pairs = Modules.SelectMany(module =>
            {
                ModuleKind kind = module.IsEmbedding ? ModuleKind.Embedding : ModuleKind.Linear;
                return new[] { KeyValuePair.Create(PeftTensorKeys.A(module.Path, kind), module.A),
                    KeyValuePair.Create(PeftTensorKeys.B(module.Path, kind), module.B) };
            });
            SafeTensorsWriter.Write(
                Path.Combine(into, Adapter.FileName),
                [.. pairs.Concat(Others).Select(tensor => KeyValuePair.Create(tensor.Key, tensor.Value.contiguous()))]);
            config.Save(into);
            Task?.Save(into);
            Data?.Save(into);
            Base?.Save(into);
            Vocabulary?.Save(into);
            ChatTemplates?.Save(into);
        });
    }

    // The most common rank and alpha become the config's own; differing modules are listed by name.
    private LoraConfig Settings()
    {
        double Alpha(LoraModule module) => Config.UseRsLora ? module.Scale * Math.Sqrt(module.Rank)
            : module.Scale * module.Rank;
        ConfigNumber Number(double alpha) => Math.Abs(alpha - Math.Round(alpha)) < 1e-9 && Math.Abs(alpha) < 1e9
            ? ConfigNumber.FromInt32((int)Math.Round(alpha)) : ConfigNumber.FromDouble(alpha);
        int rank = Modules.GroupBy(module => module.Rank).OrderByDescending(group => group.Count()).First().Key;
        ConfigNumber alpha = Modules.GroupBy(module => Number(Alpha(module)))
            .OrderByDescending(group => group.Count()).First().Key;
        return Config with
        {
            Rank = rank,
            Alpha = alpha,
            RankPattern = new OrderedDictionary<string, int>(
                Modules.Where(module => module.Rank != rank)
                .Select(module => KeyValuePair.Create(module.Path, module.Rank))),
            AlphaPattern = new OrderedDictionary<string, ConfigNumber>(
                Modules.Where(module => Number(Alpha(module)) != alpha)
                .Select(module => KeyValuePair.Create(module.Path, Number(Alpha(module))))),
        };
    }

    private static LoraConfig Require(string folder, AdapterConfig read, bool allowsMagnitudes)
    {
        var problems = new List<string>();
        if (read is not LoraConfig config)
            throw Refused(folder, [$"peft_type: found \"{read.PeftType}\", expected \"LORA\""]);
        if (config.UseDora && !allowsMagnitudes)
            problems.Add("use_dora: found true; a magnitude cannot be added or cut");
        if (config.LoraBias) problems.Add("lora_bias: found true; a bias on B is no part of B·A");
        if (config.TrainableTokenIndices is not null)
            problems.Add("trainable_token_indices: rows that replace the base's cannot be added");
        if (LoraInitializers.Find(config.InitLoraWeights.Name).StartsFromBase
            && config.InitLoraWeights.Text is not null)
            problems.Add(
                $"init_lora_weights: found \"{config.InitLoraWeights.Text}\"; the pairs began as a part of the " +
                "base. Load the adapter with its base and save it again: it is then right on the untouched base");
        return problems.Count == 0 ? config : throw Refused(folder, problems);
    }

    private static InputException Refused(string folder, IReadOnlyList<string> problems) => new(
        $"{folder}: this works with adapters of plain low-rank pairs. Merge the adapter into its base instead" +
        $"{KnownSettings.Merge.Aside}, or train a plain one:", problems);
}

/// <summary>The pair of one module in an adapter's file.</summary>
/// <param name="Path">The module's path.</param>
/// <param name="IsEmbedding">Whether it is an embedding, whose change is (B·A)ᵀ·s.</param>
/// <param name="A">A, [rank, in], float32.</param>
/// <param name="B">B, [out, rank], float32.</param>
/// <param name="Scale">The scale s.</param>
public sealed record LoraModule(string Path, bool IsEmbedding, Tensor A, Tensor B, double Scale)
{
    /// <summary>The rank.</summary>
    public int Rank => (int)A.shape[0];

    /// <summary>s·B·A, [out, in].</summary>
    public Tensor Delta() => matmul(B, A) * Number(Scale);

    /// <summary>The same pair with the scale s multiplied into B, so that its own scale is 1.</summary>
    public LoraModule Folded() => this with { B = B * Number(Scale), Scale = 1 };
}
