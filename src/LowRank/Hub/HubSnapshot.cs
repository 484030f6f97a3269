namespace LowRank.Hub;

/// <summary>What a repository holds at a revision.</summary>
/// <param name="Commit">The commit that the revision stands for.</param>
/// <param name="Files">All its files.</param>
internal sealed record HubSnapshot(string Commit, IReadOnlyList<HubFile> Files);
