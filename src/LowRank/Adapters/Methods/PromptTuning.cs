using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
using LowRank.Models;
using LowRank.Tokenizers;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>Trained vectors in the place of embedded tokens before every text.</summary>
public sealed class PromptTuningMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "prompt_tuning";

    /// <inheritdoc/>
    public string Title => "prompt tuning";

    /// <inheritdoc/>
    public string Paper => "arXiv 2104.08691";

    /// <inheritdoc/>
    public string Summary =>
        "Trained vectors instead of embedded tokens before every text; decoders only, nothing to merge.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys => [];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
    [
        new("virtual_tokens", 20, "number of vectors") { Least = 1, Most = int.MaxValue },
        new("initial", "sample_vocab",
        "initial values: random tokens of the vocabulary, the tokens of initial_text, or random numbers") { Choices =
        ["sample_vocab", "text", "random"] },
        new("initial_text", null, "the text of initial: text")
        {
            Unless = options => options.Text("initial") == "text" ? null
                : $"has no effect with initial: {options.Text("initial")}; remove it, or set initial: text",
        },
    ];

    /// <inheritdoc/>
    public double DefaultLearningRate => 3e-2;

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared with
    {
        PeftType = "PROMPT_TUNING",
        OtherKeys = OwnKeys.With(
            shared, ("num_virtual_tokens", options.Whole("virtual_tokens")),
            ("prompt_tuning_init", options.Text("initial")!.ToUpperInvariant()),
            ("prompt_tuning_init_text", options.Text("initial_text"))),
    };
}

/// <summary>PEFT's PROMPT_TUNING (arXiv 2104.08691): trained vectors in the place of embedded tokens before every
/// text.</summary>
internal sealed class PromptTuningType : IAdapterType
{
    public string PeftType => "PROMPT_TUNING";

    public string Label => "prompt tuning";

    public bool HasTargets => false;

    public IReadOnlyList<LoraConfigKey> Keys { get; } =
    [
        .. PromptKeys.Common,
        new("prompt_tuning_init", "\"RANDOM\"", Text),
        new("prompt_tuning_init_text", "null", Text | Null),
        new("tokenizer_kwargs", "null", Map | Null),
        new("tokenizer_name_or_path", "null", Text | Null),
    ];

    public IEnumerable<string> Problems(LoraConfig config)
    {
        foreach (string problem in PromptKeys.Problems(config)) yield return problem;
        string init = config.Value("prompt_tuning_init").GetString()!;
        if (init is not ("RANDOM" or "TEXT" or "SAMPLE_VOCAB"))
            yield return $"prompt_tuning_init: found \"{init}\", expected \"RANDOM\", \"TEXT\" or \"SAMPLE_VOCAB\"";
        if (init == "TEXT" && string.IsNullOrEmpty(config.Value("prompt_tuning_init_text").GetString()))
            yield return "prompt_tuning_init_text: missing, expected a text, since prompt_tuning_init is \"TEXT\"";
    }

    public LoraConfig Fill(LoraConfig config, PretrainedModel pretrained)
    {
        DecoderShape shape = PromptKeys.RequireDecoder(pretrained.Network, Label).Shape;
        return PromptKeys.Describe(config, shape.EmbeddingSize ?? shape.HiddenSize, shape.Heads, shape.Layers);
    }

    public IEnumerable<AdapterTensor> Tensors(
        LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules) =>
        [new AdapterTensor(
            PromptPart.Key,
            [config.Whole("num_virtual_tokens"), modules.First(module => module.IsInputEmbedding).OutputSize], "",
            AdapterTensorPart.Own)];

    public IReadOnlyList<IAdapterPart> Build(AdapterBuild build)
    {
        Decoder model = PromptKeys.RequireDecoder(build.Network, Label);
        using var scope = NewDisposeScope();
        Tensor vectors = build.TakeKey(PromptPart.Key, () => First(build));
        // The embedding's factor (Gemma) belongs to the lookup: the trained vectors stand after it, as in PEFT.
        return [new PromptPart(model, vectors, (decoder, trained, dropout) => decoder.EncodePrompt(trained, dropout))];
    }

    private static Tensor First(AdapterBuild build)
    {
        int count = build.Config.Whole("num_virtual_tokens");
        Tensor table = build.Network.TokenEmbedding.Weight;
        string init = build.Config.Value("prompt_tuning_init").GetString()!;
        if (init == "RANDOM") return empty(count, table.shape[1]).normal_(0, 1, build.Random);
        long[] tokens = init == "TEXT" ? Tokens(build, count)
            : randint(table.shape[0], count, generator: build.Random).data<long>().ToArray();
        return table.detach().index_select(0, tensor(tokens, device: table.device));
    }

    // The text's tokens, again and again until there are enough.
    private static long[] Tokens(AdapterBuild build, int count)
    {
        string text = build.Config.Value("prompt_tuning_init_text").GetString()!;
        IReadOnlyList<int> ids = Tokenizer.Load(build.Config.BaseModel!).Encode(text, addSpecialTokens: false);
        if (ids.Count == 0)
            throw new InputException(
                $"prompt_tuning_init_text: \"{text}\" has no token. Give a text, or another prompt_tuning_init.");
        return [.. Enumerable.Range(0, count).Select(place => (long)ids[place % ids.Count])];
    }
}

/// <summary>Trained positions before every text.</summary>
/// <param name="model">The decoder.</param>
/// <param name="vectors">What is trained: see <paramref name="states"/>; float32, owned.</param>
/// <param name="states">Makes keys and values of it.</param>
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

/// <summary>What the configs of prompts share (peft/config.py, PromptLearningConfig).</summary>
internal static class PromptKeys
{
    public static IReadOnlyList<LoraConfigKey> Common { get; } =
    [
        .. KindKeys.Common,
        new("modules_to_save", "null", TextList | Null),
        new("num_attention_heads", "null", Integer | Null),
        new("num_layers", "null", Integer | Null),
        new("num_transformer_submodules", "null", Integer | Null),
        new("num_virtual_tokens", "null", Integer | Null),
        new("token_dim", "null", Integer | Null),
    ];

    public static IEnumerable<string> Problems(LoraConfig config)
    {
        if (config.Value("num_virtual_tokens").ValueKind != System.Text.Json.JsonValueKind.Number
            || config.Whole("num_virtual_tokens") < 1)
            yield return $"num_virtual_tokens: found {config.Value("num_virtual_tokens")}, expected at least 1";
        if (config.Value("num_transformer_submodules") is { ValueKind: System.Text.Json.JsonValueKind.Number } count
            && count.GetInt32() != 1)
            yield return $"num_transformer_submodules: found {count}, supported is 1: prompts of encoder and " +
                "decoder both; use LoRA for such a model";
    }

    /// <summary>A config with the model's sizes where it names none.</summary>
    public static LoraConfig Describe(LoraConfig config, int width, int heads, int layers)
    {
        (string Key, object? Value)[] sizes =
            [("num_attention_heads", heads), ("num_layers", layers), ("num_transformer_submodules", 1),
            ("token_dim", width)];
        return config with { OtherKeys = OwnKeys.With(
            config, [.. sizes.Where(size => !config.OtherKeys.ContainsKey(size.Key))]) };
    }

    /// <summary>The model as a decoder that predicts tokens.</summary>
    /// <exception cref="InputException">It is none.</exception>
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
