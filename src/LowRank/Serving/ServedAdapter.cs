namespace LowRank.Serving;

/// <summary>An adapter that a <see cref="ServingEngine"/> writes with.</summary>
/// <param name="Name">The name that requests give.</param>
/// <param name="Folder">Its folder.</param>
/// <param name="Digest">SHA-256 of its config and weights, in hexadecimal: adapters with other content have another
/// one, whatever their name.</param>
/// <param name="Rank">The highest rank of its pairs; 0 where its method has none.</param>
/// <param name="Bytes">Bytes of its weights in memory.</param>
/// <param name="IsLoaded">Whether they are in memory now.</param>
public sealed record ServedAdapter(
    string Name, string Folder, string Digest, int Rank, long Bytes, bool IsLoaded);
