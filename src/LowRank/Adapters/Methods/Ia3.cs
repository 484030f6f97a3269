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

namespace LowRank.Adapters;

/// <summary>A trained vector scales keys, values and the inputs of feed-forward layers: the fewest weights of all
/// methods.</summary>
internal sealed record Ia3Method : IAdapterMethod
{
    public string Name => "ia3";

    public string Title => "IA3";

    public string Paper => "arXiv 2205.05638";

    public string Summary =>
        "A trained vector scales keys, values and the inputs of feed-forward layers: the fewest weights of all.";

    public IReadOnlyList<string> Keys { get; } = ["target_modules", "exclude_modules", "modules_to_save"];

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        MethodOption.Create<Ia3Method, IReadOnlyList<string>?>(
            "feedforward_modules", method => method.FeedforwardModules,
            (method, value) => method with { FeedforwardModules = value },
            "names among target_modules whose input is scaled instead of their output; default: the model " +
            "type's"),
    ];

    /// <summary>Names of the target modules whose input is scaled instead of their output; null uses the model type's
    /// default.</summary>
    public IReadOnlyList<string>? FeedforwardModules { get; init; }

    public double DefaultLearningRate => 3e-3;

    public AdapterConfig Configure(LoraConfig shared) => new Ia3Config
    {
        FeedforwardModules = FeedforwardModules is { } names ? [.. names] : null,
        InitIa3Weights = shared.InitLoraWeights == InitialWeights.True,
    }.WithModulesOf(shared);

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is Ia3Config own ? this with { FeedforwardModules = own.FeedforwardModules?.Names } : null;
}

/// <summary>Settings of IA3 (arXiv 2205.05638).</summary>
public sealed record Ia3Config : AdapterConfig
{
    /// <inheritdoc/>
    public override IAdapterType Type => Ia3Type.Instance;

    /// <summary>The target modules whose input is scaled instead of their output (<c>feedforward_modules</c>); null
    /// uses the model type's default.</summary>
    public ModuleSelection? FeedforwardModules { get; init; }

    /// <summary>Whether the vectors start as ones, which changes nothing (<c>init_ia3_weights</c>); true.</summary>
    public bool InitIa3Weights { get; init; } = true;
}

/// <summary>PEFT's IA3 (arXiv 2205.05638).</summary>
internal sealed class Ia3Type : IAdapterType
{
    private const string FeedForward = "feedforward_modules";

    // PEFT's tables of default modules (peft/utils/constants.py); the entries for phi3, distilbert, modernbert,
    // xlm-roberta, starcoder2 and the second line of those with down_proj are ours.
    private static readonly Dictionary<string, (string[] Targets, string[] FeedForward)> Defaults = new(
    [
        .. For(["k_proj", "v_proj"], "down_proj", "llama", "mistral"),
        .. For(["k_proj", "v_proj"], "w2", "mixtral"),
        .. For(["q_proj", "v_proj"], "down_proj", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text"),
        .. For(["q_proj", "v_proj"], "down_proj", "cohere2", "glm4", "granite", "ministral3", "olmo2", "olmo3",
            "qwen2_moe", "qwen3_moe", "smollm3", "stablelm"),
        .. For(["q_proj", "v_proj"], "c_proj", "starcoder2"),
        .. For(["q_proj", "v_proj"], "fc2", "phi"),
        .. For(["q_proj", "v_proj"], "fc_out", "gptj"),
        .. For(["qkv_proj"], "down_proj", "phi3"),
        .. For(["q_proj", "k_proj"], "fc2", "opt"),
        .. For(["c_attn"], "mlp.c_proj", "gpt2"),
        .. For(["query_key_value"], "dense_4h_to_h", "gpt_neox", "falcon"),
        .. For(["query_key_value"], "mlp.dense_4h_to_h", "bloom"),
        .. For(["key", "value"], "output.dense", "bert", "roberta", "xlm-roberta"),
        .. For(["k_lin", "v_lin"], "lin2", "distilbert"),
        .. For(["Wqkv"], "mlp.Wo", "modernbert"),
        .. For(["k", "v"], "wo", "t5"),
    ]);

    /// <summary>The single instance.</summary>
    public static Ia3Type Instance { get; } = new();

    public string PeftType => "IA3";

    public string Label => "IA3";

    public IReadOnlyList<ConfigKey> Keys { get; } =
    [
        .. PeftKeys.Targeted,
        PeftKeys.FanInFanOut,
        ConfigKey.Modules<Ia3Config>(
            FeedForward, config => config.FeedforwardModules,
            (config, value) => config with { FeedforwardModules = value }),
        ConfigKey.Flag<Ia3Config>(
            "init_ia3_weights", true, config => config.InitIa3Weights,
            (config, value) => config with { InitIa3Weights = value }),
    ];

    public AdapterConfig Create() => new Ia3Config();

    public IReadOnlyList<string>? DefaultTargets(string modelType) =>
        Defaults.TryGetValue(modelType, out (string[] Targets, string[] FeedForward) found) ? found.Targets : null;

    public AdapterConfig Fill(AdapterConfig config, PretrainedModel model) => Complete(config, model.Config.ModelType);

    public AdapterConfig Complete(AdapterConfig any, string modelType)
    {
        var config = (Ia3Config)any;
        if (config.FeedforwardModules is not null) return config;
        string[] modules = Defaults.TryGetValue(modelType, out (string[] Targets, string[] FeedForward) found)
            ? found.FeedForward : [];
        if (config.TargetModules?.Names is { } names) modules = [.. modules.Where(names.Contains)];
        return config with { FeedforwardModules = [.. modules] };
    }

    public IEnumerable<string> Problems(AdapterConfig any)
    {
        var config = (Ia3Config)any;
        // PEFT has the same requirement: a feed-forward module that is not a target would never be scaled.
        if (config.TargetModules?.Names is not { } targets || config.FeedforwardModules?.Names is not { } scaled)
            yield break;
        foreach (string name in scaled.Where(name => !targets.Contains(name)))
            yield return $"{FeedForward}: \"{name}\" is not among target_modules; add it there or remove it here";
    }

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules)
    {
        Dictionary<string, ModuleInfo> byPath = modules.ToDictionary(module => module.Path);
        foreach (AdapterTarget target in targets)
        {
            ModuleInfo module = byPath[target.Path];
            yield return new AdapterTensor(PeftTensorKeys.Prefix + target.Path + ".ia3_l",
                ScalesInput(config, target.Path) ? [1, module.InputSize] : [module.OutputSize, 1], target.Path,
                    AdapterTensorPart.Own);
        }
    }

