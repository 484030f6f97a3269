namespace LowRank.Adapters.Inspection;

/// <summary>One module that an adapter changes.</summary>
/// <param name="Path">Its path in the model.</param>
/// <param name="Rank">Rank of its pair.</param>
/// <param name="Alpha">Its alpha.</param>
/// <param name="Scale">s of the change s·B·A.</param>
/// <param name="OutputSize">Rows of B.</param>
/// <param name="InputSize">Columns of A.</param>
/// <param name="Delta">The size and the spread of the change.</param>
public sealed record ModuleSummary(string Path, int Rank, double Alpha, double Scale, long OutputSize, long InputSize, DeltaSpectrum Delta)
{
    /// <summary>Numbers of A and B: rank · (in + out).</summary>
    public long Parameters => Rank * (InputSize + OutputSize);
}
