using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>What went wrong in the backward passes of functions of ours, for whoever called torch's.</summary>
/// <remarks>Torch calls them, on a thread of its own where the device is no CPU, and an exception that leaves through
/// its code ends the process. So it is kept here, and torch gets gradients that it refuses: its pass stops, and its
/// caller gets an error on every device.</remarks>
internal sealed class BackwardErrors
{
    private const string Key = "errors";

    [ThreadStatic]
    private static BackwardErrors? ofThread;

    private ExceptionDispatchInfo? first;

    private static BackwardErrors OfThread => ofThread ??= new();

    /// <summary>Notes who is to hear of errors: the thread that builds the graph. Part of a function's forward
    /// pass.</summary>
    /// <param name="ctx">What the function remembers.</param>
    /// <param name="vars">Its arguments.</param>
    public static void Watch(autograd.AutogradContext ctx, object[] vars) =>
        ctx.save_data(Key, (OfThread, Array.ConvertAll(vars, argument => argument is Tensor)));

    /// <summary>A function's gradients; where it throws, some of a shape that torch refuses.</summary>
    /// <param name="gradients">The function's backward pass.</param>
    /// <param name="ctx">What it remembers, with <see cref="Watch"/>.</param>
    /// <param name="output">The gradient of its output.</param>
    public static List<Tensor> Guard(
        Func<autograd.AutogradContext, Tensor, List<Tensor>> gradients, autograd.AutogradContext ctx, Tensor output)
    {
        try
        {
            return gradients(ctx, output);
        }
#pragma warning disable CA1031 // whatever it is, it must not leave through torch's code; Run throws it again
        catch (Exception error)
#pragma warning restore CA1031
        {
            (BackwardErrors errors, bool[] areTensors) = ((BackwardErrors, bool[]))ctx.get_data(Key);
            errors.first ??= ExceptionDispatchInfo.Capture(error);
            // no input of ours has this shape, nor is broadcast to it, but for the anchor of BlockCheckpoint
            Tensor refused = empty(0).DetachFromDisposeScope();
            return [.. areTensors.Select(isTensor => isTensor ? refused : null!)];
        }
    }

    /// <summary>Runs a backward pass. An error of a function of ours comes out as it was thrown.</summary>
    /// <param name="backward">Calls torch's backward pass, on the thread that built the graph.</param>
    public static void Run(Action backward)
    {
        BackwardErrors errors = OfThread;
        errors.first = null;
        try
        {
            backward();
            errors.first?.Throw(); // torch took what it was given, as where an input has a single number
        }
        catch (ExternalException) when (errors.first is not null)
        {
            errors.first.Throw();
        }
        finally
        {
            errors.first = null;
        }
    }
}
