using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Models.Layers;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A model of any kind, as seen by adapters and files: named weights and adaptable layers.</summary>
public interface INetwork : IDisposable
{
    /// <summary>The family the model belongs to.</summary>
    IModelFamily Family { get; }

    /// <summary>The head on top of its states.</summary>
    HeadKind HeadKind { get; }

    /// <summary>The device that the model computes on.</summary>
    Device Device { get; }

    /// <summary>Rows of the token embedding.</summary>
    int VocabularySize { get; }

    /// <summary>The longest sequence that it accepts.</summary>
    int MaxPositions { get; }

    /// <summary>Every weight by its checkpoint name, in model order; a tied head appears only once.</summary>
    IReadOnlyDictionary<string, Tensor> Parameters { get; }

    /// <summary>The frozen, packed weights of linear layers, by checkpoint name; they are not in
    /// <see cref="Parameters"/>.</summary>
    IReadOnlyDictionary<string, PackedWeight> PackedWeights { get; }

    /// <summary>The packed weights without those that are rounded copies for products: the base's values are others
    /// than the folder's.</summary>
    internal IEnumerable<KeyValuePair<string, PackedWeight>> QuantizedWeights =>
        PackedWeights.Where(weight => !weight.Value.IsWorkingCopy);

    /// <summary>The number of weights.</summary>
    long ParameterCount =>
        Parameters.Values.Sum(weight => weight.numel()) + PackedWeights.Values.Sum(weight => weight.ElementCount);

    /// <summary>Size of the weights in bytes, with the copy that a tied head may have.</summary>
    internal long WeightBytes => Parameters.Values.Sum(weight => weight.numel() * weight.element_size())
        + PackedWeights.Values.Sum(weight => weight.Bytes)
        + (OutputHead is { SharesWeight: true, Packed: { } copy } ? copy.Bytes : 0);

    /// <summary>The token embedding.</summary>
    Embedding TokenEmbedding { get; }

    /// <summary>Every linear layer except the output head, in model order; those of a task head come last.</summary>
    IEnumerable<Linear> LinearLayers { get; }

    /// <summary>The layer that scores the vocabulary; null if there is none.</summary>
    Linear? OutputHead { get; }

    /// <summary>Whether the output head shares the embedding's weight.</summary>
    bool TiesHead => OutputHead is { SharesWeight: true };

    /// <summary>Names of stored weights that duplicate the weight that they share.</summary>
    IReadOnlyCollection<string> DuplicateWeights { get; }

    /// <summary>Whether a training pass keeps only the inputs of its blocks and recomputes the blocks in the backward
    /// pass: less memory, more time, the same gradients. False by default.</summary>
    /// <exception cref="InputException">The model does not support this.</exception>
    bool GradientCheckpointing { get; set; }

    /// <summary>Names of weights that the checkpoint lacks and that were initialised, such as a new task
    /// head.</summary>
    IReadOnlyCollection<string> CreatedWeights { get; }

    /// <summary>Names of weights that an active adapter replaces whole.</summary>
    ISet<string> ReplacedWeights { get; }

    /// <summary>The name under which the checkpoint stores a weight.</summary>
    string StoredName(string parameter);

    /// <summary>A module's path in transformers' class for this head: without the base's prefix if there is no
    /// head.</summary>
    string ModulePath(string path) =>
        HeadKind == HeadKind.None && path.StartsWith(Family.BasePrefix, StringComparison.Ordinal)
        ? path[Family.BasePrefix.Length..] : path;
}

/// <summary>A model that turns a text into states: a decoder or an encoder.</summary>
public interface ISequenceNetwork : INetwork
{
    /// <summary>The head on top of the states; null for none.</summary>
    Head? Head { get; }

    /// <summary>The state that the family's classifiers use for a whole text.</summary>
    Pooling Pooling { get; }

    /// <summary>The normalised states below the head.</summary>
    /// <param name="input">The batch.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[batch, sequence, hidden]; the caller owns it.</returns>
    Tensor States(ModelInput input, Generator? dropout = null);

