using LowRank.Kernels;
using LowRank.Kernels.Native;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The output head and its cross-entropy as one graph node: logits exist for only some rows at a time and are
/// never stored.</summary>
/// <remarks>If a gradient is needed, the gradient of the states is computed together with the loss, because the softmax
/// is available then. Storing that gradient, [rows, width], replaces storing the logits, [rows, classes], or computing
/// them twice.</remarks>
internal sealed class HeadLoss : autograd.SingleTensorFunction<HeadLoss>
{
    private const string Arguments = "arguments";

    /// <summary>Number of logits at a time: 72 MB. Fewer would be slower, because the head is packed again each
    /// time.</summary>
    public const long MostNumbers = 18L << 20;

    private const int Wider = 4; // times as many on other devices, which only large products keep busy

    /// <inheritdoc/>
    public override string Name => nameof(HeadLoss);

    /// <summary>Whether a head's loss can be computed this way: the head must be a frozen linear layer in float32
    /// without adapters.</summary>
    /// <param name="head">The layer that computes the logits.</param>
    public static bool Fits(Linear head) =>
        head is { Packed: null, Slot.IsEmpty: true, IsFrozen: true } && head.Weight.dtype == ScalarType.Float32;

    /// <summary>The summed loss in nats.</summary>
    /// <param name="head">A layer that <see cref="Fits"/>.</param>
    /// <param name="states">[rows, width]</param>
    /// <param name="labels">[rows], int64.</param>
    /// <param name="mostNumbers">Maximum number of logits at a time; null for the device's default.</param>
    /// <returns>A scalar, in the caller's dispose scope.</returns>
    /// <exception cref="InputException">A label is not a class of the head.</exception>
    public static Tensor Sum(Linear head, Tensor states, Tensor labels, long? mostNumbers = null)
    {
        using var scope = NewDisposeScope();
        long most = mostNumbers ?? (states.device_type == DeviceType.CPU ? MostNumbers : Wider * MostNumbers);
        if (labels.numel() > 0
            && (labels.min().item<long>() is var lowest && lowest < 0 || labels.max().item<long>() is var highest
            && highest >= head.OutputSize))
            throw new InputException(
                $"{head.Path} scores {head.OutputSize} classes, but a label is outside of them (found " +
                $"{labels.min().item<long>()} to {labels.max().item<long>()}). Tokenize the data with this model's " +
                "own tokenizer.");
        return apply(states, labels, new HeadLossArguments(head, is_grad_enabled() && states.requires_grad, most))
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        var (states, labels, arguments) =
            (MatMul.Rows((Tensor)vars[0]), ((Tensor)vars[1]).contiguous(), (HeadLossArguments)vars[2]);
        BackwardErrors.Watch(ctx, vars);
        Linear head = arguments.Head;
        long rows = states.shape[0],
            parts = Math.Max(1, (rows * head.OutputSize + arguments.MostNumbers - 1) / arguments.MostNumbers),
            most = Math.Max(1, (rows + parts - 1) / parts);
        bool isOnProcessor = states.device_type == DeviceType.CPU;
        Tensor room = isOnProcessor ? StepMemory.Empty(most, head.OutputSize)
            : empty(most, head.OutputSize, device: states.device);
        Tensor? gradient = !arguments.NeedsGradient ? null : isOnProcessor ? StepMemory.Empty(states.shape)
            : empty_like(states, requires_grad: false);
        // summed on the device, without synchronising
        Tensor? elsewhere = isOnProcessor ? null : zeros([], device: states.device);
        double loss = 0;
        for (long first = 0; first < rows; first += most)
        {
            using var part = NewDisposeScope();
            long count = Math.Min(most, rows - first);
            Tensor logits = room.narrow(0, 0, count);
            MatMul.Write(logits, states.narrow(0, first, count), head.Matrix.t());
            if (head.Bias is { } bias) logits.add_(bias);
            if (elsewhere is null)
            {
                loss += SoftmaxLoss.Compute(logits, labels.narrow(0, first, count), arguments.NeedsGradient);
            }
            else
            {
                (Tensor sum, logits) = Compute(logits, labels.narrow(0, first, count));
                elsewhere.add_(sum);
            }
            if (gradient is not null) MatMul.Write(gradient.narrow(0, first, count), logits, head.Matrix);
        }
        if (gradient is not null) ctx.save_for_backward([gradient.MoveToOuterDisposeScope()]);
        return (elsewhere ?? tensor((float)loss)).MoveToOuterDisposeScope();
    }

    /// <summary>Like <see cref="SoftmaxLoss.Compute"/>, with torch's operations.</summary>
    /// <param name="logits">[rows, classes]</param>
    /// <param name="labels">[rows], int64.</param>
    /// <returns>The summed loss and its gradient, [rows, classes], in the caller's dispose scope.</returns>
    internal static (Tensor Loss, Tensor Gradient) Compute(Tensor logits, Tensor labels)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor places = labels.unsqueeze(1), logarithms = nn.functional.log_softmax(logits, 1),
            right = logarithms.gather(1, places);
        return (right.sum().neg_().MoveToOuterDisposeScope(),
            logarithms.exp_().scatter_add_(1, places, full_like(right, -1)).MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor gradient = ctx.get_saved_variables()[0] * grad_output;
        grad_output.Dispose(); // the function's own reference
        return ReturnedGradients.Keep(gradient, null, null);
    }
}

/// <summary>The arguments of <see cref="HeadLoss"/> besides tensors.</summary>
/// <param name="Head">The layer that computes the logits.</param>
/// <param name="NeedsGradient">Whether the states need a gradient.</param>
/// <param name="MostNumbers">Maximum number of logits at a time, but at least one row.</param>
internal sealed record HeadLossArguments(Linear Head, bool NeedsGradient, long MostNumbers);
