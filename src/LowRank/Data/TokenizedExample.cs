using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LowRank.Data;

/// <summary>A row of data as the model sees it.</summary>
/// <param name="InputIds">Token ids.</param>
/// <param name="Labels">For each token its own id if it is learned, otherwise -100; the loss shifts by one, so the
/// first label is never predicted.</param>
/// <param name="AttentionMask">1 for tokens and 0 for padding inside the row; null without padding.</param>
/// <param name="Place">The source row; null if it does not come from a file.</param>
public sealed record TokenizedExample(
    int[] InputIds, int[] Labels, int[]? AttentionMask = null, DataPlace? Place = null) : IExample
{
    /// <summary>The label of tokens that are not learned, as in transformers.</summary>
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

/// <summary>A row of data, prepared for a task.</summary>
public interface IExample
{
    /// <summary>Number of tokens of its longest text, including padding; batches are sorted by it.</summary>
    int Length { get; }

    /// <summary>Number of computed tokens, without padding.</summary>
    int Tokens { get; }

    /// <summary>Number of predicted labels, its weight in a step's loss.</summary>
    int PredictedLabels { get; }

    /// <summary>The source row; null if it does not come from a file.</summary>
    DataPlace? Place { get; }
}

/// <summary>Examples with a fingerprint that is known without reading them.</summary>
internal interface IFingerprinted
{
    /// <summary>Equal if the examples and their order are equal.</summary>
    string Fingerprint { get; }
}

/// <summary>A fingerprint of examples in order: SHA-256 of their lengths and labels, and of their tokens if rows
/// contain them.</summary>
internal sealed class ExampleFingerprint : IDisposable
{
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>The fingerprint of a list.</summary>
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
