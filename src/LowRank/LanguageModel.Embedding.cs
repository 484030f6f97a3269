using LowRank.Data;
using LowRank.Models;
using LowRank.Tasks;

namespace LowRank;

/// <summary>Texts as vectors.</summary>
/// <param name="Vectors">A vector per text, of the model's width.</param>
/// <param name="Tokens">The tokens of all texts, as the model read them.</param>
internal sealed record EmbeddedTexts(IReadOnlyList<float[]> Vectors, long Tokens);

// For programs that serve several adapters: each call names its own.
public sealed partial class LanguageModel
{
    /// <summary>Turns texts into vectors with an adapter of the caller's choice; the one in use stays so.</summary>
    /// <param name="with">The adapter; null for the base alone.</param>
    /// <param name="texts">The texts.</param>
    /// <param name="prediction">How; null for the defaults.</param>
    /// <param name="cancellation">Gives up after the current batch.</param>
    /// <exception cref="InputException">The adapter is for another task, or there is no text.</exception>
    /// <exception cref="ArgumentException">The adapter is another model's, or was removed.</exception>
    internal Task<EmbeddedTexts> EmbedAsync(
        LoadedAdapter? with, IReadOnlyList<string> texts, PredictionOptions? prediction,
        CancellationToken cancellation)
    {
        LoadedAdapter? Used()
        {
            if (with is not null) Require(with);
            return with;
        }
        var question = new Question(IsEach: true, TaskOptions.Embedding.Name) { Uses = Used };
        return Answer(Dataset.FromTexts(texts), prediction, question, (opened, source, settings, token) =>
        {
            RequireEffect(prediction, embeds: true, writes: false);
            List<Words> notes = [];
            List<float[]> vectors = [];
            long tokens = 0;
            foreach (float[] vector in ((EmbeddingTask)opened.Start(settings)).Embed(
                source, BatchSize(prediction), notes, count => tokens = count))
            {
                token.ThrowIfCancellationRequested();
                vectors.Add(vector);
            }
            Tell(notes, null);
            return new EmbeddedTexts(vectors, tokens);
        }, cancellation);
    }
}