    /// <summary>The head's scores: [batch, labels] for sequence classification, [batch, sequence, scores]
    /// otherwise.</summary>
    /// <param name="input">The batch.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <exception cref="InvalidOperationException">The model has no head.</exception>
    sealed Tensor Scores(ModelInput input, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        Head head = Head ?? throw new InvalidOperationException("The model has no head; ask for its states.");
        Tensor states = States(input, dropout);
        if (head.Kind == HeadKind.SequenceClassification) states = Pooled.Of(states, input.AttentionMask, Pooling);
        return head.Forward(states, dropout).MoveToOuterDisposeScope();
    }
}

/// <summary>Makes one state per text of the states of its tokens.</summary>
internal static class Pooled
{
    private const double Least = 1e-9; // a text without a token that counts gives zeros

    /// <summary>One state per text.</summary>
    /// <param name="states">[batch, sequence, hidden]</param>
    /// <param name="mask">1 for tokens and 0 for padding, [batch, sequence]; null without padding.</param>
    /// <param name="pooling">The pooling method.</param>
    /// <returns>[batch, hidden]</returns>
    public static Tensor Of(Tensor states, Tensor? mask, Pooling pooling)
    {
        if (pooling == Pooling.First) return states.select(1, 0);
        Tensor? weights = mask?.to(ScalarType.Float32).unsqueeze(-1); // [batch, sequence, 1]
        switch (pooling)
        {
            case Pooling.Mean:
                return weights is null ? states.mean([1])
                    : (states * weights).sum(1) / weights.sum(1).clamp_min(Number(Least));
            case Pooling.MeanOfRoot:
                return weights is null ? states.sum(1) / Number(Math.Sqrt(states.shape[1]))
                    : (states * weights).sum(1) / weights.sum(1).clamp_min(Number(Least)).sqrt();
            case Pooling.Max:
                return weights is null ? states.amax([1])
                    : states.masked_fill(weights == Number(0), Number(float.NegativeInfinity)).amax([1]);
            case Pooling.WeightedMean:
                Tensor places = Indices(
                    1, states.shape[1] + 1, type: ScalarType.Float32, device: states.device).view(1, -1, 1);
                if (weights is not null) places = places * weights;
                return (states * places).sum(1) / places.sum(1).clamp_min(Number(Least));
            default:
                return mask is null ? states.select(1, -1) : LastOf(states, mask);
        }
    }

    private static Tensor LastOf(Tensor states, Tensor mask)
    {
        Tensor places = Indices(0, mask.shape[1], device: mask.device) * (mask != Number(0)).to(ScalarType.Int64);
        Tensor last = places.argmax(1).view(-1, 1, 1).expand(-1, 1, states.shape[2]);
        return states.gather(1, last).squeeze(1);
    }
}

/// <summary>A batch of texts as model input.</summary>
/// <param name="Tokens">[batch, sequence]</param>
/// <param name="AttentionMask">1 for tokens and 0 for padding, [batch, sequence]; null without padding.</param>
/// <param name="TokenTypes">0 for the first text and 1 for the second, [batch, sequence]; null if all are 0.</param>
public sealed record ModelInput(Tensor Tokens, Tensor? AttentionMask = null, Tensor? TokenTypes = null);

/// <summary>Positions before every text of a decoder, given by their keys and values in each layer.</summary>
internal interface IPrompt
{
    /// <summary>Its tensors by their keys in the adapter's file.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <summary>Number of positions.</summary>
    int Length { get; }

    /// <summary>Keys and values of the positions, [1, key-value heads, positions, head dimension] for each
    /// layer.</summary>
    /// <param name="model">The decoder.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>Tensors in the caller's dispose scope.</returns>
    IReadOnlyList<(Tensor Keys, Tensor Values)> States(Decoder model, Generator? dropout);
}

/// <summary>The state that represents a whole text.</summary>
public enum Pooling
{
    /// <summary>The first token's state, [CLS] or &lt;s&gt;.</summary>
    First,

    /// <summary>The state of the last token that is not padding.</summary>
    Last,

    /// <summary>The mean over all tokens that are not padding.</summary>
    Mean,

    /// <summary>The maximum of each dimension over all tokens that are not padding.</summary>
    Max,

    /// <summary>The sum over all tokens that are not padding, divided by the square root of their number.</summary>
    MeanOfRoot,

    /// <summary>The mean over all tokens that are not padding, weighted by position (from 1).</summary>
    WeightedMean,
}
