using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>One layer of a model.</summary>
public interface IBlock
{
    /// <summary>[batch, sequence, hidden] to the same shape.</summary>
    Tensor Forward(Tensor input, ForwardContext context);

    /// <summary>The layers that can be adapted.</summary>
    IEnumerable<Linear> LinearLayers { get; }
}

/// <summary>A pre-norm block: x += s·attention(norm(x)); x += s·feedForward(norm(x)), where s is 1 in most
/// families.</summary>
public sealed class PreNormBlock(
    INormalization? attentionNorm, IAttention attention, INormalization feedForwardNorm, IFeedForward feedForward,
        double dropout,
    double? feedForwardDropout = null, double scale = 1) : IBlock
{
    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => attention.LinearLayers.Concat(feedForward.LinearLayers);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor mixed = attention.Forward(attentionNorm?.Forward(input) ?? input, context);
        Tensor hidden = Residual.Add(input, Dropout.Apply(Scaled(mixed), dropout, context.Dropout));
        Tensor transformed = feedForward.Forward(feedForwardNorm.Forward(hidden), context);
        return Residual.Add(
            hidden, Dropout.Apply(Scaled(transformed), feedForwardDropout ?? dropout, context.Dropout));
    }

    private Tensor Scaled(Tensor change) => scale == 1 ? change : change * Number(scale);
}

/// <summary>A post-norm block, as in the original transformer (arXiv 1706.03762) and BERT: x = norm(x + attention(x));
/// x = norm'(x + feedForward(x)).</summary>
public sealed class PostNormBlock(
    IAttention attention, INormalization attentionNorm, IFeedForward feedForward, INormalization feedForwardNorm,
        double dropout,
    double? feedForwardDropout = null) : IBlock
{
    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => attention.LinearLayers.Concat(feedForward.LinearLayers);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor mixed = Dropout.Apply(attention.Forward(input, context), dropout, context.Dropout);
        Tensor hidden = attentionNorm.Forward(Residual.Add(input, mixed));
        Tensor transformed =
            Dropout.Apply(feedForward.Forward(hidden, context), feedForwardDropout ?? dropout, context.Dropout);
        return feedForwardNorm.Forward(Residual.Add(hidden, transformed));
    }
}

/// <summary>A block with parallel attention and feed-forward, as in GPT-NeoX (arXiv 2204.06745, section 2.1): x +=
/// attention(norm(x)) + feedForward(norm'(x)). Without a second norm, both read the first one's output
/// (GPT-J).</summary>
public sealed class ParallelBlock(
    INormalization attentionNorm, IAttention attention, INormalization? feedForwardNorm, IFeedForward feedForward,
        double dropout,
    double? feedForwardDropout = null) : IBlock
{
    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => attention.LinearLayers.Concat(feedForward.LinearLayers);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor normed = attentionNorm.Forward(input);
        Tensor mixed = Dropout.Apply(attention.Forward(normed, context), dropout, context.Dropout);
        Tensor transformed = Dropout.Apply(
            feedForward.Forward(feedForwardNorm?.Forward(input) ?? normed, context), feedForwardDropout ?? dropout,
            context.Dropout);
        return Residual.Add(input, Residual.Add(mixed, transformed));
    }
}

/// <summary>A block with norms before and after each part, as in Gemma 2 (arXiv 2408.00118, section 2): x +=
/// norm(attention(norm(x))); x += norm(feedForward(norm(x))). OLMo 2 has none before (arXiv 2501.00656).</summary>
public sealed class SandwichBlock(
    INormalization? beforeAttention, IAttention attention, INormalization afterAttention,
    INormalization? beforeFeedForward, IFeedForward feedForward, INormalization afterFeedForward) : IBlock
{
    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => attention.LinearLayers.Concat(feedForward.LinearLayers);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor mixed = attention.Forward(beforeAttention?.Forward(input) ?? input, context);
        Tensor hidden = Residual.Add(input, afterAttention.Forward(mixed));
        Tensor transformed = feedForward.Forward(beforeFeedForward?.Forward(hidden) ?? hidden, context);
        return Residual.Add(hidden, afterFeedForward.Forward(transformed));
    }
}

