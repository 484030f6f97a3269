using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
using LowRank.Models;
using LowRank.Tokenization;
using TorchSharp;
using static LowRank.Adapters.Json.JsonShape;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Prompts;

/// <summary>PEFT's PROMPT_TUNING (arXiv 2104.08691): trained vectors in the place of embedded tokens before every text.</summary>
internal sealed class PromptTuningKind : IAdapterKind
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
        if (init is not ("RANDOM" or "TEXT" or "SAMPLE_VOCAB")) yield return $"prompt_tuning_init: found \"{init}\", expected \"RANDOM\", \"TEXT\" or \"SAMPLE_VOCAB\"";
        if (init == "TEXT" && string.IsNullOrEmpty(config.Value("prompt_tuning_init_text").GetString()))
            yield return "prompt_tuning_init_text: missing, expected a text, since prompt_tuning_init is \"TEXT\"";
    }

    public LoraConfig Fill(LoraConfig config, PretrainedModel pretrained)
    {
        DecoderShape shape = PromptKeys.RequireDecoder(pretrained.Network, Label).Shape;
        return PromptKeys.Describe(config, shape.EmbeddingSize ?? shape.HiddenSize, shape.Heads, shape.Layers);
    }

    public IEnumerable<AdapterTensor> Tensors(LoraConfig config, IReadOnlyList<LoraTarget> targets, IReadOnlyList<ModuleInfo> modules) =>
        [new AdapterTensor(PromptPart.Key, [config.Whole("num_virtual_tokens"), modules.First(module => module.IsInputEmbedding).OutputSize], "", AdapterTensorPart.Own)];

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
        long[] tokens = init == "TEXT" ? Tokens(build, count) : randint(table.shape[0], count, generator: build.Random).data<long>().ToArray();
        return table.detach().index_select(0, tensor(tokens, device: table.device));
    }

    // The text's tokens, again and again until there are enough.
    private static long[] Tokens(AdapterBuild build, int count)
    {
        string text = build.Config.Value("prompt_tuning_init_text").GetString()!;
        IReadOnlyList<int> ids = Tokenizer.Load(build.Config.BaseModel!).Encode(text, addSpecialTokens: false);
        if (ids.Count == 0) throw new InputException($"prompt_tuning_init_text: \"{text}\" has no token. Give a text, or another prompt_tuning_init.");
        return [.. Enumerable.Range(0, count).Select(place => (long)ids[place % ids.Count])];
    }
}
