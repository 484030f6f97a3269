namespace LowRank.Adapters.Files;

/// <summary>A tensor that an adapter file holds.</summary>
/// <param name="Key">Its key in the file.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Path">The path of its module in the model.</param>
/// <param name="Part">What it is to the module.</param>
/// <param name="IsRequired">Whether a file without it is broken. Base weights of embeddings may be missing.</param>
public sealed record AdapterTensor(string Key, long[] Shape, string Path, AdapterTensorPart Part, bool IsRequired = true);
