using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Tokens;

/// <summary>Trained rows of an output head: those tokens are scored by them. A head that computes with the embedding's weight
/// follows the rows of <see cref="TokenRows"/>; one with a weight of its own has its own.</summary>
public sealed class TokenScores : IAdapterLayer
{
    private readonly TokenRows? leader;
    private readonly Tensor rows;   // [tokens, width]
    private readonly Tensor places; // [tokens], their ids
    private readonly Tensor? bias;  // [vocabulary], the head's
    private double share = 1;

    /// <summary>Scores by the embedding's rows.</summary>
    /// <param name="leader">The rows; not owned.</param>
    /// <param name="bias">The head's bias, [vocabulary], or null; not owned.</param>
    public TokenScores(TokenRows leader, Tensor? bias)
        : this(leader.Rows, leader.Tokens, bias) => this.leader = leader;

    /// <summary>Takes over rows of its own, float32.</summary>
    /// <param name="rows">The rows, [tokens, width].</param>
    /// <param name="tokens">Their token ids, all different.</param>
    /// <param name="bias">The head's bias, [vocabulary], or null; not owned.</param>
    public TokenScores(Tensor rows, IReadOnlyList<int> tokens, Tensor? bias)
    {
        (this.rows, this.bias) = (rows, bias);
        places = tensor(tokens.Select(token => (long)token).ToArray(), device: rows.device).DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public bool CoversTie => true;

    /// <inheritdoc/>
    public bool Follows => leader is not null;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => leader is null ? [KeyValuePair.Create(".token_adapter.trainable_tokens_delta", rows)] : [];

    /// <inheritdoc/>
    public double Share
    {
        get => leader?.Share ?? share;
        set
        {
            if (leader is null) share = value;
            else leader.Share = value;
        }
    }

    /// <inheritdoc/>
    public bool IsAdditive => false;

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        Tensor scores = inner(input); // […, vocabulary]
        Tensor fresh = nn.functional.linear(input, rows, bias?.index_select(0, places));
        if (Share != 1) fresh = scores.index_select(-1, places) * (1 - Share) + fresh * Share;
        return scores.index_copy(-1, places, fresh);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor values = rows.detach().to(weight.device), index = places.to(weight.device);
        if (Share != 1) values = weight.index_select(0, index) * (1 - Share) + values * Share;
        return (weight.index_copy(0, index, values), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        places.Dispose();
        if (leader is null) rows.Dispose(); // the others belong to the embedding's part
    }
}
