using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>What a model with a head gives for a batch.</summary>
public static class NetworkOutput
{
    private const double Least = 1e-9; // a text without a token that counts gives zeros

    /// <summary>The head's scores: [batch, labels] for sequence classification, [batch, sequence, scores] otherwise.</summary>
    /// <param name="network">A decoder or an encoder with a head.</param>
    /// <param name="input">The batch.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <exception cref="InvalidOperationException">The model has no head.</exception>
    public static Tensor Scores(this ISequenceNetwork network, ModelInput input, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        Head head = network.Head ?? throw new InvalidOperationException("The model has no head; ask for its states.");
        Tensor states = network.States(input, dropout);
        if (head.Kind == HeadKind.SequenceClassification) states = Pool(states, input.AttentionMask, network.Pooling);
        return head.Forward(states, dropout).MoveToOuterDisposeScope();
    }

    /// <summary>One state for each text.</summary>
    /// <param name="states">[batch, sequence, hidden]</param>
    /// <param name="mask">1 for tokens and 0 for padding, [batch, sequence]; null when nothing is padded.</param>
    /// <param name="pooling">Which.</param>
    /// <returns>[batch, hidden]</returns>
    public static Tensor Pool(Tensor states, Tensor? mask, Pooling pooling)
    {
        if (pooling == Pooling.First) return states.select(1, 0);
        Tensor? weights = mask?.to(ScalarType.Float32).unsqueeze(-1); // [batch, sequence, 1]
        switch (pooling)
        {
            case Pooling.Mean:
                return weights is null ? states.mean([1]) : (states * weights).sum(1) / weights.sum(1).clamp_min(Least);
            case Pooling.MeanOfRoot:
                return weights is null ? states.sum(1) / Math.Sqrt(states.shape[1]) : (states * weights).sum(1) / weights.sum(1).clamp_min(Least).sqrt();
            case Pooling.Max:
                return weights is null ? states.amax([1]) : states.masked_fill(weights == 0, float.NegativeInfinity).amax([1]);
            case Pooling.WeightedMean:
                Tensor places = arange(1, states.shape[1] + 1, ScalarType.Float32, states.device).view(1, -1, 1);
                if (weights is not null) places = places * weights;
                return (states * places).sum(1) / places.sum(1).clamp_min(Least);
            default:
                return mask is null ? states.select(1, -1) : LastOf(states, mask);
        }
    }

    private static Tensor LastOf(Tensor states, Tensor mask)
    {
        Tensor places = arange(mask.shape[1], device: mask.device) * (mask != 0).to(ScalarType.Int64);
        Tensor last = places.argmax(1).view(-1, 1, 1).expand(-1, 1, states.shape[2]);
        return states.gather(1, last).squeeze(1);
    }
}
