using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.IO;
using LowRank.IO.Gguf;
using LowRank.Kernels.Native;
using LowRank.Models;
using LowRank.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Operations;

/// <summary>Adapters as llama.cpp, Ollama and LM Studio read them: GGUF files with a pair for each weight that they
/// change.</summary>
/// <remarks>llama.cpp scales a pair by alpha / the rank of its B, with one alpha for all. So the scale of each pair
/// that differs (rank and alpha patterns) is folded into its B, and rsLoRA's alpha is written as alpha·√rank. Rows of B
/// are in the order of the rows of the weight (<see cref="GgufForm"/>).</remarks>
public static class GgufAdapter
{
    private const string A = ".lora_a", B = ".lora_b", Embedding = "token_embd.weight", Head = "output.weight";
    private const string InvocationKey = "alora_invocation_tokens", Invocation = "adapter.alora.invocation_tokens";

    private static readonly Dictionary<string, GgufType> ByName =
        new[] { GgufType.F32, GgufType.F16, GgufType.BF16 }.ToDictionary(type => type.Name);

    /// <summary>The types of the tensors: f32, f16 and bf16.</summary>
    public static IReadOnlyList<string> Types { get; } = [.. ByName.Keys];

    /// <summary>Writes an adapter as a GGUF file.</summary>
    /// <param name="adapter">The adapter: plain low-rank pairs.</param>
    /// <param name="folder">Its folder, for messages.</param>
    /// <param name="model">The base's folder.</param>
    /// <param name="target">The file to write.</param>
    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <exception cref="InputException">llama.cpp does not know the base's family, or the adapter has parts that GGUF
    /// cannot represent; the message lists all of them.</exception>
    public static void FromPeft(LoraFolder adapter, string folder, string model, string target, string type = "f32")
    {
        ConfigReader config = ConfigReader.Open(Path.Combine(model, "config.json"));
        GgufArchitecture architecture = GgufArchitecture.From(config);
        List<(GgufWeight Weight, LoraModule Module)> places = Places(adapter, folder, model, architecture);
        double alpha = adapter.Modules.GroupBy(module => module.Scale * module.Rank)
            .OrderByDescending(group => group.Count()).First().Key;
        // llama.cpp takes an alpha of 0 for a scale of 1.
        if ((float)alpha == 0) alpha = 1;
        GgufMetadata metadata = new GgufMetadata().Set("general.architecture", architecture.Name)
            .Set("general.type", "adapter").Set("adapter.type", "lora").Set("adapter.lora.alpha", (float)alpha)
            .Set(Invocation, InvocationTokens(adapter.Config));
        GgufWriter.Write(target, metadata,
            [.. places.GroupBy(place => place.Weight.Name)
                .SelectMany(same => Tensors(same.First().Weight, [.. same.Select(place => place.Module)], alpha,
                    ByName[type]))]);
    }

