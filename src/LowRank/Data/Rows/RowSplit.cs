using System.Globalization;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>One side of data that is split by share.</summary>
/// <remarks>A row's content decides its side: equal rows, and rows that differ only in case, blanks or punctuation, are
/// on the same side, and a row stays on its side when others are added or removed.</remarks>
/// <param name="Share">Share of held-out rows, between 0 and 1; met on average.</param>
/// <param name="Seed">The seed; another seed gives another split.</param>
/// <param name="HeldOut">The side: true for the held-out rows.</param>
public sealed record RowSplit(double Share, long Seed, bool HeldOut)
{
    internal bool Takes(JsonObject row, bool ofText)
    {
        UInt128 identity = RowIdentity.Normalized(row, ofText);
        var random = new StableRandom(
            (ulong)identity ^ (ulong)(identity >> 64) ^ (unchecked((ulong)Seed) * 0x9E3779B97F4A7C15));
        return random.NextDouble() < Share == HeldOut;
    }

    /// <summary>A description of the split.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{(HeldOut ? Share : 1 - Share):p1}, seed {Seed}");
}