/// <summary>A T5 block: x += attention(norm(x)); in the decoder also x += attention to the source(norm(x)); then x +=
/// feedForward(norm(x)).</summary>
internal sealed class CrossBlock
{
    private readonly RmsNorm selfNorm;
    private readonly RelativeAttention self;
    private readonly RmsNorm? crossNorm;
    private readonly RelativeAttention? cross;
    private readonly RmsNorm feedForwardNorm;
    private readonly IFeedForward feedForward;
    private readonly double dropoutShare;

    /// <summary>Loads the layers under <paramref name="path"/>.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="shape">The model's sizes.</param>
    /// <param name="attendsToSource">Whether the block belongs to the decoder.</param>
    public CrossBlock(WeightLoader weights, string path, EncoderDecoderShape shape, bool attendsToSource)
    {
        RmsNorm Norm(int part) => new(weights, $"{path}.layer.{part}.layer_norm", shape.HiddenSize, shape.NormEpsilon);
        dropoutShare = shape.Dropout;
        self = new RelativeAttention(weights, path + ".layer.0.SelfAttention", shape);
        selfNorm = Norm(0);
        if (attendsToSource)
        {
            cross = new RelativeAttention(weights, path + ".layer.1.EncDecAttention", shape);
            crossNorm = Norm(1);
        }
        int last = attendsToSource ? 2 : 1, hidden = shape.HiddenSize, width = shape.IntermediateSize;
        string dense = $"{path}.layer.{last}.DenseReluDense";
        Linear Load(string name, int inputs, int outputs) =>
            Linear.Load(weights, dense + name, inputs, outputs, bias: false);
        // Stays in float32 in a quantised model, as in transformers: T5's values are large here
        // (_keep_in_fp32_modules).
        Linear Down() => Linear.Unquantized(weights, dense + ".wo", width, hidden, bias: false);
        feedForward = shape.IsGated
            ? new GatedFeedForward(
                Load(".wi_0", hidden, width), Load(".wi_1", hidden, width), Down(), shape.Activation, shape.Dropout)
            : new PlainFeedForward(Load(".wi", hidden, width), Down(), shape.Activation, shape.Dropout);
        feedForwardNorm = Norm(last);
    }

    /// <summary>The layers that can be adapted.</summary>
    public IEnumerable<Linear> LinearLayers =>
        [.. self.LinearLayers, .. cross?.LinearLayers ?? [], .. feedForward.LinearLayers];

    /// <summary>Keys and values of the source for this block; only in the decoder.</summary>
    public (Tensor Keys, Tensor Values) OfSource(Tensor source, Generator? dropout) =>
        cross!.KeysAndValues(source, dropout);

    /// <summary>[batch, positions, hidden] to the same shape.</summary>
    /// <param name="input">The states.</param>
    /// <param name="bias">Positions and masking.</param>
    /// <param name="extend">Appends the new positions' keys and values to earlier ones; null if there are none.</param>
    /// <param name="source">The source's keys and values, and its padding as a bias; only in the decoder.</param>
    /// <param name="context">Carries the generator for dropout.</param>
    public Tensor Forward(Tensor input, Tensor? bias, Func<Tensor, Tensor, (Tensor Keys, Tensor Values)>? extend,
        (Tensor Keys, Tensor Values, Tensor? Bias)? source, ForwardContext context)
    {
        Generator? dropout = context.Dropout;
        Tensor normed = selfNorm.Forward(input);
        (Tensor keys, Tensor values) = self.KeysAndValues(normed, dropout);
        if (extend is not null) (keys, values) = extend(keys, values);
        Tensor hidden =
            Residual.Add(input, Dropout.Apply(self.Attend(normed, keys, values, bias, dropout), dropoutShare, dropout));
        if (source is { } s)
            hidden = Residual.Add(
                hidden, Dropout.Apply(
                    cross!.Attend(crossNorm!.Forward(hidden), s.Keys, s.Values, s.Bias, dropout),
                    dropoutShare, dropout));
        return Residual.Add(
            hidden, Dropout.Apply(
                feedForward.Forward(feedForwardNorm.Forward(hidden), context), dropoutShare, dropout));
    }
}
