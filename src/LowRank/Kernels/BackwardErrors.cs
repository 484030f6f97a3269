using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Carries errors from the backward passes of our own functions to the caller of torch's backward
/// pass.</summary>
/// <remarks>Torch calls these functions, on its own thread for devices other than the CPU, and an exception that
/// escapes into its code ends the process. So the exception is stored, and torch receives gradients that it rejects:
/// its pass stops, and the caller gets an error on every device.</remarks>
internal sealed class BackwardErrors
{
    private const string Key = "errors";

    [ThreadStatic]
    private static BackwardErrors? ofThread;

    private ExceptionDispatchInfo? first;

    private static BackwardErrors OfThread => ofThread ??= new();

    /// <summary>Records the thread that builds the graph as the receiver of errors. Called in a function's forward
    /// pass.</summary>
    /// <param name="ctx">The function's context.</param>
    /// <param name="vars">Its arguments.</param>
    public static void Watch(autograd.AutogradContext ctx, object[] vars) =>
        ctx.save_data(Key, (OfThread, Array.ConvertAll(vars, argument => argument is Tensor)));

    /// <summary>A function's gradients; if it throws, gradients with a shape that torch rejects.</summary>
    /// <param name="gradients">The function's backward pass.</param>
    /// <param name="ctx">The context, registered with <see cref="Watch"/>.</param>
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
            // Only the anchor of BlockCheckpoint has this shape or broadcasts to it.
            Tensor refused = empty(0).DetachFromDisposeScope();
            return [.. areTensors.Select(isTensor => isTensor ? refused : null!)];
        }
    }

    /// <summary>Runs a backward pass. Rethrows an error of one of our functions as it was thrown.</summary>
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
