namespace LowRank.Hub;

/// <summary>A file to be pushed.</summary>
/// <param name="Name">Its path in the repository.</param>
/// <param name="Path">Where it lies here.</param>
/// <param name="Size">Bytes.</param>
internal sealed record HubUploadFile(string Name, string Path, long Size)
{
    /// <summary>Its SHA-256, where it goes by LFS; empty before it is known.</summary>
    public string Sha256 { get; set; } = "";
}
