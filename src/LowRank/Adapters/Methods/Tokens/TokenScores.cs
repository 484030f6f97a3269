using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Tokens;

/// <summary>The trained rows of <see cref="TokenRows"/> as a tied output head sees them: those tokens are scored by the new rows.</summary>
/// <param name="rows">The rows; not owned.</param>
public sealed class TokenScores(TokenRows rows) : ITiedLayer
{
    /// <inheritdoc/>
    public bool Follows => true;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [];

    /// <inheritdoc/>
    public double Share { get => rows.Share; set => rows.Share = value; }

    /// <inheritdoc/>
    public bool IsAdditive => false;

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        Tensor scores = inner(input); // […, vocabulary]
        Tensor index = tensor(rows.Tokens.Select(token => (long)token).ToArray(), device: scores.device);
        Tensor fresh = nn.functional.linear(input, rows.Rows);
        if (Share != 1) fresh = scores.index_select(-1, index) * (1 - Share) + fresh * Share;
        return scores.index_copy(-1, index, fresh);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias) => rows.Merged(weight, bias);

    /// <inheritdoc/>
    public void Dispose()
    {
        // The rows belong to the embedding's part.
    }
}
