using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using LowRank.Adapters.Matching;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Models;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>A trained vector scales keys, values and the inputs of feed-forward layers: the fewest weights of
/// all.</summary>
public sealed class Ia3Method : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "ia3";

    /// <inheritdoc/>
    public string Title => "IA3";

    /// <inheritdoc/>
    public string Paper => "arXiv 2205.05638";

    /// <inheritdoc/>
    public string Summary =>
        "A trained vector scales keys, values and the inputs of feed-forward layers: the fewest weights of all.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = ["target_modules", "exclude_modules", "modules_to_save"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
        [new("feedforward_modules", null,
            "names among target_modules whose input is scaled instead of their output; default: the model " +
            "type's") { Type = typeof(IReadOnlyList<string>) }];

    /// <inheritdoc/>
    public double DefaultLearningRate => 3e-3;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "IA3",
        OtherKeys = options.Texts("feedforward_modules") is { } modules
        ? OwnKeys.With(shared, ("feedforward_modules", modules)) : shared.OtherKeys,
    };
}

/// <summary>PEFT's IA3 (arXiv 2205.05638).</summary>
internal sealed class Ia3Type : IAdapterType
{
    private const string FeedForward = "feedforward_modules";

    // PEFT's tables of default modules (peft/utils/constants.py); those of qwen3_moe, phi3, distilbert, modernbert and
    // xlm-roberta are ours.
    private static readonly Dictionary<string, (string[] Targets, string[] FeedForward)> Defaults = new()
    {
        ["llama"] = (["k_proj", "v_proj", "down_proj"], ["down_proj"]),
        ["mistral"] = (["k_proj", "v_proj", "down_proj"], ["down_proj"]),
        ["mixtral"] = (["k_proj", "v_proj", "w2"], ["w2"]),
        ["qwen2"] = (["q_proj", "v_proj", "down_proj"], ["down_proj"]),
        ["qwen3"] = (["q_proj", "v_proj", "down_proj"], ["down_proj"]),
        ["qwen3_moe"] = (["q_proj", "v_proj", "down_proj"], ["down_proj"]),
        ["gemma"] = (["q_proj", "v_proj", "down_proj"], ["down_proj"]),
        ["gemma2"] = (["q_proj", "v_proj", "down_proj"], ["down_proj"]),
        ["gemma3_text"] = (["q_proj", "v_proj", "down_proj"], ["down_proj"]),
        ["phi3"] = (["qkv_proj", "down_proj"], ["down_proj"]),
        ["opt"] = (["q_proj", "k_proj", "fc2"], ["fc2"]),
        ["gpt2"] = (["c_attn", "mlp.c_proj"], ["mlp.c_proj"]),
        ["gpt_neox"] = (["query_key_value", "dense_4h_to_h"], ["dense_4h_to_h"]),
        ["bert"] = (["key", "value", "output.dense"], ["output.dense"]),
        ["roberta"] = (["key", "value", "output.dense"], ["output.dense"]),
        ["xlm-roberta"] = (["key", "value", "output.dense"], ["output.dense"]),
        ["distilbert"] = (["k_lin", "v_lin", "lin2"], ["lin2"]),
        ["modernbert"] = (["Wqkv", "mlp.Wo"], ["mlp.Wo"]),
        ["t5"] = (["k", "v", "wo"], ["wo"]),
    };

    public string PeftType => "IA3";

