namespace LowRank.Tensors.Pickle;

/// <summary>A file inside a zip archive, stored as it is.</summary>
/// <param name="Name">Its path in the archive.</param>
/// <param name="Begin">Where its bytes begin in the archive.</param>
/// <param name="Length">How many there are.</param>
internal sealed record ZipEntry(string Name, long Begin, long Length);
