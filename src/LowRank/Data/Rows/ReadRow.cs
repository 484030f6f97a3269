using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>A row whose format gives its fields at once.</summary>
internal sealed class ReadRow(DataPlace place, JsonObject row) : UnreadRow(place)
{
    public override JsonObject Read(DataProblems problems) => row;
}
