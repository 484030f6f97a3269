using System.Globalization;
using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
using LowRank.Models;
using LowRank.Tokenizers;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Trained vectors in place of embedded tokens before every text.</summary>
internal sealed record PromptTuningMethod : IAdapterMethod
{
    public string Name => "prompt_tuning";

    public string Title => "prompt tuning";

    public string Paper => "arXiv 2104.08691";

    public string Summary =>
        "Trained vectors instead of embedded tokens before every text; decoders only, nothing to merge.";

    public IReadOnlyList<string> Keys => [];

    public IReadOnlyList<MethodOption> Options { get; } =
    [
        Of("virtual_tokens", config => config.NumVirtualTokens ?? 0,
            (config, value) => config with { NumVirtualTokens = value },
            "number of vectors")
            with { Least = 1, Most = int.MaxValue },
        Of("initial", config => config.PromptTuningInit.ToLowerInvariant(),
            (config, value) => config with { PromptTuningInit = value.ToUpperInvariant() },
            "initial values: random tokens of the vocabulary, the tokens of initial_text, or random " +
            "numbers")
            with { Choices = ["sample_vocab", "text", "random"] },
        Of("initial_text", config => config.PromptTuningInitText,
            (config, value) => config with { PromptTuningInitText = value }, "the text of initial: text") with
        {
            Unless = method => ((PromptTuningMethod)method).Config.PromptTuningInit is var initial && initial == "TEXT"
                ? null : $"has no effect with initial: {initial.ToLowerInvariant()}; remove it, or set initial: text",
        },
    ];

    /// <summary>The config with the method's own settings.</summary>
    public PromptTuningConfig Config { get; init; } = new();

    public double DefaultLearningRate => 3e-2;

    public AdapterConfig Configure(LoraConfig shared) => Config.WithModulesOf(shared);

    /// <inheritdoc/>
    public IAdapterMethod? For(AdapterConfig config) =>
        config is PromptTuningConfig own ? this with { Config = own } : null;

    private static MethodOption Of<T>(
        string name, Func<PromptTuningConfig, T> get, Func<PromptTuningConfig, T, PromptTuningConfig> set,
        string doc) =>
        MethodOption.Create<PromptTuningMethod, T>(
            name, method => get(method.Config),
            (method, value) => method with { Config = set(method.Config, value) }, doc);
}

/// <summary>The common settings of prompt configs (peft/config.py, PromptLearningConfig). The model's sizes are filled
/// in for a new adapter.</summary>
public abstract record PromptConfig : AdapterConfig
{
    /// <summary>Number of trained positions (<c>num_virtual_tokens</c>); 20, at least 1.</summary>
    public int? NumVirtualTokens { get; init; } = 20;

    /// <summary>Number of the model's attention heads (<c>num_attention_heads</c>).</summary>
    public int? NumAttentionHeads { get; init; }

    /// <summary>Number of the model's layers (<c>num_layers</c>).</summary>
    public int? NumLayers { get; init; }

    /// <summary>Number of the model's stacks that have a prompt (<c>num_transformer_submodules</c>): 1.</summary>
    public int? NumTransformerSubmodules { get; init; }

    /// <summary>The width of a trained vector (<c>token_dim</c>).</summary>
    public int? TokenDim { get; init; }

    /// <summary>The config, completed with the model's sizes.</summary>
    internal PromptConfig Describe(int width, int heads, int layers) => this with
    {
        NumAttentionHeads = NumAttentionHeads ?? heads,
        NumLayers = NumLayers ?? layers,
        NumTransformerSubmodules = NumTransformerSubmodules ?? 1,
        TokenDim = TokenDim ?? width,
    };
}

/// <summary>Settings of prompt tuning (arXiv 2104.08691).</summary>
public sealed record PromptTuningConfig : PromptConfig
{
    /// <inheritdoc/>
    public override IAdapterType Type => PromptTuningType.Instance;

    /// <summary>How the vectors are initialised (<c>prompt_tuning_init</c>): "SAMPLE_VOCAB" uses random tokens of the
    /// vocabulary; "TEXT" uses the tokens of <see cref="PromptTuningInitText"/>; "RANDOM" uses random values;
    /// SAMPLE_VOCAB.</summary>
    public string PromptTuningInit { get; init; } = "SAMPLE_VOCAB";

