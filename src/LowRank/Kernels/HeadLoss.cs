using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>The cross-entropy of an output head, −log softmax(states·Wᵀ + b)[label], summed or row by row.</summary>
internal static class HeadLoss
{
    /// <summary>Number of logits at a time: 72 MB. Fewer would be slower, because the head is packed again each
    /// time.</summary>
    public const long MostNumbers = 18L << 20;

    private const int Wider = 4; // times as many on other devices, which only large products keep busy

    /// <summary>The summed loss in nats.</summary>
    /// <param name="states">[rows, width]</param>
    /// <param name="weight">W, [classes, width].</param>
    /// <param name="bias">b, [classes], or null.</param>
    /// <param name="labels">[rows], int64. They are checked, so those on another device make the caller wait for
    /// it.</param>
    /// <param name="head">The head's name, for the error.</param>
    /// <param name="mostNumbers">Maximum number of logits at a time; null for the device's default.</param>
    /// <returns>A scalar, in the caller's dispose scope.</returns>
    /// <exception cref="InputException">A label is not a class of the head.</exception>
    public static Tensor Sum(Tensor states, IWeightMatrix weight, Tensor? bias, Tensor labels, string head,
        long? mostNumbers = null) => Compute(states, weight, bias, labels, head, mostNumbers, each: false);

    /// <summary>The loss of each row in nats, [rows].</summary>
    /// <inheritdoc cref="Sum"/>
    public static Tensor Each(Tensor states, IWeightMatrix weight, Tensor? bias, Tensor labels, string head,
        long? mostNumbers = null) => Compute(states, weight, bias, labels, head, mostNumbers, each: true);

    private static Tensor Compute(Tensor states, IWeightMatrix weight, Tensor? bias, Tensor labels, string head,
        long? mostNumbers, bool each)
    {
        using var scope = NewDisposeScope();
        CheckLabels(labels, weight.Outputs, head);
        labels = Devices.Send(labels, states.device);
        if (KernelForm.IsPlain || !Fits(weight, bias))
            return nn.functional.cross_entropy(LowRankLinear.Base(states, weight, bias), labels,
                reduction: each ? nn.Reduction.None : nn.Reduction.Sum).MoveToOuterDisposeScope();
        long most = mostNumbers ?? (states.device_type == DeviceType.CPU ? MostNumbers : Wider * MostNumbers);
        return new HeadLossStep(weight, bias, labels.contiguous(), most, each).Apply(states).MoveToOuterDisposeScope();
    }

    private static bool Fits(IWeightMatrix weight, Tensor? bias) => bias is not { requires_grad: true }
        && (weight.IsPacked
            || (weight is DenseMatrix { TakesGradient: false } dense && dense.Stored.dtype == ScalarType.Float32));

    private static void CheckLabels(Tensor labels, long classes, string head)
    {
        if (labels.numel() == 0) return;
        long lowest = labels.min().item<long>(), highest = labels.max().item<long>();
        if (lowest < 0 || highest >= classes)
            throw new InputException(
                $"{head} scores {classes} classes, but a label is outside of them (found {lowest} to {highest}). " +
                "Tokenize the data with this model's own tokenizer.");
    }
}

/// <summary>The output head and its cross-entropy as one graph node: logits exist for only some rows at a time and are
/// never stored.</summary>
/// <remarks>If a gradient is needed, the gradient of the states is computed together with the loss, because the softmax
/// is available then. Storing that gradient, [rows, width], replaces storing the logits, [rows, classes], or computing
/// them twice.</remarks>
/// <param name="weight">W, [classes, width].</param>
/// <param name="bias">b, [classes]; null for none.</param>
/// <param name="labels">[rows], int64 without gaps.</param>
/// <param name="mostNumbers">Maximum number of logits at a time; at least one row is computed.</param>
/// <param name="each">Whether the output is the loss of each row, [rows], instead of their sum.</param>
internal sealed class HeadLossStep(
    IWeightMatrix weight, Tensor? bias, Tensor labels, long mostNumbers, bool each) : GraphStep
{
    /// <inheritdoc/>
    protected override Tensor Forward(Tensor?[] inputs)
    {
        Tensor states = MatMul.Rows(inputs[0]!); // [rows, width]
        long rows = states.shape[0],
            parts = Math.Max(1, (rows * weight.Outputs + mostNumbers - 1) / mostNumbers),
            most = Math.Max(1, (rows + parts - 1) / parts);
        Tensor room = StepMemory.EmptyBeside(states, most, weight.Outputs);
        Tensor? gradient = Needs(0) ? StepMemory.EmptyBeside(states, states.shape) : null;
        bool isHere = states.device_type == DeviceType.CPU;
        double loss = 0;
        var losses = new float[each && isHere ? rows : 0];
        // Summed on the device, so that nobody waits for it.
        Tensor? elsewhere = isHere ? null : zeros(each ? [rows] : [], device: states.device);
        for (long first = 0; first < rows; first += most)
        {
            using var part = NewDisposeScope();
            long count = Math.Min(most, rows - first);
            Tensor logits = room.narrow(0, 0, count), own = labels.narrow(0, first, count);
            weight.Write(logits, states.narrow(0, first, count));
            if (bias is not null) logits.add_(bias, Number(1));
            if (elsewhere is null)
            {
                double[] here = CrossEntropy.Compute(logits, own, Needs(0));
                if (each) for (int i = 0; i < here.Length; i++) losses[first + i] = (float)here[i];
                else loss += here.Sum();
            }
            else
            {
                (Tensor here, logits) = CrossEntropy.Plain(logits, own);
                if (each) elsewhere.narrow(0, first, count).copy_(here);
                else elsewhere.add_(here.sum(), Number(1));
            }
            if (gradient is not null) weight.WriteBack(gradient.narrow(0, first, count), logits);
        }
        if (gradient is not null) Keep(gradient);
        return elsewhere ?? (each ? tensor(losses) : tensor((float)loss));
    }

    /// <inheritdoc/>
    protected override Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept) =>
        [kept[0]! * (each ? gradient.unsqueeze(1) : gradient)];
}
