using LowRank.IO;
using LowRank.Tokenizers;

namespace LowRank.Models.Families;

/// <summary>All families: the library's own, in one list, and those that a program registers.</summary>
public static class FamilyRegistry
{
    private static readonly Registry<IModelFamily> Families = new("model family", family => family.ModelType,
    [
        new Bert(), new Bloom(), new Cohere2(), new DistilBert(), new Falcon(), new Gemma(), new Gemma2(),
        new Gemma3Text(), new Glm4(), new Gpt2(), new GptJ(), new GptNeoX(), new Granite(), new Llama(),
        new Ministral3(), new Mistral(), new Mixtral(), new ModernBert(), new Olmo2(), new Olmo3(), new Opt(),
        new Phi(), new Phi3(), new Qwen2(), new Qwen2Moe(), new Qwen3(), new Qwen3Moe(), new Roberta(), new SmolLM3(),
        new StableLm(), new Starcoder2(), new T5(), new XlmRoberta(),
    ]);

    /// <summary>The supported values of <c>model_type</c>, sorted.</summary>
    public static IReadOnlyList<string> ModelTypes => Families.Names;

    /// <summary>All families, sorted by <c>model_type</c>.</summary>
    public static IReadOnlyList<IModelFamily> All => Families.All;

    /// <summary>Adds your own family for every model that is opened afterwards. Thread-safe.</summary>
    /// <exception cref="ArgumentException">Its <c>model_type</c> is already registered; families cannot be
    /// replaced.</exception>
    public static void Register(IModelFamily family) => Families.Register(family);

    /// <summary>The family of a <c>model_type</c>.</summary>
    /// <exception cref="InputException">The <c>model_type</c> is not supported; the message lists the supported
    /// ones.</exception>
    public static IModelFamily Get(string modelType) => Families.Find(modelType)
        ?? throw new InputException(
            $"model_type \"{modelType}\" is not supported; supported: {string.Join(", ", ModelTypes)}.");
}
