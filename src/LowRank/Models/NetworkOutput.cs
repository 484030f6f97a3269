using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>What a model with a head gives for a batch.</summary>
public static class NetworkOutput
{
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
        if (mask is null) return pooling == Pooling.Last ? states.select(1, -1) : states.mean([1]);
        if (pooling == Pooling.Mean)
        {
            Tensor weights = mask.to(ScalarType.Float32).unsqueeze(-1);
            return (states * weights).sum(1) / weights.sum(1);
        }
        Tensor places = arange(mask.shape[1], device: mask.device) * (mask != 0).to(ScalarType.Int64);
        Tensor last = places.argmax(1).view(-1, 1, 1).expand(-1, 1, states.shape[2]);
        return states.gather(1, last).squeeze(1);
    }
}
