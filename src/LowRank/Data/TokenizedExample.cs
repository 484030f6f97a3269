using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LowRank.Data;

/// <summary>A row of data as the model sees it.</summary>
/// <param name="InputIds">Token ids.</param>
/// <param name="Labels">For each token its own id where it is learned, else -100; the loss shifts by one, so the first
/// label is never predicted.</param>
/// <param name="AttentionMask">1 for tokens and 0 for padding inside the row; null when there is none.</param>
/// <param name="Place">The row it was made from; null when it comes from no file.</param>
public sealed record TokenizedExample(
    int[] InputIds, int[] Labels, int[]? AttentionMask = null, DataPlace? Place = null) : IExample
{
    /// <summary>The label that is not learned, as transformers marks it.</summary>
    public const int Ignored = -100;

    /// <inheritdoc/>
    public int Length => InputIds.Length;

    /// <inheritdoc/>
    public int Tokens => AttentionMask is null ? InputIds.Length : AttentionMask.Count(mask => mask != 0);

    /// <summary>Whether every position is a token.</summary>
    public bool IsWhole => AttentionMask is null || !AttentionMask.Contains(0);

    /// <inheritdoc/>
    public int PredictedLabels => Labels.Skip(1).Count(label => label != Ignored);
}

/// <summary>A row of data, made ready for a task.</summary>
public interface IExample
{
    /// <summary>Tokens of its longest text, padding included: what batches are sorted by.</summary>
    int Length { get; }

    /// <summary>Tokens that are computed, padding left out.</summary>
    int Tokens { get; }

    /// <summary>Labels it predicts: its weight in a step's loss.</summary>
    int PredictedLabels { get; }

    /// <summary>The row it was made from; null when it comes from no file.</summary>
    DataPlace? Place { get; }
}

/// <summary>Examples that need not be read to be told from others.</summary>
public interface IFingerprinted
{
    /// <summary>Equal where the examples and their order are.</summary>
    string Fingerprint { get; }
}

/// <summary>Tells examples in their order from others: SHA-256 of their lengths and labels, and of their tokens where
/// rows hold them.</summary>
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
