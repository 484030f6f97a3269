namespace LowRank.Cli.Bench;

/// <summary>What <c>lowrank bench optimizer</c> measures; times are the fastest of all rounds.</summary>
/// <param name="Weights">Trained weights.</param>
/// <param name="Tensors">Tensors that they are in.</param>
/// <param name="Threads">Threads of torch and of the step.</param>
/// <param name="StepMilliseconds">A step of AdamW.</param>
/// <param name="CopyMilliseconds">A copy that reads and writes as many bytes as the step, which reads weights, gradients, means and squares and writes all but the gradients.</param>
/// <param name="StepOverCopy">The one over the other.</param>
/// <param name="TorchSharpMilliseconds">A step of TorchSharp's own AdamW.</param>
/// <param name="NormMilliseconds">The norm of the gradients.</param>
/// <param name="CopyGradientsMilliseconds">Copying the gradients.</param>
/// <param name="NormOverCopy">The one over the other.</param>
/// <param name="AllocatedBytes">Managed memory that a step allocates.</param>
internal sealed record OptimizerTimes(long Weights, int Tensors, int Threads, double StepMilliseconds, double CopyMilliseconds, double StepOverCopy,
    double TorchSharpMilliseconds, double NormMilliseconds, double CopyGradientsMilliseconds, double NormOverCopy, long AllocatedBytes)
{
    /// <summary>Bytes that a step reads and writes: four numbers a weight are read, three written.</summary>
    public long BytesTouched => 7 * sizeof(float) * Weights;

    /// <summary>TorchSharp's step over the copy.</summary>
    public double TorchSharpOverCopy => TorchSharpMilliseconds / CopyMilliseconds;
}
