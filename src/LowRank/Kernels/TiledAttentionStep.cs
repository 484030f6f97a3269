using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Attention with <see cref="TiledAttention"/> as one step of the graph.</summary>
/// <remarks>Keeps queries, keys, values, the output, and one value per query and head for the backward pass. If the
/// three are parts of one tensor, their gradients are written into one tensor.</remarks>
/// <param name="tiles">The tile settings.</param>
internal sealed unsafe class TiledAttentionStep(AttentionTiles tiles) : GraphStep
{
    /// <summary>Attends, with a graph or without.</summary>
    /// <param name="query">[batch, heads, queries, dimension], or the tensor that <see cref="AttentionTiles.Split"/>
    /// splits.</param>
    /// <param name="key">[batch, key-value heads, keys, dimension]; null if the query is the fused tensor.</param>
    /// <param name="value">Same shape as <paramref name="key"/>.</param>
    /// <param name="tiles">The tile settings.</param>
    /// <returns>[batch, queries, heads · dimension], in the caller's dispose scope.</returns>
    public static Tensor Attend(Tensor query, Tensor? key, Tensor? value, AttentionTiles tiles)
    {
        var step = new TiledAttentionStep(tiles);
        if (is_grad_enabled()) return step.Apply(query, key, value);
        using var scope = NewDisposeScope();
        return step.Compute(step.Parts(query, key, value), null).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override Tensor Forward(Tensor?[] inputs)
    {
        var parts = Parts(inputs[0]!, inputs[1], inputs[2]);
        long[] shape = parts.Query.shape;
        Tensor logSums = empty(shape[0], shape[1], shape[2]), output = Compute(parts, logSums);
        // The output would keep the graph alive, and the graph the output; another tensor over the same memory avoids
        // this cycle.
        Keep([.. inputs, output.detach(), logSums]);
        return output;
    }

    /// <inheritdoc/>
    protected override Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept)
    {
        if (kept is not [{ } first, var key, var value, { } output, { } logSums])
            throw new InvalidOperationException("The graph has been freed.");
        var parts = Parts(first, key, value);
        Tensor? whole = tiles.Split is null ? null : StepMemory.Empty(first.shape);
        (Tensor Query, Tensor Key, Tensor Value) gradients = whole is not null ? tiles.Split!(whole)
            : (TokenByToken(parts.Query), TokenByToken(parts.Key), TokenByToken(parts.Value));
        TiledAttention attention = Task(parts, output, logSums);
        attention.OutputGradient = AttentionHeads.OfMixed(gradient, attention.Dimension);
        attention.QueryGradient = AttentionHeads.From(gradients.Query);
        attention.KeyGradient = AttentionHeads.From(gradients.Key);
        attention.ValueGradient = AttentionHeads.From(gradients.Value);
        attention.Backward(tiles.Sequences);
        return whole is not null ? [whole, null, null] : [gradients.Query, gradients.Key, gradients.Value];
    }

    private (Tensor Query, Tensor Key, Tensor Value) Parts(Tensor first, Tensor? key, Tensor? value) =>
        tiles.Split is { } split ? split(first) : (first, key!, value!);

    // Memory for gradients of [batch, heads, tokens, dimension], in the layout in which linear layers create the heads.
    private static Tensor TokenByToken(Tensor heads)
    {
        long[] s = heads.shape;
        return StepMemory.Empty(s[0], s[2], s[1], s[3]).transpose(1, 2);
    }

    private Tensor Compute((Tensor Query, Tensor Key, Tensor Value) parts, Tensor? logSums)
    {
        long[] s = parts.Query.shape;
        Tensor output = StepMemory.Empty(s[0], s[2], s[1] * s[3]);
        TiledAttention attention = Task(parts, output, logSums);
        attention.Forward(tiles.Sequences);
        return output;
    }

    private TiledAttention Task((Tensor Query, Tensor Key, Tensor Value) parts, Tensor output, Tensor? logSums)
    {
        long[] s = parts.Query.shape;
        return new TiledAttention
        {
            Query = AttentionHeads.From(parts.Query),
            Key = AttentionHeads.From(parts.Key),
            Value = AttentionHeads.From(parts.Value),
            Output = AttentionHeads.OfMixed(output, (int)s[3]),
            LogSums = logSums is null ? null : (float*)NativeTensor.Address(logSums),
            Heads = (int)s[1],
            Groups = (int)(s[1] / parts.Key.shape[1]),
            Dimension = (int)s[3],
            Queries = (int)s[2],
            Scale = (float)tiles.Scale,
            Back = tiles.Back,
            Ahead = tiles.Ahead,
        };
    }
}

/// <summary>The settings of tiled attention.</summary>
/// <param name="Sequences">Which sequences attend to which.</param>
/// <param name="Scale">Factor of the scores.</param>
/// <param name="Back">How many positions before its own a query sees.</param>
/// <param name="Ahead">How many positions after its own a query sees.</param>
/// <param name="Split">Splits a fused tensor into query, key and value; null if they are separate.</param>
internal sealed record AttentionTiles(
    AttentionSequences Sequences, double Scale, int Back, int Ahead,
    Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)>? Split = null);
