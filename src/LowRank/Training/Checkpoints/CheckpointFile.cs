namespace LowRank.Training;

/// <summary>A file of a checkpoint, as its manifest lists it.</summary>
/// <param name="Name">Its name in the folder.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">Its SHA-256, in lower-case hexadecimal digits.</param>
internal sealed record CheckpointFile(string Name, long Bytes, string Sha256);