    /// <summary>The text (<c>prompt_tuning_init_text</c>); null.</summary>
    public string? PromptTuningInitText { get; init; }
}

/// <summary>PEFT's PROMPT_TUNING (arXiv 2104.08691): trained vectors in place of embedded tokens before every
/// text.</summary>
internal sealed class PromptTuningType : IAdapterType
{
    /// <summary>The single instance.</summary>
    public static PromptTuningType Instance { get; } = new();

    public string PeftType => "PROMPT_TUNING";

    public string Label => "prompt tuning";

    public bool HasTargets => false;

    public IReadOnlyList<ConfigKey> Keys { get; } =
    [
        .. PromptKeys.Common,
        ConfigKey.Text<PromptTuningConfig>(
            "prompt_tuning_init", "RANDOM", config => config.PromptTuningInit,
            (config, value) => config with { PromptTuningInit = value! }),
        ConfigKey.Text<PromptTuningConfig>(
            "prompt_tuning_init_text", null, config => config.PromptTuningInitText,
            (config, value) => config with { PromptTuningInitText = value }),
        new("tokenizer_kwargs", "null", Map | Null),
        new("tokenizer_name_or_path", "null", Text | Null),
    ];

    public AdapterConfig Create() => new PromptTuningConfig();

    public IEnumerable<string> Problems(AdapterConfig any)
    {
        var config = (PromptTuningConfig)any;
        foreach (string problem in PromptKeys.Problems(config)) yield return problem;
        if (config.PromptTuningInit is not ("RANDOM" or "TEXT" or "SAMPLE_VOCAB"))
            yield return $"prompt_tuning_init: found \"{config.PromptTuningInit}\", expected \"RANDOM\", \"TEXT\" or " +
                "\"SAMPLE_VOCAB\"";
        if (config.PromptTuningInit == "TEXT" && string.IsNullOrEmpty(config.PromptTuningInitText))
            yield return "prompt_tuning_init_text: missing, expected a text, since prompt_tuning_init is \"TEXT\"";
    }

    public AdapterConfig Fill(AdapterConfig config, PretrainedModel pretrained)
    {
        DecoderShape shape = PromptKeys.RequireDecoder(pretrained.Network, Label).Shape;
        return ((PromptConfig)config).Describe(shape.EmbeddingSize ?? shape.HiddenSize, shape.Heads, shape.Layers);
    }

    public IEnumerable<AdapterTensor> Tensors(
        AdapterConfig config, IReadOnlyList<AdapterTarget> targets, IReadOnlyList<ModuleInfo> modules) =>
        [new AdapterTensor(
            PromptPart.Key,
            [((PromptTuningConfig)config).NumVirtualTokens!.Value,
                modules.First(module => module.IsInputEmbedding).OutputSize], "",
            AdapterTensorPart.Own)];

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        Decoder model = PromptKeys.RequireDecoder(build.Network, Label);
        using var scope = NewDisposeScope();
        Tensor vectors = build.LoadOrInitialize(PromptPart.Key, () => First(build));
        // The embedding's factor (Gemma) belongs to the lookup: the trained vectors are inserted after it, as in PEFT.
        return [new PromptPart(model, vectors, (decoder, trained, dropout) => decoder.EncodePrompt(trained, dropout))];
    }

    private static Tensor First(AdapterBuild build)
    {
        var config = (PromptTuningConfig)build.Config;
        int count = config.NumVirtualTokens!.Value;
        Tensor table = build.Network.TokenEmbedding.Weight;
        if (config.PromptTuningInit == "RANDOM") return empty(count, table.shape[1]).normal_(0, 1, build.Random);
        long[] tokens = config.PromptTuningInit == "TEXT" ? Tokens(config, count)
            : randint(table.shape[0], count, generator: build.Random).data<long>().ToArray();
        return table.detach().index_select(0, tensor(tokens, device: table.device));
    }

    // The text's tokens, repeated until there are enough.
    private static long[] Tokens(PromptTuningConfig config, int count)
    {
        string text = config.PromptTuningInitText!;
        IReadOnlyList<int> ids = Tokenizer.Load(config.BaseModel!).Encode(text, addSpecialTokens: false);
        if (ids.Count == 0)
            throw new InputException(
                $"prompt_tuning_init_text: \"{text}\" has no token. Give a text, or another prompt_tuning_init.");
        return [.. Enumerable.Range(0, count).Select(place => (long)ids[place % ids.Count])];
    }
}

