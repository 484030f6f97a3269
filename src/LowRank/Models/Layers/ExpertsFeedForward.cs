using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A mixture of experts: a router sends each position to a few of many feed-forward layers and weighs their
/// results (Mixtral, arXiv 2401.04088, section 2.1).</summary>
/// <param name="router">[hidden] to one score an expert.</param>
/// <param name="experts">The feed-forward layers.</param>
/// <param name="active">How many experts a position goes to.</param>
/// <param name="normalizes">Whether the chosen experts' probabilities are scaled to sum to 1.</param>
public sealed class ExpertsFeedForward(Projection router, IReadOnlyList<IFeedForward> experts, int active, bool normalizes) : IFeedForward
{
    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [router, .. experts.SelectMany(expert => expert.Projections)];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context, bool isRead = true)
    {
        Tensor positions = input.reshape(-1, input.shape[^1]); // [positions, hidden]
        Tensor probabilities = nn.functional.softmax(router.Forward(positions, context.Dropout), -1);
        (Tensor shares, Tensor chosen) = probabilities.topk(active, -1); // [positions, active]
        if (normalizes) shares = shares / shares.sum(-1, keepdim: true);
        Tensor result = zeros_like(positions, requires_grad: false);
        long[] expertOf = chosen.cpu().view(-1).data<long>().ToArray();
        foreach (IGrouping<long, int> visit in Enumerable.Range(0, expertOf.Length).GroupBy(slot => expertOf[slot]).OrderBy(group => group.Key))
        {
            Tensor slots = tensor(visit.Select(slot => (long)slot).ToArray(), device: input.device); // of [positions · active]
            Tensor rows = slots.div(active, RoundingMode.floor);
            Tensor transformed = experts[(int)visit.Key].Forward(positions.index_select(0, rows), context);
            result = result.index_add(0, rows, transformed * shares.reshape(-1).index_select(0, slots).unsqueeze(-1), 1);
        }
        return result.view(input.shape);
    }
}
