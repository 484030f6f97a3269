using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using LowRank.Data;
using LowRank.IO;
using LowRank.Kernels.Native;

namespace LowRank.Training.Preferences;

/// <summary>Log-probabilities of a reference model in the user's cache, for all runs on the same rows. The file may be
/// deleted at any time.</summary>
/// <param name="path">Its path.</param>
internal sealed class ReferenceFile(string path)
{
    /// <summary>The file of a reference and its rows.</summary>
    /// <param name="reference">What identifies the model: its weights, and how they are kept and multiplied.</param>
    /// <param name="rows">The rows, in order.</param>
    /// <param name="folder">The folder; null for <c>references</c> in the user's cache.</param>
    public static ReferenceFile For(string reference, IEnumerable<TokenizedExample> rows, string? folder = null)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(reference));
        foreach (TokenizedExample row in rows)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\0{row.Length}\0")));
            hash.AppendData(MemoryMarshal.AsBytes<int>(row.InputIds));
            hash.AppendData(MemoryMarshal.AsBytes<int>(row.Labels));
        }
        return new ReferenceFile(Path.Combine(folder ?? Path.Combine(UserCache.Folder, "references"),
            Convert.ToHexStringLower(hash.GetHashAndReset())));
    }

    /// <summary>The stored numbers; null if there is no file of so many.</summary>
    public double[]? Read(int count)
    {
        if (!File.Exists(path) || new FileInfo(path).Length != (long)count * sizeof(double)) return null;
        return MemoryMarshal.Cast<byte, double>(File.ReadAllBytes(path)).ToArray();
    }

    /// <summary>Writes the numbers; the file appears complete or not at all.</summary>
    public void Write(double[] scores)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, stream => stream.Write(MemoryMarshal.AsBytes<double>(scores)));
    }
}