    public string Label => "IA3";

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. KindKeys.Targeted,
        new("fan_in_fan_out", "false", JsonShape.Boolean),
        new(FeedForward, "null", Text | TextList | Null),
        new("init_ia3_weights", "true", JsonShape.Boolean),
    ];

    public IReadOnlyList<string>? DefaultTargets(string modelType) =>
        Defaults.TryGetValue(modelType, out (string[] Targets, string[] FeedForward) found) ? found.Targets : null;

    public LoraConfig Fill(LoraConfig config, PretrainedModel model) => Complete(config, model.Config.ModelType);

    public LoraConfig Complete(LoraConfig config, string modelType)
    {
        if (config.Value(FeedForward).ValueKind != JsonValueKind.Null) return config;
        string[] modules = Defaults.TryGetValue(modelType, out (string[] Targets, string[] FeedForward) found)
            ? found.FeedForward : [];
        if (config.TargetModules?.Names is { } names) modules = [.. modules.Where(names.Contains)];
        return config with { OtherKeys = new Dictionary<string, JsonElement>(
            config.OtherKeys) { [FeedForward] = JsonSerializer.SerializeToElement(modules) } };
    }

    public IEnumerable<string> Problems(LoraConfig config)
    {
        // PEFT asks the same: a feed-forward module that is no target would never be scaled.
        if (config.TargetModules?.Names is not { } targets || FeedForwardNames(config)?.Names is not { } scaled)
            yield break;
        foreach (string name in scaled.Where(name => !targets.Contains(name)))
            yield return $"{FeedForward}: \"{name}\" is not among target_modules; add it there or remove it here";
    }

    public IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (LoraTarget target in targets)
        {
            ModuleInfo module = byPath[target.Path];
            yield return new AdapterTensor(PeftTensorKeys.Prefix + target.Path + ".ia3_l",
                ScalesInput(config, target.Path) ? [1, module.InputSize] : [module.OutputSize, 1], target.Path,
                    AdapterTensorPart.Own);
        }
    }

    public IEnumerable<ModuleSummary> Summarize(LoraConfig config, SafeTensorsFile file) =>
        KindKeys.ModulesOf(file, ".ia3_l").Select(path =>
    {
        long[] shape = file.Entries[PeftTensorKeys.Prefix + path + ".ia3_l"].Shape; // [1, in] or [out, 1]
        return new ModuleSummary(path, 0, 0, 1, shape[0] == 1 ? 0 : shape[0], shape[0] == 1 ? shape[1]
            : 0, Delta: null) { Parameters = shape[0] * shape[1] };
    });

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdaptableLayer site = build.Sites[target.Path];
        using var scope = NewDisposeScope();
        bool input = ScalesInput(build.Config, target.Path);
        long[] shape = input ? [1, site.InputSize] : [site.OutputSize, 1];
        Tensor Draw() => build.Config.InitialWeights.Name == "true" ? ones(shape)
            : empty(shape).normal_(0, 1, build.Random);
        return new AdaptedLayer(site, new Ia3Layer(build.Take(target.Path, ".ia3_l", Draw), input));
    })];

    private static bool ScalesInput(LoraConfig config, string path) =>
        FeedForwardNames(config) is { } selection && new NameFilter(selection, FeedForward).Matches(path);

    private static ModuleSelection? FeedForwardNames(LoraConfig config) => config.Value(FeedForward) switch
    {
        { ValueKind: JsonValueKind.Array } list =>
            ModuleSelection.Of([.. list.EnumerateArray().Select(name => name.GetString()!)]),
        { ValueKind: JsonValueKind.String } text => ModuleSelection.Pattern(text.GetString()!),
        _ => null,
    };
}

/// <summary>IA3 on a linear layer: a trained vector scales its output, or its input in feed-forward layers (arXiv
/// 2205.05638, section 3.3).</summary>
/// <param name="vector">l, [1, in] where it scales the input, else [out, 1]; float32, owned.</param>
/// <param name="scalesInput">Whether it scales the input.</param>
public sealed class Ia3Layer(Tensor vector, bool scalesInput) : IAdapterLayer
{
    /// <summary>The share of the step from 1 to l that is taken.</summary>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => false;

    /// <inheritdoc/>
    public bool ChangesBias => !scalesInput;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(".ia3_l", vector)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
        scalesInput ? inner.Forward(input * Factors(vector.view(-1))) : inner.Forward(input) * Factors(vector.view(-1));

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight * Factors(vector), scalesInput || bias is null ? bias : bias * Factors(vector.view(-1)));
    }

    /// <inheritdoc/>
    public void Dispose() => vector.Dispose();

    private Tensor Factors(Tensor factors) => Share == 1 ? factors : (factors - 1) * Share + 1;
}