/// <summary>Trained positions before every text.</summary>
/// <param name="model">The decoder.</param>
/// <param name="vectors">The trained tensor: see <paramref name="states"/>; float32, owned.</param>
/// <param name="states">Computes keys and values from it.</param>
internal sealed class PromptPart(
    Decoder model, Tensor vectors,
    Func<Decoder, Tensor, Generator?, IReadOnlyList<(Tensor Keys, Tensor Values)>> states) : IAdapterPart, IPrompt
{
    /// <summary>The key of the tensor in PEFT's file.</summary>
    public const string Key = "prompt_embeddings";

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(Key, vectors)];

    public int Length => (int)vectors.shape[0];

    public IReadOnlyList<(Tensor Keys, Tensor Values)> States(Decoder model, Generator? dropout) =>
        states(model, vectors, dropout);

    public void Attach()
    {
        if (model.Prompt is not null)
            throw new InputException(
                "Another adapter that is in use puts a prompt before the text; only one can. Detach that one first.");
        model.Prompt = this;
    }

    public void Detach()
    {
        if (ReferenceEquals(model.Prompt, this)) model.Prompt = null;
    }

    public void Dispose() => vectors.Dispose();
}

/// <summary>The keys of prompt configs, and the rules on them.</summary>
internal static class PromptKeys
{
    private const int MostTokens = 65536;

    public static IReadOnlyList<ConfigKey> Common { get; } =
    [
        .. PeftKeys.Common,
        PeftKeys.ModulesToSave,
        ConfigKey.WholeOrNull<PromptConfig>(
            "num_attention_heads", config => config.NumAttentionHeads,
            (config, value) => config with { NumAttentionHeads = value }),
        ConfigKey.WholeOrNull<PromptConfig>(
            "num_layers", config => config.NumLayers, (config, value) => config with { NumLayers = value }),
        ConfigKey.WholeOrNull<PromptConfig>(
            "num_transformer_submodules", config => config.NumTransformerSubmodules,
            (config, value) => config with { NumTransformerSubmodules = value }),
        ConfigKey.WholeOrNull<PromptConfig>(
            "num_virtual_tokens", config => config.NumVirtualTokens,
            (config, value) => config with { NumVirtualTokens = value }),
        ConfigKey.WholeOrNull<PromptConfig>(
            "token_dim", config => config.TokenDim, (config, value) => config with { TokenDim = value }),
    ];

    public static IEnumerable<string> Problems(PromptConfig config)
    {
        if (config.NumVirtualTokens is not >= 1)
            yield return "num_virtual_tokens: found " +
                $"{config.NumVirtualTokens?.ToString(CultureInfo.InvariantCulture) ?? "null"}, expected at least 1";
        if (config.NumVirtualTokens > MostTokens)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"num_virtual_tokens: found {config.NumVirtualTokens}, expected at most {MostTokens}");
        if (config.NumTransformerSubmodules is { } count and not 1)
            yield return $"num_transformer_submodules: found {count}, supported is 1: prompts of encoder and " +
                "decoder both; use LoRA for such a model";
    }

    /// <summary>The model as a decoder that predicts tokens.</summary>
    /// <exception cref="InputException">The model is not a decoder.</exception>
    public static Decoder RequireDecoder(INetwork network, string label) =>
        network is Decoder { HeadKind: HeadKind.LanguageModel } decoder ? decoder
        : network is Decoder
        ? throw new InputException(
            $"adapter method {label}: found the head {network.HeadKind}, supported is {HeadKind.LanguageModel} " +
            "only. Use LoRA for this task.")
        : throw new InputException(
            $"adapter method {label}: the model is a {network.Family.ModelType}, which has no texts to continue; " +
            "expected a decoder. Use LoRA.");
}
