namespace LowRank.Adapters.Inspection;

/// <summary>One module that an adapter changes.</summary>
/// <param name="Path">Its path in the model.</param>
/// <param name="Rank">Rank of its pair.</param>
/// <param name="Alpha">Its alpha.</param>
/// <param name="Scale">s of the change s·B·A.</param>
/// <param name="OutputSize">Rows of B.</param>
/// <param name="InputSize">Columns of A.</param>
/// <param name="Delta">The size and the spread of the change; null where it cannot be told without the base.</param>
public sealed record ModuleSummary(string Path, int Rank, double Alpha, double Scale, long OutputSize, long InputSize, DeltaSpectrum? Delta)
{
    /// <summary>Numbers that are trained in it: those of A and B, rank · (in + out), unless the kind of adapter has others.</summary>
    public long Parameters { get; init; } = Rank * (InputSize + OutputSize);
}
