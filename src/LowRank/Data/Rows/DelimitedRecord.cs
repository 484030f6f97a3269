namespace LowRank.Data.Rows;

/// <summary>A record of separated values.</summary>
/// <param name="Line">The line it begins on, counted from 1.</param>
/// <param name="Fields">Its fields in UTF-8, quotes removed; valid until the next record.</param>
/// <param name="Problem">What is wrong with it; null for nothing.</param>
internal sealed record DelimitedRecord(long Line, IReadOnlyList<ReadOnlyMemory<byte>> Fields, string? Problem);
