namespace LowRank.Data.Rows;

/// <summary>A record of separated values.</summary>
/// <param name="Line">The line it begins on, counted from 1.</param>
/// <param name="Fields">Its fields; valid until the next record.</param>
/// <param name="Problem">What is wrong with it; null for nothing.</param>
internal sealed record DelimitedRecord(long Line, IReadOnlyList<DelimitedField> Fields, string? Problem);

/// <summary>A field of a record.</summary>
/// <param name="Utf8">Its text, quotes removed.</param>
/// <param name="IsQuoted">Whether it stood in quotes.</param>
internal readonly record struct DelimitedField(ReadOnlyMemory<byte> Utf8, bool IsQuoted)
{
    /// <summary>Whether there is nothing, not even quotes.</summary>
    public bool IsAbsent => Utf8.IsEmpty && !IsQuoted;
}
