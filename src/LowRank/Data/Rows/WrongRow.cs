using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>A row that cannot be read.</summary>
internal sealed class WrongRow(DataPlace place, string problem) : UnreadRow(place)
{
    public override long Bytes => problem.Length * 2L;

    public override JsonObject? Read(DataProblems problems)
    {
        problems.Add(Place, problem);
        return null;
    }
}
