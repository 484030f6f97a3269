namespace LowRank.Adapters.Operations;

/// <summary>How two adapters' changes of one module differ.</summary>
/// <param name="Path">The module.</param>
/// <param name="FirstRank">The rank of the first; null where it does not change the module.</param>
/// <param name="SecondRank">The rank of the second.</param>
/// <param name="FirstNorm">Frobenius norm of the first change.</param>
/// <param name="SecondNorm">That of the second.</param>
/// <param name="Distance">That of their difference; null where only one changes the module, or the widths differ.</param>
/// <param name="Cosine">The cosine between the changes as vectors; null where one is zero.</param>
/// <param name="Overlap">How far the smaller of the two input spaces lies in the larger, 0 to 1.</param>
public sealed record ModuleDifference(string Path, int? FirstRank, int? SecondRank, double FirstNorm, double SecondNorm, double? Distance, double? Cosine, double? Overlap);
