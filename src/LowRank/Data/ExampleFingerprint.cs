using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LowRank.Data;

/// <summary>Tells examples in their order from others: SHA-256 of their lengths and labels, and of their tokens where rows hold them.</summary>
internal sealed class ExampleFingerprint : IDisposable
{
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>That of a list.</summary>
    public static string Of(IEnumerable<IExample> examples)
    {
        using var fingerprint = new ExampleFingerprint();
        foreach (IExample example in examples) fingerprint.Add(example);
        return fingerprint.Finish();
    }

    public void Add(IExample example)
    {
        hash.AppendData(MemoryMarshal.AsBytes<int>([example.Length, example.Tokens, example.PredictedLabels]));
        if (example is not TokenizedExample row) return;
        hash.AppendData(MemoryMarshal.AsBytes<int>(row.InputIds));
        hash.AppendData(MemoryMarshal.AsBytes<int>(row.Labels));
    }

    public string Finish() => Convert.ToHexStringLower(hash.GetHashAndReset());

    public void Dispose() => hash.Dispose();
}
