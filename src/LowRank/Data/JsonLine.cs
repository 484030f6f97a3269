namespace LowRank.Data;

/// <summary>A line that is not blank.</summary>
/// <param name="Number">Counted from 1, blank lines included.</param>
/// <param name="Utf8">Its bytes without line end; valid until the next line is asked for.</param>
public readonly record struct JsonLine(long Number, ReadOnlyMemory<byte> Utf8)
{
    /// <summary>Whether it is longer than <see cref="JsonLines.LongestLine"/>; its bytes are empty then.</summary>
    public bool IsTooLong { get; init; }
}
