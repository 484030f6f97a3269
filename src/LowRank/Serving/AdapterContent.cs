using System.Security.Cryptography;
using LowRank.Adapters;

namespace LowRank.Serving;

/// <summary>What the files of an adapter hold.</summary>
/// <param name="digest">SHA-256 of its config and weights, in hexadecimal.</param>
/// <param name="states">When each of them was written, and its length.</param>
internal sealed class AdapterContent(string digest, IReadOnlyList<(DateTime Written, long Length)> states)
{
    private const int PartBytes = 1 << 20; // between two of them the pool's thread is free for others

    public string Digest => digest;

    /// <summary>Reads the files, on the pool: they are in the system's memory then.</summary>
    /// <exception cref="InputException">One is missing, or cannot be read.</exception>
    public static async Task<AdapterContent> ReadAsync(string folder, CancellationToken cancellation)
    {
        IReadOnlyList<(DateTime, long)> states = States(folder);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in Files(folder))
        {
            if (!File.Exists(file))
                throw new InputException(
                    $"{folder} has no {Path.GetFileName(file)}. Expected the folder of an adapter, with its config " +
                    "and its weights.");
            try
            {
                hash.AppendData(await DigestAsync(file, cancellation).ConfigureAwait(false));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new InputException($"{file} cannot be read: {e.Message}", e);
            }
        }
        return new AdapterContent(Convert.ToHexStringLower(hash.GetHashAndReset()), states);
    }

    /// <summary>Whether nobody has written the files since they were read.</summary>
    public bool IsCurrent(string folder) => States(folder).SequenceEqual(states);

    private static async Task<byte[]> DigestAsync(string file, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete,
            bufferSize: 0, FileOptions.Asynchronous | FileOptions.SequentialScan);
        await using var closing = stream.ConfigureAwait(false);
        byte[] part = new byte[Math.Clamp(stream.Length, 1, PartBytes)];
        while (await stream.ReadAsync(part, cancellation).ConfigureAwait(false) is > 0 and var read)
            hash.AppendData(part, 0, read);
        return hash.GetHashAndReset();
    }

    private static string[] Files(string folder) =>
        [Path.Combine(folder, AdapterConfig.FileName), Adapter.TensorsPath(folder)];

    private static List<(DateTime, long)> States(string folder) => [.. Files(folder)
        .Select(file => new FileInfo(file)).Select(file => file.Exists ? (file.LastWriteTimeUtc, file.Length)
            : (default, -1L))];
}