    public IEnumerable<ModuleSummary> Summarize(AdapterConfig config, SafeTensorsFile file) =>
        PeftKeys.ModulesOf(file, ".ia3_l").Select(path =>
    {
        long[] shape = file.Entries[PeftTensorKeys.Prefix + path + ".ia3_l"].Shape; // [1, in] or [out, 1]
        return new ModuleSummary(path, 0, 0, 1, shape[0] == 1 ? 0 : shape[0], shape[0] == 1 ? shape[1]
            : 0, Delta: null) { Parameters = shape[0] * shape[1] };
    });

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build) => [.. build.Targets.Select(target =>
    {
        AdaptableLayer layer = build.Layers[target.Path];
        using var scope = NewDisposeScope();
        bool input = ScalesInput(build.Config, target.Path);
        long[] shape = input ? [1, layer.InputSize] : [layer.OutputSize, 1];
        Tensor Draw() => ((Ia3Config)build.Config).InitIa3Weights ? ones(shape)
            : empty(shape).normal_(0, 1, build.Random);
        return new AdaptedLayer(layer, new Ia3Layer(build.LoadOrInitialize(target.Path, ".ia3_l", Draw), input));
    })];

    private static IEnumerable<KeyValuePair<string, (string[] Targets, string[] FeedForward)>> For(
        string[] outputs, string feedForward, params string[] modelTypes) => modelTypes.Select(
            modelType => KeyValuePair.Create<string, (string[], string[])>(
                modelType, ([.. outputs, feedForward], [feedForward])));

    private static bool ScalesInput(AdapterConfig config, string path) =>
        ((Ia3Config)config).FeedforwardModules is { } selection
            && new ModuleFilter(selection, FeedForward).Matches(path);
}

/// <summary>IA3 on a linear layer: a trained vector scales its output, or its input in feed-forward layers (arXiv
/// 2205.05638, section 3.3).</summary>
/// <param name="vector">l, [1, in] if it scales the input, otherwise [out, 1]; float32, owned.</param>
/// <param name="scalesInput">Whether it scales the input.</param>
internal sealed class Ia3Layer(Tensor vector, bool scalesInput) : IAdapterLayer
{
    /// <summary>The applied fraction of the step from 1 to l.</summary>
    public double Weight { get; set; } = 1;

    public bool IsAdditive => false;

    public bool ChangesBias => !scalesInput;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(".ia3_l", vector)];

    public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
        scalesInput ? inner.Forward(input * Factors(vector.view(-1))) : inner.Forward(input) * Factors(vector.view(-1));

    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        return (weight * Factors(vector), scalesInput || bias is null ? bias : bias * Factors(vector.view(-1)));
    }

    public void Dispose() => vector.Dispose();

    private Tensor Factors(Tensor factors) => Weight == 1 ? factors : ((factors - Number(1)) * Number(Weight)).Plus(1);
}
