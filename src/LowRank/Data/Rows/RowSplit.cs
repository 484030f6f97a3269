using System.Globalization;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>One side of data that is split by share.</summary>
/// <remarks>A row's own content says on which side it falls: equal rows, and rows that
/// differ by case, blanks or punctuation alone, fall on the same, and a row stays where it is when others come or
/// go.</remarks>
/// <param name="Share">Share of rows that is held out, between 0 and 1; met on average.</param>
/// <param name="Seed">Another seed splits otherwise.</param>
/// <param name="HeldOut">Which side.</param>
public sealed record RowSplit(double Share, long Seed, bool HeldOut)
{
    internal bool Takes(JsonObject row, bool ofText)
    {
        UInt128 identity = RowIdentity.Normalized(row, ofText);
        var random = new StableRandom(
            (ulong)identity ^ (ulong)(identity >> 64) ^ (unchecked((ulong)Seed) * 0x9E3779B97F4A7C15));
        return random.NextDouble() < Share == HeldOut;
    }

    /// <summary>The split in words.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{(HeldOut ? Share : 1 - Share):p1}, seed {Seed}");
}
