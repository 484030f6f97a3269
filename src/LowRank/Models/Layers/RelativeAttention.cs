using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>T5's attention: separate projections without biases, scores not scaled, positions as a bias on the scores.</summary>
public sealed class RelativeAttention
{
    private readonly Projection query;
    private readonly Projection key;
    private readonly Projection value;
    private readonly Projection output;
    private readonly EncoderDecoderShape shape;

    /// <summary>Takes q, k, v and o below <paramref name="path"/>.</summary>
    public RelativeAttention(WeightLoader weights, string path, EncoderDecoderShape shape)
    {
        this.shape = shape;
        int inner = shape.Heads * shape.HeadDimension;
        query = Projection.Linear(weights, path + ".q", shape.HiddenSize, inner, bias: false);
        key = Projection.Linear(weights, path + ".k", shape.HiddenSize, inner, bias: false);
        value = Projection.Linear(weights, path + ".v", shape.HiddenSize, inner, bias: false);
        output = Projection.Linear(weights, path + ".o", inner, shape.HiddenSize, bias: false);
    }

    /// <summary>The layers that can be adapted.</summary>
    public IEnumerable<Projection> Projections => [query, key, value, output];

    /// <summary>Keys and values of states, each [batch, heads, positions, dimension].</summary>
    public (Tensor Keys, Tensor Values) KeysAndValues(Tensor states, Generator? dropout) =>
        (Heads(key.Forward(states, dropout)), Heads(value.Forward(states, dropout)));

    /// <summary>Attends.</summary>
    /// <param name="input">[batch, queries, hidden]</param>
    /// <param name="keys">[batch, heads, keys, dimension]</param>
    /// <param name="values">as <paramref name="keys"/></param>
    /// <param name="bias">Added to the scores: positions and what may not be seen, broadcast to [batch, heads, queries, keys]; or null.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    public Tensor Attend(Tensor input, Tensor keys, Tensor values, Tensor? bias, Generator? dropout)
    {
        Tensor queries = Heads(query.Forward(input, dropout));
        Tensor mixed;
        if (dropout is not null && shape.Dropout > 0)
        {
            Tensor scores = matmul(queries, keys.transpose(-2, -1));
            if (bias is not null) scores = scores + bias;
            mixed = matmul(Dropout.Apply(nn.functional.softmax(scores, -1), shape.Dropout, dropout), values);
        }
        else
        {
            // The fused kernel divides by √d, which T5 does not.
            Tensor? mask = bias?.expand(queries.shape[0], queries.shape[1], queries.shape[2], keys.shape[2]);
            mixed = nn.functional.scaled_dot_product_attention(queries * Math.Sqrt(shape.HeadDimension), keys, values, mask);
        }
        return output.Forward(mixed.transpose(1, 2).reshape(input.shape[0], input.shape[1], -1), dropout);
    }

    private Tensor Heads(Tensor projected) =>
        projected.view(projected.shape[0], projected.shape[1], shape.Heads, shape.HeadDimension).transpose(1, 2);
}
