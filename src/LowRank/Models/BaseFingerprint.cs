using System.Security.Cryptography;
using System.Text;
using LowRank.IO;

namespace LowRank.Models;

/// <summary>Tells the weights of a base from those of others: SHA-256 over its tensors.</summary>
/// <remarks>In the order of their names (by code units) each tensor adds its name, its dtype as safetensors spells it,
/// its sizes with commas between them, each as UTF-8 with a zero byte behind it, and the SHA-256 of its bytes, 32
/// bytes. How the tensors lie in files makes no difference; a folder with quantised weights has other tensors, and so
/// another fingerprint. Tensors are read in pieces, as many at once as the machine has cores. What a large base gives
/// is kept in the user's cache folder, by path, size and time of its files: that cache may be deleted at any
/// time.</remarks>
internal static class BaseFingerprint
{
    private const long LeastCached = 64_000_000; // bytes; below, reading takes less than a blink
    private const int Digits = 64;

    /// <summary>That of a model's folder.</summary>
    /// <exception cref="InputException">Its weights cannot be read.</exception>
    public static string Of(string folder) => Of(folder, CacheFolder(), LeastCached);

    /// <summary>That of a model's folder, with another cache.</summary>
    /// <param name="folder">The model's.</param>
    /// <param name="cache">Holds a small file a base; made when it is missing.</param>
    /// <param name="leastCached">Bytes of weights from which on it is kept.</param>
    internal static string Of(string folder, string cache, long leastCached)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        FileInfo[] files =
            [.. checkpoint.Files.Select(file => new FileInfo(file.Path))
            .Select(file => file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file)];
        if (files.Sum(file => file.Length) < leastCached) return Of(checkpoint);
        string listing =
            string.Join('\n',
            files.Select(file =>
            FormattableString.Invariant($"{file.FullName} {file.Length} {file.LastWriteTimeUtc.Ticks}")));
        string entry = Path.Combine(cache, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(listing))));
        if (Known(entry) is { } known) return known;
        string found = Of(checkpoint);
        Remember(entry, found);
        return found;
    }

    /// <summary>That of open weights, which must be as they are in their files.</summary>
    public static string Of(Checkpoint checkpoint)
    {
        string[] names = [.. checkpoint.Entries.Keys.Order(StringComparer.Ordinal)];
        var digests = new byte[names.Length][];
        // The largest first: the last ones to end are then short.
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

    /// <summary>Its beginning, for people.</summary>
    public static string Short(string fingerprint) => fingerprint[..12];

    private static string CacheFolder()
    {
        string? given = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        string root = !string.IsNullOrEmpty(given) ? given
            : OperatingSystem.IsWindows() ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return Path.Combine(root, "lowrank", "bases");
    }

    // A cache that is absent, damaged or not to be read costs time and nothing else.
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
