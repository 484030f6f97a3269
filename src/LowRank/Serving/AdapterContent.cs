using System.Security.Cryptography;
using LowRank.Adapters;

namespace LowRank.Serving;

/// <summary>What the files of an adapter hold.</summary>
/// <param name="digest">SHA-256 of its config and weights, in hexadecimal.</param>
/// <param name="written">When each of them was written.</param>
internal sealed class AdapterContent(string digest, IReadOnlyList<DateTime> written)
{
    public string Digest => digest;

    /// <summary>Reads the files; on any thread.</summary>
    /// <exception cref="InputException">One is missing.</exception>
    public static AdapterContent Of(string folder)
    {
        List<DateTime> written = Written(folder);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in Files(folder))
        {
            if (!File.Exists(file))
                throw new InputException(
                    $"{folder} has no {Path.GetFileName(file)}. Expected the folder of an adapter, with its config " +
                    "and its weights.");
            using FileStream stream = File.OpenRead(file);
            hash.AppendData(SHA256.HashData(stream));
        }
        return new AdapterContent(Convert.ToHexStringLower(hash.GetHashAndReset()), written);
    }

    /// <summary>Whether nobody has written the files since they were read.</summary>
    public bool IsCurrent(string folder) => Written(folder).SequenceEqual(written);

    private static string[] Files(string folder) =>
        [Path.Combine(folder, AdapterConfig.FileName), Adapter.TensorsPath(folder)];

    private static List<DateTime> Written(string folder) => [.. Files(folder).Select(File.GetLastWriteTimeUtc)];
}
