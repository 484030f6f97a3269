using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>AdamW on a device: a step is only queued, and nobody waits for it.</summary>
/// <remarks>What a step depends on, the norm of the gradients and whether all is finite, stays on the device: a step
/// that is not finite is taken with a rate of 0 and moments that stay, so it changes nothing, as if it were skipped.
/// The weights lie in one block of memory, so a step is a dozen operations instead of a dozen per weight. The formulas
/// are those of <see cref="AdamStep"/>, rounded at other places.</remarks>
internal sealed class QueuedAdam : IDisposable
{
    private const long MostAdopted = 1L << 28; // numbers; moving more would hold too much memory twice
    private const long ChunkNumbers = 1L << 24; // expanded at a time
    private readonly IReadOnlyList<KeyValuePair<string, Tensor>> weights;
    private readonly AdamMoments moments;
    private readonly TrainerOptions options;
    private readonly Tensor taken; // a scalar, int64
    private readonly List<WeightGroup> groups = [];

    /// <summary>Prepares steps. Moves the weights into one block of memory, unless they are very many.</summary>
    /// <param name="weights">The weights; see <see cref="Fits"/>.</param>
    /// <param name="moments">Their moments.</param>
    /// <param name="options">The constants of AdamW, and the limit of the gradients' norm.</param>
    public QueuedAdam(
        IReadOnlyList<KeyValuePair<string, Tensor>> weights, AdamMoments moments, TrainerOptions options)
    {
        (this.weights, this.moments, this.options) = (weights, moments, options);
        taken = zeros([], ScalarType.Int64, weights[0].Value.device).DetachFromDisposeScope();
        AddGroups(moments.Wide, isPacked: false);
        AddGroups(moments.Packed, isPacked: true);
    }

    /// <summary>Number of steps taken. Reading it waits for the device.</summary>
    public long StepCount
    {
        get
        {
            using var scope = NewDisposeScope();
            return taken.item<long>();
        }
        set => taken.fill_(Number(value));
    }

    /// <summary>Whether steps of these weights can be queued: on a device, each of them once.</summary>
    public static bool Fits(IReadOnlyList<KeyValuePair<string, Tensor>> weights) =>
        weights.Count > 0 && !KernelForm.IsPlain && weights.All(weight => weight.Value.device_type != DeviceType.CPU)
        && weights.Select(weight => weight.Value).Distinct<Tensor>(ReferenceEqualityComparer.Instance).Count()
            == weights.Count;

