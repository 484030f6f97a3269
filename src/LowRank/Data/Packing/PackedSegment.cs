namespace LowRank.Data.Packing;

/// <summary>A stretch of packed rows that attention takes at once: texts of one length, which do not see each other.</summary>
/// <param name="Length">Tokens of each text.</param>
/// <param name="Count">How many stand one after the other.</param>
/// <param name="Before">The numbers of the segments, of one text each, that all of them continue; the first tokens first.</param>
public sealed record PackedSegment(int Length, int Count, IReadOnlyList<int> Before)
{
    /// <summary>Positions it fills.</summary>
    public int Tokens => Length * Count;
}
