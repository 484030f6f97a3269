using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using TorchSharp;
using LowRank.Tensors;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.AdaLora;

/// <summary>PEFT's ADALORA (arXiv 2303.10512).</summary>
internal sealed class AdaLoraKind : IAdapterKind
{
    /// <summary>The key that holds which directions each layer keeps.</summary>
    public const string RankPattern = "rank_pattern";

    private const string Ending = ".lora_E";

    public string PeftType => "ADALORA";

    public string Label => "AdaLoRA";

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. LoraConfigKeys.All.Where(key => key.Name is not RankPattern and not "init_lora_weights" and not "lora_bias" and not "use_dora" and not "trainable_token_indices"),
        new("beta1", "0.85", Number),
        new("beta2", "0.85", Number),
        new("deltaT", "1", Integer),
        new("init_lora_weights", "true", JsonShape.Boolean | Text | Null, new((value, _) => value.ValueKind is JsonValueKind.True or JsonValueKind.False, "true or false", "AdaLoRA begins in its own way")),
        new("init_r", "12", Integer),
        new("lora_bias", "false", JsonShape.Boolean, new((value, _) => value.ValueKind == JsonValueKind.False, "false", "AdaLoRA has no bias on B; use LoRA")),
        new("orth_reg_weight", "0.5", Number),
        new(RankPattern, "null", Map | Null, IsOwn: true),
        new("target_r", "8", Integer),
        new("tfinal", "0", Integer),
        new("tinit", "0", Integer),
        new("total_step", "null", Integer | Null),
        new("trainable_token_indices", "null", IntegerList | Map | Null, new((value, _) => value.ValueKind == JsonValueKind.Null, "null", "AdaLoRA trains no tokens; use LoRA")),
        new("use_dora", "false", JsonShape.Boolean, new((value, _) => value.ValueKind == JsonValueKind.False, "false", "AdaLoRA has no magnitudes; use DoRA")),
    ];

    public IEnumerable<string> Problems(LoraConfig config)
    {
        foreach (string problem in LoraConfigRules.Problems(config)) yield return problem;
        foreach (string key in new[] { "beta1", "beta2" })
            if (config.Number(key) is not (> 0 and < 1)) yield return $"{key}: found {config.Number(key)}, expected more than 0 and less than 1";
        if (config.Number("orth_reg_weight") < 0) yield return $"orth_reg_weight: found {config.Number("orth_reg_weight")}, expected at least 0";
        if (config.Whole("init_r") < 1) yield return $"init_r: found {config.Whole("init_r")}, expected at least 1";
        if (config.Whole("target_r") < 1 || config.Whole("target_r") > config.Whole("init_r"))
            yield return $"target_r: found {config.Whole("target_r")}, expected 1 to init_r, {config.Whole("init_r")}";
        foreach (string key in new[] { "tinit", "tfinal" })
            if (config.Whole(key) < 0) yield return $"{key}: found {config.Whole(key)}, expected at least 0";
        if (config.Whole("deltaT") < 1) yield return $"deltaT: found {config.Whole("deltaT")}, expected at least 1";
        if (config.Value("total_step") is { ValueKind: JsonValueKind.Number } total && total.GetInt32() <= config.Whole("tinit") + config.Whole("tfinal"))
            yield return $"total_step: found {total}, expected more than tinit and tfinal together, {config.Whole("tinit") + config.Whole("tfinal")}";
    }

    public IEnumerable<AdapterTensor> Tensors(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            int rank = Kept(config, target.Path)?.Count(kept => kept) ?? config.Whole("init_r");
            string key = PeftTensorKeys.Prefix + target.Path;
            yield return new AdapterTensor(key + ".lora_A", [rank, byPath[target.Path].InputSize], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(key + ".lora_B", [byPath[target.Path].OutputSize, rank], target.Path, AdapterTensorPart.Own);
            yield return new AdapterTensor(key + Ending, [rank, 1], target.Path, AdapterTensorPart.Own);
        }
    }

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdapterSite site = build.Sites[target.Path];
        using var scope = NewDisposeScope();
        int rank = build.Config.Whole("init_r");
        bool changes = build.Config.InitialWeights.Name != "true";
        Tensor Normal(int rows, int columns) => empty(rows, columns).normal_(0, changes ? 1 : 0.02, build.Random);
        double alpha = build.Config.Alpha.Value;
        // The scale keeps the rank that training began with, however many directions are left (SVDLinear.ranknum).
        return new AdaptedModule(site, new AdaLoraLayer(
            build.Take(target.Path, ".lora_A", () => Normal(rank, site.InputSize)),
            build.Take(target.Path, ".lora_B", () => Normal(site.OutputSize, rank)),
            build.Take(target.Path, Ending, () => changes ? Normal(rank, 1) : zeros(rank, 1)),
            (alpha > 0 ? alpha : rank) / (rank + 1e-5), build.Config.Dropout.Value));
    })];

    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) => KindKeys.ModulesOf(file, ".lora_A").Select(path =>
    {
        using var scope = NewDisposeScope();
        Tensor Read(string ending) => file.Map(PeftTensorKeys.Prefix + path + ending);
        Tensor a = Read(".lora_A"), b = Read(".lora_B");
        int first = config.Whole("init_r");
        double alpha = config.Alpha.Value, scale = (alpha > 0 ? alpha : first) / (first + 1e-5);
        DeltaSpectrum delta = a.shape[0] == 0 ? DeltaSpectrum.Of(zeros(1, 1)) : DeltaSpectrum.Of(a * Read(Ending), b, scale);
        return new ModuleSummary(path, (int)a.shape[0], alpha, scale, b.shape[0], a.shape[1], delta) { Parameters = a.shape[0] * (a.shape[1] + b.shape[0] + 1) };
    });

    /// <summary>Drops the directions that are masked, as PEFT does when it saves.</summary>
    public AdapterExport Export(LoraConfig config, IReadOnlyList<IAdapterPart> parts)
    {
        using var noGradient = no_grad();
        List<KeyValuePair<string, Tensor>> weights = [];
        foreach (IAdapterPart part in parts)
        {
            bool[]? kept = part is AdaptedModule { Layer: AdaLoraLayer layer } module && Kept(config, module.Site.Path) is { } mask
                && mask.Count == layer.A.shape[0] && mask.Contains(false) ? [.. mask] : null;
            weights.AddRange(kept is null ? part.Weights : part.Weights.Select(weight => KeyValuePair.Create(weight.Key, Masked(weight, kept))));
        }
        return new AdapterExport(config, weights);
    }

    /// <summary>Which directions of a layer are kept; null where the config does not say.</summary>
    public static IReadOnlyList<bool>? Kept(LoraConfig config, string path)
    {
        if (config.Value(RankPattern) is not { ValueKind: JsonValueKind.Object } pattern) return null;
        foreach (JsonProperty entry in pattern.EnumerateObject())
            if (Normal(entry.Name) == path) return [.. entry.Value.EnumerateArray().Select(kept => kept.GetBoolean())];
        return null;
    }

    /// <summary>A config that says which directions each layer keeps.</summary>
    public static LoraConfig WithKept(LoraConfig config, IEnumerable<KeyValuePair<string, bool[]>> kept) => config with
    {
        OtherKeys = new Dictionary<string, JsonElement>(config.OtherKeys)
        {
            [RankPattern] = JsonSerializer.SerializeToElement(kept.ToDictionary(layer => layer.Key + Ending, layer => layer.Value)),
        },
    };

    private static Tensor Masked(KeyValuePair<string, Tensor> weight, bool[] kept)
    {
        long[] places = [.. Enumerable.Range(0, kept.Length).Where(place => kept[place]).Select(place => (long)place)];
        return weight.Value.index_select(weight.Key.EndsWith(".lora_B", StringComparison.Ordinal) ? 1 : 0, tensor(places, device: weight.Value.device));
    }

    // PEFT writes "model.….q_proj.lora_E", in some versions with the adapter's name after it or "base_model.model." before.
    private static string Normal(string name)
    {
        string plain = name.EndsWith(".default", StringComparison.Ordinal) ? name[..^".default".Length] : name;
        if (plain.EndsWith(Ending, StringComparison.Ordinal)) plain = plain[..^Ending.Length];
        return plain.StartsWith(PeftTensorKeys.Prefix, StringComparison.Ordinal) ? plain[PeftTensorKeys.Prefix.Length..] : plain;
    }
}
