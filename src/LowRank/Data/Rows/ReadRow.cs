using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>A row whose format gives its fields at once.</summary>
internal sealed class ReadRow(DataPlace place, JsonObject row) : UnreadRow(place)
{
    public override long Bytes { get; } = Size(row);

    public override JsonObject Read(DataProblems problems) => row;

    // Roughly: 64 bytes a value beside its text.
    private static long Size(JsonNode? node) => 64 + node switch
    {
        JsonObject fields => fields.Sum(field => Size(field.Value)),
        JsonArray list => list.Sum(Size),
        _ => Sample.AsText(node)?.Length * 2L ?? 0,
    };
}
