namespace LowRank.Cli.Bench.Train;

/// <summary>A product of activations with a frozen weight: [rows, inputs] with [inputs, outputs].</summary>
/// <param name="Rows">Tokens.</param>
/// <param name="Inputs">Width that is summed over.</param>
/// <param name="Outputs">Width of the result.</param>
/// <param name="Transposed">Whether the weight lies in memory as [outputs, inputs].</param>
internal readonly record struct MatrixProduct(long Rows, long Inputs, long Outputs, bool Transposed)
{
    /// <summary>Its floating-point operations: a multiplication and an addition for each term.</summary>
    public double Flops => 2.0 * Rows * Inputs * Outputs;
}
