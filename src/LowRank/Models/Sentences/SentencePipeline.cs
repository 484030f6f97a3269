using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Sentences;

/// <summary>How the states of a text become its vector, and how its text is prepared: what a folder of sentence-transformers says beside
/// the model.</summary>
/// <param name="Width">Of a state.</param>
/// <param name="Modes">Which states stand for the text; the vectors of several are one behind the other.</param>
/// <param name="Layers">What is computed from them, in this order.</param>
public sealed record SentencePipeline(int Width, IReadOnlyList<Pooling> Modes, IReadOnlyList<ISentenceLayer> Layers)
{
    /// <summary>Whether the tokens of a prompt take part in pooling.</summary>
    public bool IncludesPrompt { get; init; } = true;

    /// <summary>Longest text in tokens; null for what the model takes.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Whether texts are turned to lower case, whatever the tokenizer does.</summary>
    public bool LowersCase { get; init; }

    /// <summary>Texts that can stand before a text, by their names, such as query.</summary>
    public IReadOnlyDictionary<string, string> Prompts { get; init; } = new Dictionary<string, string>();

    /// <summary>The name of the prompt that stands before every text; null for none.</summary>
    public string? DefaultPrompt { get; init; }

    /// <summary>How vectors are compared: cosine, dot, euclidean or manhattan; null where the folder does not say.</summary>
    public string? Similarity { get; init; }

    /// <summary>The pipeline of a model without any: one state, made a vector of length 1.</summary>
    public static SentencePipeline Plain(int width, Pooling mode) => new(width, [mode], [new NormalizeLayer()]) { Similarity = "cosine" };

    /// <summary>The vectors of texts.</summary>
    /// <param name="states">[batch, sequence, hidden]</param>
    /// <param name="mask">1 for tokens and 0 for padding, [batch, sequence]; null when nothing is padded.</param>
    /// <param name="promptTokens">Tokens at the beginning of each text that belong to a prompt.</param>
    /// <returns>[batch, width]</returns>
    public Tensor Apply(Tensor states, Tensor? mask, int promptTokens = 0)
    {
        if (!IncludesPrompt && promptTokens > 0)
        {
            Tensor behind = (arange(states.shape[1], device: states.device) >= promptTokens).to(ScalarType.Int64).unsqueeze(0);
            mask = (mask ?? ones_like(behind).expand(states.shape[0], states.shape[1])) * behind;
        }
        Tensor vectors = cat([.. Modes.Select(mode => mode == Pooling.First ? First(states, mask) : NetworkOutput.Pool(states, mask, mode))], -1);
        return Layers.Aggregate(vectors, (vector, layer) => layer.Forward(vector));
    }

    // The first token that counts: behind padding on the left, and behind a prompt that does not.
    private static Tensor First(Tensor states, Tensor? mask)
    {
        if (mask is null) return states.select(1, 0);
        Tensor first = (mask != 0).to(ScalarType.Int64).argmax(1).view(-1, 1, 1).expand(-1, 1, states.shape[2]);
        return states.gather(1, first).squeeze(1);
    }
}
