using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>The position-wise part of a block.</summary>
public interface IFeedForward
{
    /// <summary>[batch, sequence, hidden] to the same shape.</summary>
    /// <param name="input">The states.</param>
    /// <param name="context">The pass.</param>
    Tensor Forward(Tensor input, ForwardContext context);

    /// <summary>The layers that can be adapted.</summary>
    IEnumerable<Linear> LinearLayers { get; }
}

/// <summary>down(activation(up(x))).</summary>
public sealed class PlainFeedForward(Linear up, Linear down, string activationName, double dropout = 0)
    : IFeedForward
{
    private readonly ActivationFunction activation = Activation.Find(activationName);

    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => [up, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context) =>
        down.Forward(
            Dropout.Apply(activation.Apply(up.Forward(input, context.Dropout)), dropout, context.Dropout),
            context.Dropout);
}

/// <summary>down(activation(gate(x)) · up(x)) (GLU variants, arXiv 2002.05202).</summary>
public sealed class GatedFeedForward(
    Linear gate, Linear up, Linear down, string activationName, double dropout = 0) : IFeedForward
{
    private readonly ActivationFunction activation = Activation.Find(activationName);

    /// <summary>Loads gate_proj, up_proj and down_proj under <paramref name="path"/>.</summary>
    public GatedFeedForward(WeightLoader weights, string path, DecoderShape shape)
        : this(Linear.Load(
            weights, path + ".gate_proj", shape.HiddenSize, shape.IntermediateSize, shape.FeedForwardBias),
            Linear.Load(
                weights, path + ".up_proj", shape.HiddenSize, shape.IntermediateSize, shape.FeedForwardBias),
            Linear.Load(
                weights, path + ".down_proj", shape.IntermediateSize, shape.HiddenSize, shape.FeedForwardBias),
                shape.Activation)
    {
    }

    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => [gate, up, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor gated = activation.Gate(gate.Forward(input, context.Dropout), up.Forward(input, context.Dropout));
        return down.Forward(Dropout.Apply(gated, dropout, context.Dropout), context.Dropout);
    }
}

/// <summary>down(activation(g) · u), where g and u are the halves of one layer's output (Phi-3, ModernBERT).</summary>
public sealed class FusedGatedFeedForward(Linear gateUp, Linear down, string activationName, double dropout = 0)
    : IFeedForward
{
    private readonly ActivationFunction activation = Activation.Find(activationName);

    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => [gateUp, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor gated = activation.GateHalves(gateUp.Forward(input, context.Dropout));
        return down.Forward(Dropout.Apply(gated, dropout, context.Dropout), context.Dropout);
    }
}

/// <summary>experts(x) + sigmoid(gate(x)) · shared(x): a mixture of experts beside one that sees every position
/// (Qwen2-MoE, arXiv 2407.10671).</summary>
/// <param name="experts">The mixture.</param>
/// <param name="shared">The expert of every position.</param>
/// <param name="gate">[hidden] to one score.</param>
internal sealed class SharedExpertFeedForward(IFeedForward experts, IFeedForward shared, Linear gate) : IFeedForward
{
    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => [.. experts.LinearLayers, .. shared.LinearLayers, gate];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor score = gate.Forward(input, context.Dropout);
        // Torch's sigmoid may round a number differently in another place of a tensor, its softmax of a row does not.
        Tensor share = nn.functional.softmax(cat([score, zeros_like(score)], -1), -1).narrow(-1, 0, 1);
        return experts.Forward(input, context).Plus(share * shared.Forward(input, context));
    }
}

/// <summary>A mixture of experts: a router sends each position to a few of many feed-forward layers and weights their
/// results (Mixtral, arXiv 2401.04088, section 2.1).</summary>
/// <param name="router">[hidden] to one score per expert.</param>
/// <param name="experts">The feed-forward layers.</param>
/// <param name="active">Number of experts per position.</param>
/// <param name="normalizes">Whether the chosen experts' probabilities are scaled to sum to 1.</param>
public sealed class ExpertsFeedForward(
    Linear router, IReadOnlyList<IFeedForward> experts, int active, bool normalizes) : IFeedForward
{
    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => [router, .. experts.SelectMany(expert => expert.LinearLayers)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor positions = input.reshape(-1, input.shape[^1]); // [positions, hidden]
        AdapterRows? adapters = router.Slot.Rows; // by row of the input
        int each = (int)(positions.shape[0] / input.shape[0]);
        using IDisposable? spread = adapters?.Select(
            Enumerable.Range(0, (int)positions.shape[0]).Select(position => position / each));
        Tensor probabilities = nn.functional.softmax(router.Forward(positions, context.Dropout), -1);
        (Tensor weights, Tensor chosen) = probabilities.topk(active, -1); // [positions, active]
        if (normalizes) weights = weights / weights.sum(-1, keepdim: true);
        Tensor result = zeros_like(positions, requires_grad: false);
        long[] expertOf = chosen.cpu().view(-1).data<long>().ToArray();
        foreach (IGrouping<long, int> visit in Enumerable.Range(0, expertOf.Length).GroupBy(slot => expertOf[slot])
            .OrderBy(group => group.Key))
        {
            // shape [positions · active]
            Tensor slots = tensor(visit.Select(slot => (long)slot).ToArray(), device: input.device);
            Tensor rows = slots.div(Number(active), RoundingMode.floor);
            using IDisposable? visiting = adapters?.Select(visit.Select(slot => slot / active));
            Tensor transformed = experts[(int)visit.Key].Forward(positions.index_select(0, rows), context);
            result = result.index_add(
                0, rows, transformed * weights.reshape(-1).index_select(0, slots).unsqueeze(-1), Number(1));
        }
        return result.view(input.shape);
    }
}
