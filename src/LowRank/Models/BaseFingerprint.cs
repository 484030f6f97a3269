using System.Security.Cryptography;
using System.Text;
using LowRank.IO;
using LowRank.Kernels.Native;

namespace LowRank.Models;

/// <summary>Identifies the weights of a base model: a SHA-256 over its tensors.</summary>
/// <remarks>Tensors are hashed in the order of their names (by code units). Each contributes its name, its dtype in
/// safetensors' spelling and its sizes separated by commas, each as UTF-8 followed by a zero byte, and the SHA-256 of
/// its bytes, 32 bytes. The distribution of tensors over files makes no difference; a folder with quantised weights has
/// other tensors and therefore another fingerprint. Tensors are read in pieces, with one thread per core. The
/// fingerprint of a large base is cached in the user's cache folder, keyed by the path, size and time of its files;
/// that cache may be deleted at any time.</remarks>
internal static class BaseFingerprint
{
    private const long LeastCached = 64_000_000; // bytes; below, reading takes less than a blink
    private const int Digits = 64;

    /// <summary>The fingerprint of a model folder.</summary>
    /// <exception cref="InputException">Its weights cannot be read.</exception>
    public static string Compute(string folder) => Compute(folder, CacheFolder(), LeastCached);

    /// <summary>The fingerprint of a model folder, with a given cache.</summary>
    /// <param name="folder">The model folder.</param>
    /// <param name="cache">The cache folder, with a small file per base; created if missing.</param>
    /// <param name="leastCached">Size of the weights, in bytes, from which the fingerprint is cached.</param>
    internal static string Compute(string folder, string cache, long leastCached)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        FileInfo[] files =
            [.. checkpoint.Files.Select(file => new FileInfo(file.Path))
            .Select(file => file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file)];
        if (files.Sum(file => file.Length) < leastCached) return Compute(checkpoint);
        string listing =
            string.Join('\n',
            files.Select(file =>
            FormattableString.Invariant($"{file.FullName} {file.Length} {file.LastWriteTimeUtc.Ticks}")));
        string entry = Path.Combine(cache, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(listing))));
        if (Known(entry) is { } known) return known;
        string found = Compute(checkpoint);
        Remember(entry, found);
        return found;
    }

    /// <summary>The fingerprint of open weights, which must be unchanged since they were read from their
    /// files.</summary>
    public static string Compute(Checkpoint checkpoint)
    {
        string[] names = [.. checkpoint.Entries.Keys.Order(StringComparer.Ordinal)];
        var digests = new byte[names.Length][];
        // Largest first, so the last tasks to finish are short.
        int[] order = [
            .. Enumerable.Range(0, names.Length).OrderByDescending(number => checkpoint.Entries[names[number]].Bytes)];
        Parallel.ForEach(order, number => digests[number] = checkpoint.Digest(names[number]));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int i = 0; i < names.Length; i++)
        {
            SafeTensorsEntry entry = checkpoint.Entries[names[i]];
            hash.AppendData(
                Encoding.UTF8.GetBytes($"{entry.Name}\0{entry.DataType}\0{string.Join(',', entry.Shape)}\0"));
            hash.AppendData(digests[i]);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Whether a text is a fingerprint.</summary>
    public static bool IsOne(string text) => text.Length == Digits && text.All(char.IsAsciiHexDigitLower);

    /// <summary>The start of a fingerprint, for display.</summary>
    public static string Short(string fingerprint) => fingerprint[..12];

    private static string CacheFolder() => Path.Combine(UserCache.Folder, "bases");

    // A missing, damaged or unreadable cache only costs time.
    private static string? Known(string entry)
    {
        try
        {
            return File.Exists(entry) && File.ReadAllText(entry).Trim() is var text && IsOne(text) ? text : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static void Remember(string entry, string fingerprint)
    {
        try
        {
            AtomicFile.Write(entry, fingerprint + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            System.Diagnostics.Trace.TraceWarning(e.Message);
        }
    }
}
