using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Prompts;

/// <summary>Trained positions before every text.</summary>
/// <param name="model">The decoder.</param>
/// <param name="vectors">What is trained: see <paramref name="states"/>; float32, owned.</param>
/// <param name="states">Makes keys and values of it.</param>
internal sealed class PromptPart(Decoder model, Tensor vectors, Func<Decoder, Tensor, Generator?, IReadOnlyList<(Tensor Keys, Tensor Values)>> states) : IAdapterPart, IPrompt
{
    /// <summary>The key of the tensor in PEFT's file.</summary>
    public const string Key = "prompt_embeddings";

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(Key, vectors)];

    public int Length => (int)vectors.shape[0];

    public IReadOnlyList<(Tensor Keys, Tensor Values)> States(Decoder model, Generator? dropout) => states(model, vectors, dropout);

    public void Attach()
    {
        if (model.Prompt is not null) throw new InputException("Another adapter that is in use puts a prompt before the text; only one can. Detach that one first.");
        model.Prompt = this;
    }

    public void Detach()
    {
        if (ReferenceEquals(model.Prompt, this)) model.Prompt = null;
    }

    public void Dispose() => vectors.Dispose();
}
