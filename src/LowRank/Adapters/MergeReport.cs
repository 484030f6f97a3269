namespace LowRank.Adapters;

/// <summary>What merging into a quantised base cost.</summary>
/// <param name="Format">The format of the base's linear layers, such as nf4; null where they are not quantised.</param>
/// <param name="WrittenAs">The dtype in which they were written, as torch spells it.</param>
/// <param name="Rounding">How far writing in that dtype moved them from the sum in float32.</param>
/// <param name="Quantization">How far the quantised weights, to which the adapter was added, are from those that the base's folder
/// holds; empty where it holds the quantised ones alone.</param>
public sealed record MergeReport(string? Format, string WrittenAs, MergeRounding Rounding, MergeRounding Quantization);
