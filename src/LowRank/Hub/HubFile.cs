namespace LowRank.Hub;

/// <summary>A file of a repository at a commit.</summary>
/// <param name="Path">Its path in the repository, with slashes.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Etag">The name of its content in the cache: the SHA-256 of large files (LFS), git's SHA-1 of others.</param>
public sealed record HubFile(string Path, long Size, string Etag);