    /// <summary>Queues a step with the weights' gradients; a weight without a gradient is not changed.</summary>
    /// <param name="loss">The step's loss, a scalar; if it is not finite, nothing is changed.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="factor">A weight's rate as a multiple of the learning rate, by name.</param>
    /// <returns>The norm of the gradients before clipping, a float32 scalar in the caller's dispose scope.</returns>
    public Tensor Step(Tensor loss, double learningRate, Func<string, double> factor)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        List<(WeightGroup Group, Tensor Gradient)> present =
            [.. groups.SelectMany(Present).Select(group => (group, Gather(group)))];
        Tensor norm = present.Count == 0 ? zeros([], ScalarType.Float32, taken.device)
            : stack(present.Select(part => part.Gradient.norm())).norm();
        QueuedConstants constants = Constants(loss, norm, learningRate);
        foreach ((WeightGroup group, Tensor gradient) in present)
            Update(group, gradient, constants, Factors(group, factor));
        return norm.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        taken.Dispose();
        foreach (WeightGroup group in groups) group.Dispose();
    }

    private void AddGroups(int[] members, bool isPacked)
    {
        if (members.Length == 0) return;
        Tensor[] tensors = [.. members.Select(member => weights[member].Value)];
        long[] padded = isPacked ? [.. moments.PackedMeans.Parts.Select(part => part.Padded)]
            : [.. moments.Means.Sizes];
        if (padded.Sum() > MostAdopted)
        {
            long first = 0;
            for (int i = 0; i < members.Length; first += padded[i++])
                groups.Add(new WeightGroup(
                    tensors[i].detach().view(-1).DetachFromDisposeScope(), first, [members[i]], [padded[i]], isPacked));
            return;
        }
        using FlatTensor flat = FlatTensor.Adopt(tensors, isPacked ? BlockwiseMoment.Block : 16);
        groups.Add(new WeightGroup(flat.Whole.alias().DetachFromDisposeScope(), 0, members, padded, isPacked));
    }

    // A group whose weights all have gradients, or its weights that have one.
    private IEnumerable<WeightGroup> Present(WeightGroup group)
    {
        bool[] has = [.. group.Members.Select(member => weights[member].Value.grad is not null)];
        if (has.All(found => found)) return [group];
        var parts = new List<WeightGroup>();
        long first = 0;
        for (int i = 0; i < has.Length; first += group.Padded[i++])
            if (has[i])
                parts.Add(new WeightGroup(
                    group.Weight.narrow(0, first, weights[group.Members[i]].Value.numel()), group.First + first,
                    [group.Members[i]], [group.Padded[i]], group.IsPacked));
        return parts;
    }

    // [numbers of the group]
    private Tensor Gather(WeightGroup group)
    {
        var pieces = new List<Tensor>();
        foreach ((int member, long padded) in group.Members.Zip(group.Padded))
        {
            Tensor gradient = weights[member].Value.grad!;
            pieces.Add(gradient.reshape(-1));
            long rest = (group.Members.Length == 1 ? group.Weight.shape[0] : padded) - gradient.numel();
            if (rest > 0) pieces.Add(zeros(rest, ScalarType.Float32, gradient.device));
        }
        return pieces is [var whole] ? whole : cat(pieces);
    }

    private QueuedConstants Constants(Tensor loss, Tensor norm, double rate)
    {
        Tensor scale = options.MaxGradientNorm > 0
            ? (norm.Plus(1e-6).reciprocal_() * Number(options.MaxGradientNorm)).clamp_max_(Number(1))
            : ones_like(norm);
        Tensor isFinite = loss.isfinite() & (norm * scale < Number(NonFinite.LargestSquared));
        taken.add_(isFinite.to(ScalarType.Int64), Number(1));
        // After a first step that was not finite none has been taken; the correction is then not used.
        Tensor one = isFinite.to(ScalarType.Float32), count = taken.to(ScalarType.Float32).clamp_min_(Number(1));
        Tensor Correction(double beta) => (count * Number(Math.Log(beta))).expm1_().neg_(); // 1 − βⁿ
        return new QueuedConstants(
            isFinite, scale, one * Number(1 - options.Beta1), Minus(1, one * Number(1 - options.Beta2)),
            Correction(options.Beta2).sqrt_(), one * Number(rate), Correction(options.Beta1));
    }

    private void Update(WeightGroup group, Tensor gradient, QueuedConstants step, Tensor? factors)
    {
        long all = group.Weight.shape[0], chunk = group.IsPacked ? ChunkNumbers : all;
        for (long first = 0; first < all; first += chunk)
        {
            using var scope = NewDisposeScope();
            long count = Math.Min(chunk, all - first);
            Tensor weight = group.Weight.narrow(0, first, count), rate = factors is null ? step.Rate
                : factors.narrow(0, first, count) * step.Rate;
            Tensor own = gradient.narrow(0, first, count) * step.Scale;
            own = where(step.IsFinite, own, zeros_like(step.Scale)); // NaN times zero would stay
            (Tensor mean, Tensor square, Action store) = Moments(group, group.First + first, count, step.IsFinite);
            mean.lerp_(own, step.Fraction);
            square.mul_(step.Keep).addcmul_(own, own, Number(1 - options.Beta2));
            Tensor change = mean / square.sqrt().div_(step.Root).add_(Number(options.Epsilon), Number(1));
            if (options.WeightDecay != 0) weight.mul_(Minus(1, rate * Number(options.WeightDecay)));
            weight.sub_(change.div_(step.Correction).mul_(rate));
            store();
        }
    }

    private (Tensor Mean, Tensor Square, Action Store) Moments(
        WeightGroup group, long first, long count, Tensor isFinite)
    {
        if (!group.IsPacked)
            return (
                moments.Means.Whole.narrow(0, first, count), moments.Squares.Whole.narrow(0, first, count), Nothing);
        long padded = (count + BlockwiseMoment.Block - 1) / BlockwiseMoment.Block * BlockwiseMoment.Block;
        Tensor means = moments.PackedMeans.Expand(first, padded), squares = moments.PackedSquares.Expand(first, padded);
        return (means.narrow(0, 0, count), squares.narrow(0, 0, count), () =>
        {
            // Storing again what was stored would round it again.
            moments.PackedMeans.Store(first, means, isFinite);
            moments.PackedSquares.Store(first, squares, isFinite);
        });
    }

    private static void Nothing()
    {
        // Moments in float32 are changed where they are stored.
    }

    // Null if all are 1. They are those of a run, so they are laid out once.
    private Tensor? Factors(WeightGroup group, Func<string, double> factor)
    {
        double[] own = [.. group.Members.Select(member => factor(weights[member].Key))];
        if (own.All(value => value == 1)) return null;
        if (group.Factors is { } known && known.Values.SequenceEqual(own)) return known.Laid;
        Tensor laid = cat([.. own.Zip(group.Members.Length == 1 ? [group.Weight.shape[0]] : group.Padded,
            (value, size) => full([size], Number(value), ScalarType.Float32, group.Weight.device))]);
        if (groups.Contains(group)) group.Keep(own, laid.DetachFromDisposeScope());
        return laid;
    }

    // What the updates of a step read, scalars on the device.
    private sealed record QueuedConstants(Tensor IsFinite, Tensor Scale, Tensor Fraction, Tensor Keep, Tensor Root,
        Tensor Rate, Tensor Correction);
}

/// <summary>Weights that lie one after the other.</summary>
/// <param name="weight">Their numbers, [n].</param>
/// <param name="first">The place of the first one in the moments.</param>
/// <param name="members">The numbers of the weights.</param>
/// <param name="padded">How many numbers each takes, with what follows up to the next.</param>
/// <param name="isPacked">Whether the moments take a byte per number.</param>
internal sealed class WeightGroup(Tensor weight, long first, int[] members, long[] padded, bool isPacked) : IDisposable
{
    /// <summary>Their numbers, [n].</summary>
    public Tensor Weight => weight;

    /// <summary>The place of the first one in the moments.</summary>
    public long First => first;

    /// <summary>The numbers of the weights.</summary>
    public int[] Members => members;

    /// <summary>How many numbers each takes, with what follows up to the next.</summary>
    public long[] Padded => padded;

    /// <summary>Whether the moments take a byte per number.</summary>
    public bool IsPacked => isPacked;

    /// <summary>The factors of the rate that were laid out last, [n]; null if none were.</summary>
    public (double[] Values, Tensor Laid)? Factors { get; private set; }

    /// <summary>Keeps factors of the rate.</summary>
    public void Keep(double[] values, Tensor laid)
    {
        Factors?.Laid.Dispose();
        Factors = (values, laid);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        weight.Dispose();
        Factors?.Laid.Dispose();
    }
}