    /// <summary>Writes a GGUF adapter as a PEFT folder.</summary>
    /// <param name="file">The file.</param>
    /// <param name="model">The base's folder.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <returns>Notes for the user about the base, one sentence each.</returns>
    /// <exception cref="InputException">The file is no GGUF adapter, or none of this base.</exception>
    public static IReadOnlyList<string> ToPeft(string file, string model, string target)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        NativeRuntime.Initialize();
        using GgufFile gguf = GgufFile.Open(file);
        GgufArchitecture architecture =
            GgufArchitecture.From(ConfigReader.Open(Path.Combine(model, "config.json")));
        RequireAdapter(gguf, architecture);
        using PretrainedModel opened = PretrainedModel.Open(model);
        IReadOnlyDictionary<string, AdaptableLayer> layers = AdaptableLayer.From(opened.Network);
        double alpha = gguf.Metadata.Number("adapter.lora.alpha")!.Value;
        List<LoraModule> modules = [.. gguf.Tensors.Keys
            .Where(name => name.EndsWith(A, StringComparison.Ordinal)).Select(name => name[..^A.Length])
            .SelectMany(name => Modules(gguf, name, architecture, layers, alpha))];
        LoraConfig config = TaskTypes.Fill(
            new LoraConfig { BaseModel = model, TargetModules = [.. modules.Select(module => module.Path)] },
            opened.Network) as LoraConfig ?? throw new InvalidOperationException("The config is LoRA's.");
        AdapterConfig resolved = TargetMatcher.Match(
            config, ModuleInfo.From(opened.Network), opened.Config.ModelType, AdapterUse.Create).Resolved;
        if (gguf.Metadata.Integers(Invocation) is { Count: > 0 } tokens)
            resolved = resolved with
            {
                OtherKeys = new Dictionary<string, JsonElement>(resolved.OtherKeys)
                {
                    [InvocationKey] = JsonSerializer.SerializeToElement(tokens),
                },
            };
        new LoraFolder((LoraConfig)resolved,
            [.. modules.OrderBy(module => module.Path, ModulePathOrder.Instance)],
            new Dictionary<string, Tensor>()).Write(target);
        return opened.Notes;
    }

    // The tokens of a text from which on an activated LoRA (aLoRA) applies; null for others, which always apply.
    private static uint[]? InvocationTokens(LoraConfig config) =>
        config.OtherKeys.TryGetValue(InvocationKey, out JsonElement tokens) && tokens.ValueKind == JsonValueKind.Array
            && tokens.GetArrayLength() > 0
            ? [.. tokens.EnumerateArray().Select(token => token.TryGetUInt32(out uint id) ? id
                : throw new InputException($"{InvocationKey}: found {token.GetRawText()}, expected a token's number."))]
            : null;

    private static List<(GgufWeight Weight, LoraModule Module)> Places(
        LoraFolder adapter, string folder, string model, GgufArchitecture architecture)
    {
        bool isTied = IsTied(model, architecture);
        var places = new List<(GgufWeight, LoraModule)>();
        List<string> problems =
            [.. adapter.Others.Keys.Where(key => !IsCopy(key)).Take(10)
                .Select(key => $"{key}: GGUF's adapters hold pairs alone"),
            .. adapter.Config.UnsupportedRequests(AdapterUse.Load)
                .Where(request => !request.StartsWith(InvocationKey, StringComparison.Ordinal))];
        if (adapter.Vocabulary is not null)
            problems.Add("its own tokenizer: the tokens that it adds are in no model that llama.cpp has");
        if (adapter.Base?.BaseDtype is { } needed)
            problems.Add(
                $"{AdapterBase.FileName}: the pairs are right beside a base in {needed} alone, as it is quantised " +
                "here");
        foreach (LoraModule module in adapter.Modules)
        {
            GgufWeight? weight = architecture.Of(module.Path);
            if (weight is null)
                problems.Add($"{module.Path}: llama.cpp's {architecture.Name} has no weight for it");
            else if (module.IsEmbedding && isTied)
                problems.Add(
                    $"{module.Path}: the base's head shares the embedding's weight, and llama.cpp ends where an " +
                    "adapter changes that");
            else if (weight.Name == Head && (isTied || !architecture.HasHead))
                problems.Add($"{module.Path}: the head shares the embedding's weight, so llama.cpp has none to change");
            else places.Add((weight, module));
        }
        return problems.Count == 0 ? places : throw new InputException(Words.Of(
            $"{folder} cannot be expressed as a GGUF adapter. Merge it into its base{KnownSettings.Merge.Aside} and " +
            $"write that as GGUF, or train an adapter without these parts:"), problems);
    }

    // PEFT saves the base's weight beside the pair of an embedding or a head; llama.cpp has it in the base.
    private static bool IsCopy(string key) => PeftTensorKeys.Parse(key)?.Part == AdapterTensorPart.AdaptedWeight;

    // A head's own weight overrides what the config says about sharing, as everywhere. A config alone is enough for an
    // adapter.
    private static bool IsTied(string model, GgufArchitecture architecture)
    {
        if (architecture.RepeatsTiedHead || !architecture.TiesHead || architecture.HeadName is not { } head)
            return false;
        string[] files = [Checkpoint.SingleFileName, Checkpoint.IndexFileName, Checkpoint.PickleFileName,
            Checkpoint.PickleIndexFileName];
        if (!Array.Exists(files, file => File.Exists(Path.Combine(model, file)))) return true;
        using Checkpoint checkpoint = Checkpoint.Open(model);
        return !checkpoint.Entries.ContainsKey(head);
    }

    private static IEnumerable<GgufSource> Tensors(
        GgufWeight weight, IReadOnlyList<LoraModule> modules, double alpha, GgufType type)
    {
        int rank = modules.Max(module => module.Rank);
        if (!weight.IsStacked)
        {
            LoraModule module = modules[0];
            // An embedding's pair looks a token's row up in A, so that A is stored the other way round.
            Tensor a = module.IsEmbedding ? module.A.t() : module.A;
            return
            [
                new GgufSource(weight.Name + A, a.shape, type, () => a.alias()),
                new GgufSource(weight.Name + B, module.B.shape, type, () => Scaled(module, weight, alpha, rank)),
            ];
        }
        long inputs = modules[0].A.shape[1], outputs = modules[0].B.shape[0];
        LoraModule?[] experts =
            [.. weight.Sources.Select(source => modules.FirstOrDefault(module => module.Path + ".weight" == source))];
        return
        [
            new GgufSource(weight.Name + A, [experts.Length, rank, inputs], type, () => stack(experts.Select(expert =>
                expert is null ? zeros(rank, inputs) : Filled(expert.A, rank, 0)))),
            new GgufSource(weight.Name + B, [experts.Length, outputs, rank], type, () => stack(experts.Select(expert =>
                expert is null ? zeros(outputs, rank) : Filled(Scaled(expert, weight, alpha, rank), rank, 1)))),
        ];
    }

    // B with its rows in GGUF's order, and with what llama.cpp's one scale leaves out.
    private static Tensor Scaled(LoraModule module, GgufWeight weight, double alpha, int rank)
    {
        Tensor rows = weight.Form.RowOrder(module.B.shape[0]) is { } order && !module.IsEmbedding
            ? module.B.index_select(0, tensor(order)) : module.B.alias();
        double factor = module.Scale * rank / alpha;
        return factor == 1 ? rows : rows * Number(factor);
    }

    private static Tensor Filled(Tensor values, int rank, int dimension)
    {
        long missing = rank - values.shape[dimension];
        return missing == 0 ? values
            : cat([values, zeros(dimension == 0 ? [missing, values.shape[1]] : [values.shape[0], missing])], dimension);
    }

    private static void RequireAdapter(GgufFile gguf, GgufArchitecture architecture)
    {
        string Found(string key) => gguf.Metadata.Text(key) ?? "missing";
        List<string> problems = [];
        if (Found("general.type") != "adapter")
            problems.Add($"general.type is {Found("general.type")}, expected adapter");
        else if (Found("adapter.type") != "lora")
            problems.Add($"adapter.type is {Found("adapter.type")}, expected lora");
        if (Found("general.architecture") != architecture.Name)
            problems.Add(
                $"general.architecture is {Found("general.architecture")}, expected {architecture.Name}, " +
                "as the base is");
        if (gguf.Metadata.Number("adapter.lora.alpha") is not { } alpha || !double.IsFinite(alpha))
            problems.Add("adapter.lora.alpha is missing, expected a number");
        foreach (string name in gguf.Tensors.Keys)
        {
            string? bare = name.EndsWith(A, StringComparison.Ordinal) || name.EndsWith(B, StringComparison.Ordinal)
                ? name[..^A.Length] : null;
            if (bare is null) problems.Add($"{name} is no part of a pair");
            else if (!gguf.Tensors.ContainsKey(bare + A) || !gguf.Tensors.ContainsKey(bare + B))
                problems.Add($"{name} lacks its other half");
            else if (!architecture.Weights.Any(weight => weight.Name == bare))
                problems.Add($"{name}: the base has no {bare}");
        }
        if (gguf.Tensors.Count == 0) problems.Add("it has no tensors");
        if (problems.Count > 0)
            throw new InputException($"{gguf.Path} is no adapter that can be read:", [.. problems.Take(20)]);
    }

    private static IEnumerable<LoraModule> Modules(
        GgufFile gguf, string name, GgufArchitecture architecture,
        IReadOnlyDictionary<string, AdaptableLayer> layers, double alpha)
    {
        GgufWeight weight = architecture.Weights.First(each => each.Name == name);
        Tensor a = gguf.Read(gguf.Tensors[name + A]).to(ScalarType.Float32),
            b = gguf.Read(gguf.Tensors[name + B]).to(ScalarType.Float32);
        if (name == Embedding) a = a.t();
        if (a.dim() != (weight.IsStacked ? 3 : 2) || b.dim() != a.dim() || a.shape[^2] != b.shape[^1])
            throw new InputException(
                $"{gguf.Path}: the halves of {name} do not fit each other: [{string.Join(", ", a.shape)}] and " +
                $"[{string.Join(", ", b.shape)}].");
        for (int part = 0; part < weight.Sources.Count; part++)
        {
            string path = weight.Sources[part][..^".weight".Length];
            string module = layers.ContainsKey(path) ? path
                : path.Replace(architecture.BasePrefix, "", StringComparison.Ordinal);
            AdaptableLayer layer = layers.GetValueOrDefault(module) ?? throw new InputException(
                $"{gguf.Path}: the base has no module for {name}, which {path} would be.");
            Tensor own = weight.IsStacked ? a[part] : a, rows = weight.IsStacked ? b[part] : b;
            bool isEmbedding = layer.Kind == ModuleKind.Embedding;
            if (own.shape[1] != layer.InputSize || rows.shape[0] != layer.OutputSize)
                throw new InputException(
                    $"{gguf.Path}: {name} changes a weight of [{rows.shape[0]}, {own.shape[1]}], the base's is " +
                    $"[{layer.OutputSize}, {layer.InputSize}]. Take the base that the adapter was made for.");
            if (!isEmbedding && weight.Form.RowOrder(rows.shape[0]) is { } order)
                rows = rows.index_select(0, tensor(GgufForm.Inverse(order)));
            // llama.cpp takes an alpha of 0 for a scale of 1.
            double scale = alpha == 0 ? 1 : alpha / own.shape[0];
            yield return new LoraModule(module, isEmbedding, own.clone(), rows.clone(), scale);
        }
    }
}
