using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Tokens;

/// <summary>Rows of the embedding that are trained (<c>trainable_token_indices</c>): they replace the base's, whatever
/// those were.</summary>
/// <remarks>Where the output head computes with the embedding's weight, the head sees the same rows: <see cref="TokenScores"/>.</remarks>
public sealed class TokenRows : IAdapterLayer
{
    private readonly Tensor places; // [rows of the table]: the place among the trained rows, or −1

    /// <summary>Takes over the rows, float32.</summary>
    /// <param name="rows">The rows, [tokens, width].</param>
    /// <param name="tokens">Their token ids, all different.</param>
    /// <param name="tableRows">Rows of the table.</param>
    public TokenRows(Tensor rows, IReadOnlyList<int> tokens, int tableRows)
    {
        (Rows, Tokens) = (rows, tokens);
        long[] place = new long[tableRows];
        Array.Fill(place, -1);
        for (int i = 0; i < tokens.Count; i++) place[tokens[i]] = i;
        places = tensor(place).to(rows.device).DetachFromDisposeScope();
    }

    /// <summary>The rows, [tokens, width].</summary>
    public Tensor Rows { get; }

    /// <summary>Their token ids.</summary>
    public IReadOnlyList<int> Tokens { get; }

    /// <inheritdoc/>
    public bool CoversTie => true;

    /// <inheritdoc/>
    public double Share { get; set; } = 1;

    /// <inheritdoc/>
    public bool IsAdditive => false;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(".token_adapter.trainable_tokens_delta", Rows)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout)
    {
        Tensor whole = inner(input);
        Tensor place = places.index_select(0, input.reshape(-1)); // [tokens of the batch]
        Tensor trained = Rows.index_select(0, place.clamp_min(0)).view(whole.shape);
        if (Share != 1) trained = whole + (trained - whole) * Share;
        return where((place >= 0).view([.. input.shape, 1]), trained, whole);
    }

    /// <inheritdoc/>
    public (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias)
    {
        using var noGradient = no_grad();
        Tensor index = tensor(Tokens.Select(token => (long)token).ToArray(), device: weight.device);
        Tensor rows = Share == 1 ? Rows.detach() : weight.index_select(0, index) * (1 - Share) + Rows.detach() * Share;
        return (weight.index_copy(0, index, rows), bias);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Rows.Dispose();
        places.Dispose();
    }
}
